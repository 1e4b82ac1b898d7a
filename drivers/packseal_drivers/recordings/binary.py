"""Vector's .blf and ASAM's .mf4, read by python-can."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.core.errors import InputError
from packseal_drivers.recordings.lines import open_bytes
from packseal_drivers.recordings.row import EFF_FLAG, EFF_MASK, ERR_FLAG, MAX_DATA, MAX_TIME_NS, Row, Troubles

if TYPE_CHECKING:
    import can

US_PER_S, NS_PER_US = 1_000_000, 1000


def blf_rows(path: Path, troubles: Troubles) -> Iterator[Row]:
    """Yield the frames of a .blf; raises InputError for what is none."""
    from can.io import blf  # noqa: PLC0415 - only for who has such a file

    with open_bytes(path) as file:
        try:
            reader = blf.BLFReader(file)
        except (blf.BLFParseError, struct.error, ValueError, OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: it is no .blf, or its head is broken ({error})") from error
        try:
            yield from _rows(reader, troubles)
        except (blf.BLFParseError, struct.error, ValueError, OSError, EOFError, zlib.error) as error:
            troubles.note(None, f"the file breaks off, or is broken: {error}")
            return
    size = path.stat().st_size
    if path.suffix.lower() != ".gz" and size < reader.file_size:  # gzip itself tells where it breaks off
        troubles.note(None, f"the file breaks off: it has {size} of {reader.file_size} bytes")


def mf4_rows(path: Path, troubles: Troubles) -> Iterator[Row]:
    """Yield the frames of a .mf4; raises InputError for what is none, and where asammdf is not installed."""
    try:
        import asammdf  # type: ignore[import-not-found]  # noqa: F401, PLC0415 - is it there?
        from can.io.mf4 import MF4Reader  # noqa: PLC0415
    except ImportError as error:
        raise InputError(
            f"{path}: .mf4 needs asammdf, which packseal leaves out because it brings numpy and pandas: "
            "pip install asammdf, best on another machine, and can_logconvert FILE.mf4 FILE.blf there"
        ) from error
    with open_bytes(path) as file:
        try:
            yield from _rows(MF4Reader(file), troubles)
        except Exception as error:
            if not troubles.good:
                raise InputError(f"{path}: it is no .mf4 that asammdf can read ({error})") from error
            troubles.note(None, f"the file is broken: {error}")


def _rows(messages: "Iterator[can.Message] | can.io.generic.MessageReader", troubles: Troubles) -> Iterator[Row]:
    for message in messages:
        if message.is_remote_frame:
            continue
        time_ns = round(message.timestamp * US_PER_S) * NS_PER_US
        data = bytes(message.data[:MAX_DATA])
        if not 0 <= time_ns < MAX_TIME_NS:
            troubles.note(None, f"a frame has the time {message.timestamp}")
            continue
        troubles.good = True
        yield Row(time_ns, str(message.channel), address_of_message(message), data)


def address_of_message(message: "can.Message") -> int:
    """Return a Frame's address of what python-can has."""
    if message.is_error_frame:
        return message.arbitration_id & EFF_MASK | ERR_FLAG
    return message.arbitration_id | (EFF_FLAG if message.is_extended_id else 0)
