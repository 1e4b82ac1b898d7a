"""candump: its log files (`candump -L`) and its screen output with times; github.com/linux-can/can-utils, candump.c."""

import re
from collections.abc import Iterator
from pathlib import Path

from packseal_drivers.recordings.lines import lines
from packseal_drivers.recordings.row import EFF_MASK, ERR_FLAG, MAX_DATA, Row, Troubles, address_of, nanoseconds

# `(1700000000.123456) can0 123#0011`, `##` and a digit of flags for CAN FD, `R` for a remote frame; canframe.h of
# can-utils. Newer ones end in the direction, T or R.
_LOG = re.compile(
    r"\((\d{1,12}\.\d{1,9})\)\s+(\S+)\s+([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})#(?:#[0-9A-Fa-f])?([0-9A-Fa-f]*|R[0-9A-F]?)(?:\s+[TR])?"
)
# `(1700000000.123456)  can0  RX - -  123   [2]  00 11`
_SCREEN = re.compile(
    r"\((\d{1,12}\.\d{1,9})\)\s+(\S+)\s+(?:[RT]X [B-] [E-]\s+)?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})\s+\[(\d+)\]\s*"
    r"((?:[0-9A-Fa-f]{2}(?:\s+|$))*|remote request)(?:\s*(?:'.*'|ERRORFRAME))?"
)
_NO_TIME = re.compile(r"(\S+)\s+[0-9A-Fa-f]{3,8}\s+\[\d+\]")
_WRONG = "it is no line of candump -L, such as (1700000000.123456) can0 123#0011"
_REMOTE = ("R", "r")


def rows(path: Path, troubles: Troubles) -> Iterator[Row]:
    """Yield the frames of a log."""
    for number, text in lines(path, troubles):
        if text.startswith("#"):
            continue
        try:
            row = _row(text)
        except ValueError as error:
            troubles.note(number, str(error))
            continue
        troubles.good = True
        if row is not None:
            yield row


def _row(text: str) -> Row | None:
    if match := _LOG.fullmatch(text):
        time, bus, address, content = match.groups()
    elif match := _SCREEN.fullmatch(text):
        time, bus, address, length, content = match.groups()
        content = "".join(content.split())
        if not content.startswith(_REMOTE) and len(content) != 2 * int(length):
            raise ValueError(f"{length} bytes are announced, and others follow")
    else:
        raise ValueError("it has no time: record with candump -L" if _NO_TIME.match(text) else _WRONG)
    if content.startswith(_REMOTE):
        return None
    if len(content) % 2 or len(content) > 2 * MAX_DATA:
        raise ValueError(f"its data are not from 0 to {MAX_DATA} whole bytes")
    return Row(nanoseconds(time), bus, _address(address), bytes.fromhex(content))


def _address(text: str) -> int:
    number = int(text, 16)
    if number & ERR_FLAG and number <= ERR_FLAG | EFF_MASK:  # candump -e writes error frames with the kernel's flag
        return number
    return address_of(number, extended=len(text) > 3)  # noqa: PLR2004 - 3 digits for 11 bits, 8 for 29
