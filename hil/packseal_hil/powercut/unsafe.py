"""The negative controls: the agent's command line on a journal that does not sync as it should. Only for the bench.

`python unsafe.py LEVEL run --config FILE` does what `packseal run` does, but no `PRAGMA synchronous` is obeyed
(https://sqlite.org/pragma.html#pragma_synchronous). With OFF SQLite leaves it to the kernel when something reaches the
disk; with NORMAL it syncs only now and then; with LATE every commit is synced, but 50 ms after it was said to be. A
power cut must lose acknowledged records of such a journal, else the bench does not cut. Not in the wheel, and needs
packseal and nothing else, so that it runs in a guest too.
"""

import contextlib
import os
import sqlite3
import sys
import threading
from typing import Any

from packseal.cli import main

LEVELS = {"OFF": "OFF", "NORMAL": "NORMAL", "LATE": "OFF"}
"""What each level sets `synchronous` to."""

LATE_S = 0.05

_connect = sqlite3.connect


class Unsafe(sqlite3.Connection):
    """A connection whose statements cannot make it sync more than `level` says."""

    level = "OFF"

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Run a statement; one that sets how it syncs sets what `level` says."""
        words = sql.upper().split()
        if words[:2] == ["PRAGMA", "SYNCHRONOUS"]:
            sql = f"PRAGMA synchronous = {LEVELS[self.level]}"
        cursor = super().execute(sql, parameters)
        if words == ["COMMIT"] and self.level == "LATE":
            (_, _, path) = super().execute("PRAGMA database_list").fetchone()
            threading.Timer(LATE_S, sync, [path, f"{path}-wal"]).start()
        return cursor


def sync(*paths: str) -> None:
    """Bring files to the disk; one that is not there, or no longer, is left out."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:  # noqa: PTH123 - SQLite's own name
            os.fsync(file.fileno())


def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    """Open a database as sqlite3 does, with the level set."""
    connection: sqlite3.Connection = _connect(*args, **{**kwargs, "factory": Unsafe})
    connection.execute("PRAGMA synchronous")
    return connection


if __name__ == "__main__":
    print("negative control: this journal is NOT safe against power cuts", file=sys.stderr, flush=True)  # noqa: T201
    Unsafe.level = sys.argv.pop(1)
    if Unsafe.level not in LEVELS:
        sys.exit(f"unsafe.py: the level must be one of {', '.join(LEVELS)}, not {Unsafe.level!r}")
    sqlite3.connect = connect  # type: ignore[assignment]
    sys.exit(main())
