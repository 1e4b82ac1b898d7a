"""Write logs made by hand, byte by byte as dm-log-writes.c lays them out, and what a simple model says of them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


@dataclass(frozen=True)
class Step:
    """A write of `data` at sector `sector`; without data a flush, discard (of `sectors`) or mark."""

    sector: int = 0
    data: bytes = b""
    flags: int = 0
    sectors: int = 0
    text: bytes = b""

    def encode(self) -> bytes:
        sectors = len(self.data) // SECTOR or self.sectors
        header = struct.pack("<QQQQ", self.sector, sectors, self.flags, len(self.text)) + self.text
        return header.ljust(SECTOR, b"\0") + self.data


def superblock(count: int, *, magic: int = MAGIC, version: int = 1, sector: int = SECTOR) -> bytes:
    return struct.pack("<QQQI", magic, version, count, sector).ljust(SECTOR, b"\0")


def encode(steps: Sequence[Step], count: int | None = None) -> bytes:
    return superblock(len(steps) if count is None else count) + b"".join(step.encode() for step in steps)


def write(path: Path, steps: Sequence[Step]) -> Path:
    path.write_bytes(encode(steps))
    return path


def end_of(steps: Sequence[Step]) -> int:
    """The position after these steps."""
    return len(encode(steps))


def put(disk: bytearray, step: Step) -> None:
    disk[step.sector * SECTOR : step.sector * SECTOR + len(step.data)] = step.data


def durable(base: bytes, steps: Sequence[Step]) -> tuple[bytes, list[Step]]:
    """What is on the medium for certain, FUA aside, and the writes after it: a list of writes, nothing clever."""
    last = max((number for number, step in enumerate(steps) if step.flags & FLUSH), default=0)
    disk = bytearray(base)
    for step in steps[:last]:
        put(disk, step)
    return bytes(disk), [step for step in steps[last:] if step.data]
