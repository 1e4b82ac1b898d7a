"""Runs on the gateway, with nothing but Python's own library: writes how far the agent is, again and again.

Arguments: the journal, the agent's status socket, the file to write, seconds between two looks. One long-lived process,
since on an emulated machine a Python that starts costs more than all it does here.
"""

import json
import os
import socket
import sqlite3
import struct
import sys
import time
from pathlib import Path
from typing import Any

TIMEOUT_S = 5.0
SEQUENCE_BITS = 40  # packseal.journal.store


def ask(path: str) -> tuple[dict[str, Any], int]:
    """Return the running agent's status document and its process id; empty and 0 while nobody answers."""
    parts = []
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(path)
            # unix(7): process, user and group of whoever listens
            pid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
            while part := connection.recv(1 << 16):
                parts.append(part)
        document: dict[str, Any] = json.loads(b"".join(parts))
    except (OSError, ValueError):
        return {}, 0
    return document, pid


def peak_mib(pid: int) -> float:
    """Return the most memory that a process has held (VmHWM, proc(5)).

    Not getrusage(2): its ru_maxrss begins with that of the process which started this one.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, ValueError, StopIteration):
        return 0.0


def counts(path: str) -> tuple[int, int]:
    """Return how many records the journal holds and how many of them are receipted; nothing while it cannot be read."""
    try:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        try:
            sealed = receipted = 0
            for row, delivered in connection.execute("SELECT id, delivered FROM log").fetchall():
                limits = row << SEQUENCE_BITS, (row + 1) << SEQUENCE_BITS
                last = connection.execute("SELECT max(id) FROM record WHERE id >= ? AND id < ?", limits).fetchone()[0]
                sealed += 0 if last is None else last - limits[0] + 1
                receipted += delivered
        finally:
            connection.close()
    except sqlite3.Error:
        return 0, 0
    return sealed, receipted


def look(journal: str, status: str) -> dict[str, Any]:
    """Return what one look shows."""
    sealed, receipted = counts(journal)
    document, pid = ask(status)
    if document and document["uplink"]:
        # The newest receipt stands in the journal when the next window does.
        receipted = max(receipted, sealed - document["uplink"]["records_outstanding"])
    found: dict[str, Any] = {"sealed": sealed, "receipted": receipted, "answers": bool(document)}
    if document:
        found["samples"] = sum(battery["samples"] for battery in document["batteries"])
        found["pending"] = document["journal"]["pending"]
        link = document["batteries"][0]["link"]
        found["link"] = link["state"]
        found |= {name: link[name] for name in ("cut", "unexpected", "doubles")}
        found["uptime_s"] = document["gateway"]["uptime_s"]
        found["cpu_s"] = document["gateway"]["cpu_s"]
        found["memory_mib"] = peak_mib(pid)
        found["halted"] = len((document["uplink"] or {}).get("halted", ()))
    return found


def main() -> None:
    """Look until killed."""
    journal, status, target, pause_s = sys.argv[1:]
    fresh = Path(f"{target}.new")
    number = 0
    while True:
        number += 1
        fresh.write_text(json.dumps({"number": number, **look(journal, status)}))
        os.replace(fresh, target)  # noqa: PTH105 - fewer imports
        time.sleep(float(pause_s))


if __name__ == "__main__":
    main()
