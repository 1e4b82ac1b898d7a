"""Dump: what a Modbus device answered, as lines of text, and the polls that such a file holds.

A line is `(seconds.micros) unit function address data`: unit and function in decimal, address and data in hex, the high
byte first. A read that was declined has `!` and the exception's code in place of the data. Answers of one poll have one
time. Lines that begin with `#` are comments. The name of such a file ends in .registers, with or without .gz.
"""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from packseal.core.errors import InputError, StorageError
from packseal.core.sample import NS_PER_S
from packseal_drivers.modbus.lines import MAX_REGISTERS
from packseal_drivers.modbus.plan import Read
from packseal_drivers.modbus.registers import Image

SUFFIX, PARTIAL = ".registers", ".partial"
_LINE = re.compile(r"\((\d{1,11})\.(\d{6})\) (\d{1,3}) ([34]) ([0-9A-F]{4}) (?:((?:[0-9A-F]{4})+)|!([0-9A-F]{2}))")
MAX_LINE = 1000
"""Characters; the longest answer has some 520."""


@dataclass(slots=True)
class Recorded:
    """One poll: what was read, and when in ns since 1970. `declined` are reads that were answered by an exception."""

    at_ns: int
    image: Image = field(default_factory=Image)
    declined: list[Read] = field(default_factory=list)


def is_dump(path: Path) -> bool:
    """Whether a file's name says that it is one."""
    return "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]).removesuffix(".gz") == SUFFIX


def line(at_ns: int, unit: int, read: Read, words: Sequence[int] | None, code: int | None = None) -> str:
    """Return the line of one answer; without words that of an exception."""
    seconds, micros = divmod(at_ns // 1000, 1_000_000)
    told = f"!{code or 0:02X}" if words is None else "".join(f"{word:04X}" for word in words)
    return f"({seconds}.{micros:06}) {unit} {read.function} {read.address:04X} {told}\n"


class DumpWriter:
    """Writes a dump under another name until it is whole, as `RecordingWriter` does.

    Args:
        path: its name ends in .registers.

    Raises:
        InputError: the file exists, or cannot be made.
        StorageError: from `write` and `close`: the disk is full or gone.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise InputError(f"{path} exists: name another file, or remove it")
        self._path = path
        self._partial = path.with_name(path.name + PARTIAL)
        try:
            self._file = self._partial.open("w", encoding="ascii")
        except OSError as error:
            raise InputError(f"cannot write {self._partial}: {error.strerror}") from error
        self.lines = 0

    def write(self, at_ns: int, unit: int, read: Read, words: Sequence[int] | None, code: int | None) -> None:
        """Write one answer."""
        try:
            self._file.write(line(at_ns, unit, read, words, code))
        except OSError as error:
            raise self._trouble(error) from error
        self.lines += 1

    def close(self) -> None:
        """Give the file its name, where anything was written."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            if self.lines:
                self._partial.rename(self._path)
            else:
                self._partial.unlink()
        except OSError as error:
            raise self._trouble(error) from error

    def _trouble(self, error: OSError) -> StorageError:
        return StorageError(f"cannot write {self._path}: {error.strerror}; what came so far is in {self._partial}")


def polls(path: Path, unit: int | None = None) -> Iterator[Recorded]:
    """Yield the polls of a file, of one unit or of the first that is met.

    Raises:
        InputError: it is not there, is none, or its times run back; with the line's number.
    """
    poll: Recorded | None = None
    for number, text in enumerate(_lines(path), 1):
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None or len(match[6] or "") > 4 * MAX_REGISTERS:
            raise InputError(f"{path}, line {number}: this is no line of a register dump")
        at_ns = int(match[1]) * NS_PER_S + int(match[2]) * 1000
        unit = int(match[3]) if unit is None else unit
        if int(match[3]) != unit:
            continue
        if poll is not None and at_ns < poll.at_ns:
            raise InputError(f"{path}, line {number}: its time is before that of the line above")
        if poll is None or at_ns > poll.at_ns:
            if poll is not None:
                yield poll
            poll = Recorded(at_ns)
        _take(poll, match)
    if poll is None:
        raise InputError(f"{path}: no answer of a Modbus device can be read from it")
    yield poll


def _take(poll: Recorded, match: re.Match[str]) -> None:
    function, address, data = int(match[4]), int(match[5], 16), match[6]
    if data is None:
        poll.declined.append(Read(function, address, 1))
        return
    words = [int(data[i : i + 4], 16) for i in range(0, len(data), 4)]
    poll.image.take(Read(function, address, len(words)), words)


def _lines(path: Path) -> Iterator[str]:
    try:
        with _opened(path) as file:
            while text := file.readline(MAX_LINE):
                yield text.strip()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="ascii", errors="replace")
    return path.open(encoding="ascii", errors="replace")
