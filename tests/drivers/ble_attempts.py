"""Every road by which anything but a question might be written over Bluetooth, and their table in docs/read-only.md.

`python -m tests.drivers.ble_attempts` writes the table anew.
"""

import re
from pathlib import Path
from typing import NamedTuple

from packseal.core.sample import LinkCounts
from packseal_drivers.ble.guard import BleGuard
from packseal_drivers.ble.protocols import full
from packseal_drivers.framing.daly import framed
from packseal_drivers.framing.jbd import checksum
from packseal_drivers.framing.jk02 import COMMAND
from packseal_drivers.guard import RefusedRequest

PAGE = Path(__file__).parents[2] / "docs" / "read-only.md"
TABLE = re.compile(r"(<!-- made: bluetooth attempts -->\n).*?(<!-- end -->)", re.DOTALL)


class Attempt(NamedTuple):
    """Something that must not leave."""

    title: str
    protocol: str
    uuid: str
    data: bytes


def jbd(register: int, data: bytes) -> bytes:
    """A write of JBD's, with a right checksum."""
    covered = bytes((register, len(data))) + data
    return b"\xdd\x5a" + covered + checksum(covered) + b"\x77"


def jk(code: int, value: int) -> bytes:
    """A command of JK's, with a right checksum."""
    body = COMMAND + bytes((code, 4)) + value.to_bytes(4, "little") + bytes(9)
    return body + bytes((sum(body) & 0xFF,))


ATTEMPTS = (
    Attempt("JBD, switch the MOSFETs off", "jbd", "ff02", jbd(0xE1, b"\x00\x03")),
    Attempt("JBD, enter factory mode", "jbd", "ff02", jbd(0x00, b"\x56\x78")),
    Attempt("JBD, leave factory mode and store", "jbd", "ff02", jbd(0x01, b"\x28\x28")),
    Attempt("JBD, set the capacity", "jbd", "ff02", jbd(0x10, b"\x6d\x60")),
    Attempt("JBD, a password", "jbd", "ff02", b"\xff\xaa\x15\x06" + b"000000" + b"\x3b"),
    Attempt("JBD, a question with bytes behind it", "jbd", "ff02", bytes.fromhex("DDA50300FFFD7700")),
    Attempt("JBD, a question that is not ours", "jbd", "ff02", bytes.fromhex("DDA50500FFFB77")),
    Attempt("JBD, a question to another characteristic", "jbd", "ff01", bytes.fromhex("DDA50300FFFD77")),
    Attempt("Daly, switch discharging off", "daly", "fff2", framed(bytes.fromhex("D20600A60000"))),
    Attempt("Daly, set the state of charge", "daly", "fff2", framed(bytes.fromhex("D20600A70064"))),
    Attempt("Daly, write several registers", "daly", "fff2", framed(bytes.fromhex("D21000800001020064"))),
    Attempt("Daly, read the settings", "daly", "fff2", framed(bytes.fromhex("D20300800029"))),
    Attempt("JK, switch charging off", "jk02_32s", "ffe1", jk(0x1D, 0)),
    Attempt("JK, set the cell's upper limit", "jk02_24s", "ffe1", jk(0x04, 3650)),
    Attempt("JK, the question of another protocol", "jk02_32s", "ffe1", bytes.fromhex("DDA50300FFFD77")),
    Attempt("Battery Service, any write", "battery_service", "2a19", b"\x64"),
    Attempt("nothing at all", "jbd", "ff02", b""),
)


def reason_of(attempt: Attempt) -> str:
    """Return why the guard refuses it; raises AssertionError where it does not."""
    guard = BleGuard(attempt.protocol, LinkCounts())
    try:
        guard.permit(full(attempt.uuid), attempt.data)
    except RefusedRequest:
        (reason,) = guard.refused
        return reason
    raise AssertionError(f"{attempt.title} was let out")


def table() -> str:
    """Return the table of the page."""
    rows = []
    for attempt in ATTEMPTS:
        written = attempt.data.hex(" ").upper() or "(empty)"
        rows.append(f"| {attempt.title}: `{written}` to {attempt.uuid.upper()} | {reason_of(attempt)} |")
    return "\n".join(["| attempt | reason |", "| --- | --- |", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(TABLE.sub(lambda match: match[1] + table() + match[2], PAGE.read_text()))
