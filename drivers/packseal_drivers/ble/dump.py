"""Dump: what was notified, read and written over Bluetooth, as text, one line each (docs/recordings.md).

`(1700000000.123456) ff01 < DD030000…`: the time in seconds, the characteristic's UUID of 16 or 128 bits, `<` for a
notification, `=` for a value that was read, `>` for what was written to it, and the bytes in hex. `#` begins a comment.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from packseal.core.errors import InputError
from packseal_drivers.ble.protocols import BASE, full
from packseal_drivers.recordings.lines import lines
from packseal_drivers.recordings.row import Troubles, nanoseconds

ENDINGS = (".ble", ".ble.gz")
MAX_BYTES = 480
"""Of one value: what a line of a recording holds. A frame of Bluetooth LE carries 244 bytes of a notification."""

_LINE = re.compile(
    r"\((\d{1,12}\.\d{1,9})\)\s+([0-9A-Fa-f]{4}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\s+([<=>])\s*"
    r"((?:[0-9A-Fa-f]{2})*)"
)
_WRONG = "it is no line such as (1700000000.123456) ff01 < DD0300"


class Said(NamedTuple):
    """One line. `way` is <, = or >; `uuid` has 128 bits."""

    time_ns: int
    uuid: str
    way: str
    data: bytes


def is_dump(path: Path) -> bool:
    """Whether the name is one of a Bluetooth dump."""
    return path.name.lower().endswith(ENDINGS)


def read(path: Path, troubles: Troubles) -> Iterator[Said]:
    """Yield a dump's lines.

    Raises:
        InputError: it is not there, or no line of it can be read.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file")
    for number, text in lines(path, troubles):
        if text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or len(match[4]) > 2 * MAX_BYTES:
            troubles.note(number, _WRONG)
            continue
        try:
            time_ns = nanoseconds(match[1])
        except ValueError as error:
            troubles.note(number, str(error))
            continue
        troubles.good = True
        yield Said(time_ns, full(match[2].lower()), match[3], bytes.fromhex(match[4]))
    if not troubles.good:
        why = f" ({troubles.first})" if troubles.count else ""
        raise InputError(f"{path}: nothing that was said over Bluetooth can be read from it{why}")


def write(file: TextIO, said: Said) -> None:
    """Write one line."""
    seconds, nanos = divmod(said.time_ns, 10**9)
    uuid = said.uuid[4:8] if said.uuid.startswith("0000") and said.uuid.endswith(BASE) else said.uuid
    file.write(f"({seconds}.{nanos:09d}) {uuid} {said.way} {said.data.hex().upper()}\n")
