"""WriteLog: the order in which a disk was written and flushed, in the format of the kernel's dm-log-writes.

A superblock fills the first sector. Then, entry by entry: one sector that says what was done, and the data written.
Kernel documentation, admin-guide/device-mapper/log-writes.rst, and drivers/md/dm-log-writes.c; QEMU's
block/blklogwrites.c writes the same. All numbers are little-endian.

A *position* is a length of the log in bytes: an entry belongs to it when it ends there or before.
"""

import contextlib
import enum
import mmap
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from packseal_hil.rig.protocols import RigError

MAGIC = 0x6A736677736872  # WRITE_LOG_MAGIC of dm-log-writes.c
VERSION = 1
SUPERBLOCK = struct.Struct("<QQQI")  # magic, version, number of entries, bytes per sector
HEADER = struct.Struct("<QQQQ")  # first sector, number of sectors, flags, bytes of a mark
LEAST_SECTOR, GREATEST_SECTOR = 512, 1 << 20

MAX_UNDER_WAY = 256
"""Entries that a killed QEMU may have counted before an earlier one was in the file: the size of a virtio-blk queue
(QEMU's hw/block/virtio-blk.c, property queue-size)."""


class Flag(enum.IntFlag):
    """What an entry is, dm-log-writes.c."""

    FLUSH = 1  # all writes before it that had ended are on the medium
    FUA = 2  # its own data is, when it ends
    DISCARD = 4  # no data follows
    MARK = 8  # a name for this place; no write
    METADATA = 16  # what the file system says of the write


ALL_FLAGS = sum(Flag)


class LogError(RigError):
    """The log is not one, or is damaged; says where."""


class Entry(NamedTuple):
    """One entry: where it is in the log (`start` to `end`) and what it did to the disk, in bytes."""

    start: int
    end: int
    flags: Flag
    at: int
    length: int
    data: int
    """Where in the log its data begins."""

    @property
    def writes(self) -> bool:
        """Whether it brings data."""
        return self.length > 0 and not self.flags & Flag.DISCARD


class WriteLog:
    """A log, mapped; only where its entries begin and end is kept in memory. Make it with `read`, end it with `close`.

    `end` is the position after the last whole entry. What a killed writer had begun after it does not count: nobody was
    told that it had ended.
    """

    def __init__(self, path: Path, data: mmap.mmap, disk_bytes: int | None) -> None:
        self.path = path
        self._data = data
        self._disk_bytes = disk_bytes
        self._starts, self._ends = array("Q"), array("Q")
        self._counted, self.sector_bytes = self._read_superblock()
        self.end = self._index()

    @classmethod
    def read(cls, path: Path, disk_bytes: int | None = None) -> Self:
        """Open and check the log.

        Args:
            path: the log.
            disk_bytes: the size of the disk that was written; an entry beyond it is an error.

        Raises:
            LogError: it cannot be read, is no log, or an entry cannot be true; names the place.
        """
        try:
            with path.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
            raise LogError(f"the write log {path} cannot be read: {error}") from error
        try:
            return cls(path, data, disk_bytes)
        except LogError:
            data.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._starts)

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(BufferError):  # a view of the data is still held; the map goes with it
            self._data.close()

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Yield the entries that begin at position `start` or later and belong to position `end`, in order."""
        last = len(self) if end is None else bisect_right(self._ends, end)
        for number in range(bisect_left(self._starts, start), last):
            yield self._entry(self._starts[number])

    def positions(self, start: int, end: int) -> "array[int]":
        """Return every position from `start` to `end` at which an entry has just ended."""
        return self._ends[bisect_left(self._ends, start) : bisect_right(self._ends, end)]

    def data(self, entry: Entry) -> memoryview:
        """Return what `entry` wrote; release the view before the log is closed."""
        return memoryview(self._data)[entry.data : entry.data + entry.length]

    def mark(self, entry: Entry) -> bytes:
        """Return the text of a mark."""
        start = entry.start + HEADER.size
        return self._data[start : start + HEADER.unpack_from(self._data, entry.start)[3]]

    def _read_superblock(self) -> tuple[int, int]:
        if len(self._data) < SUPERBLOCK.size:
            raise LogError(f"{self.path} ends within its superblock: nothing was flushed before the writer ended")
        magic, version, count, sector = SUPERBLOCK.unpack_from(self._data)
        if not any(self._data[: SUPERBLOCK.size]):  # QEMU writes it with the first flush
            raise LogError(f"{self.path} has no superblock yet: nothing was flushed before the writer ended")
        if magic != MAGIC:
            raise LogError(f"{self.path} is no write log: it begins with {magic:#x}, not {MAGIC:#x}")
        if version != VERSION:
            raise LogError(f"{self.path} is a write log of version {version}; version {VERSION} is read here")
        if not LEAST_SECTOR <= sector <= GREATEST_SECTOR or sector & (sector - 1):
            raise LogError(f"{self.path} has sectors of {sector} bytes; a power of two from 512 on is needed")
        return int(count), int(sector)

    def _index(self) -> int:
        position = self.sector_bytes
        while position + self.sector_bytes <= len(self._data):
            # A header that the writer had not written yet is a hole; no entry looks like one.
            if not any(self._data[position : position + HEADER.size]):
                break
            entry = self._entry(position)
            self._check(entry)
            if entry.end > len(self._data):
                break
            self._starts.append(entry.start)
            self._ends.append(entry.end)
            position = entry.end
        if self._counted - len(self) > MAX_UNDER_WAY:
            raise LogError(
                f"{self.path} is cut short: it counts {self._counted} entries, {len(self)} are there, "
                f"the next should begin at byte {position}"
            )
        return position

    def _entry(self, start: int) -> Entry:
        sector, sectors, flags, _ = HEADER.unpack_from(self._data, start)
        if flags & ~ALL_FLAGS:
            raise LogError(f"{self.path}, byte {start}: an entry with unknown flags {flags:#x}; the log is damaged")
        data = start + self.sector_bytes
        length = sectors * self.sector_bytes
        end = data if flags & Flag.DISCARD else data + length
        return Entry(start, end, Flag(flags), sector * self.sector_bytes, length, data)

    def _check(self, entry: Entry) -> None:
        where = f"{self.path}, byte {entry.start}"
        size = HEADER.unpack_from(self._data, entry.start)[3]
        marks = bool(entry.flags & Flag.MARK)
        if marks and (entry.length or HEADER.size + size > self.sector_bytes):
            raise LogError(f"{where}: a mark that writes or does not fit its sector; the log is damaged")
        if self._disk_bytes is not None and entry.at + entry.length > self._disk_bytes:
            raise LogError(
                f"{where}: a write to byte {entry.at} of {entry.length} bytes, beyond the disk's {self._disk_bytes}; "
                "the log is damaged or another disk's"
            )
        padding = entry.start + HEADER.size + (size if marks else 0)
        if any(self._data[padding : entry.start + self.sector_bytes]):
            raise LogError(f"{where}: no entry, its sector is not empty behind the header; the log is damaged")
