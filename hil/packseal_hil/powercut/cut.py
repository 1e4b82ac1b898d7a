"""What a disk holds after the power was cut at a position of its write log.

Everything before the last flush is on the medium, and so are writes with FUA. Each later write was on its way: it is
lost, or there, whole or in parts. A discard says that its blocks do not matter; they are left as they were.
"""

import enum
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from packseal_hil.powercut import sparse
from packseal_hil.powercut.write_log import Entry, Flag, LogError, WriteLog


class Tear(enum.Enum):
    """What becomes of the writes that no flush covers."""

    LOST = "all lost"
    WRITES = "each there or lost as a whole"
    PAGES = "each 4 KiB of them there or lost"  # the page of the kernel, and of most flash translation layers
    SECTORS = "each 512 bytes of them there or lost"  # the least that a disk writes at once


_STEP = {Tear.PAGES: 4096, Tear.SECTORS: 512}


@dataclass(frozen=True, slots=True)
class Cut:
    """A disk after a cut. `open_bytes` were written and not flushed, `lost_bytes` of them are lost."""

    image: Path
    position: int
    open_bytes: int
    lost_bytes: int


class Cutter:
    """Cuts one log at many positions, in rising order: what is durable by then is kept from cut to cut.

    Args:
        base: the disk as it was before the log began; not changed.
        log: what was written.
        work: a directory for images; two of them are kept there.
    """

    def __init__(self, base: Path, log: WriteLog, work: Path) -> None:
        self._log = log
        self._work = work
        self._durable = work / "durable.img"
        self._bytes = base.stat().st_size
        self._flushed = 0
        sparse.copy(base, self._durable)
        self._descriptor = os.open(self._durable, os.O_WRONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the images."""
        os.close(self._descriptor)
        for path in (self._durable, self._work / "cut.img"):
            path.unlink(missing_ok=True)

    def cut(self, position: int, tear: Tear, rng: random.Random, keep: float = 0.5) -> Cut:
        """Return the disk after a cut at `position`; it is there until the next call.

        Args:
            position: not before that of the call before.
            tear: what becomes of writes that were not flushed.
            rng: decides it.
            keep: the chance that such a part is on the medium.

        Raises:
            ValueError: the position lies before what is durable already.
            LogError: the log writes beyond the disk.
        """
        if position < self._flushed:
            raise ValueError(f"cuts go forward: {position} lies before {self._flushed}")
        self._advance(position)
        image = self._work / "cut.img"
        sparse.copy(self._durable, image)
        descriptor = os.open(image, os.O_WRONLY)
        try:
            written, lost = self._finish(descriptor, position, tear, rng, keep)
        finally:
            os.close(descriptor)
        return Cut(image, position, written, lost)

    def _advance(self, position: int) -> None:
        flush = self._flushed
        for entry in self._log.entries(self._flushed, position):
            if entry.flags & Flag.FLUSH:
                flush = entry.start  # a flush that brings data covers what was before it, not its own
        for entry in self._log.entries(self._flushed, flush):
            if entry.writes:
                self._write(self._descriptor, entry, 0, entry.length)
        self._flushed = flush

    def _finish(self, descriptor: int, position: int, tear: Tear, rng: random.Random, keep: float) -> tuple[int, int]:
        written = lost = 0
        for entry in self._log.entries(self._flushed, position):
            if not entry.writes:
                continue
            durable = bool(entry.flags & Flag.FUA)
            written += 0 if durable else entry.length
            for start, end in parts(entry, Tear.WRITES if durable else tear):
                if durable or (tear is not Tear.LOST and rng.random() < keep):
                    self._write(descriptor, entry, start, end)
                else:
                    lost += end - start
        return written, lost

    def _write(self, descriptor: int, entry: Entry, start: int, end: int) -> None:
        if entry.at + end > self._bytes:
            raise LogError(f"{self._log.path}, byte {entry.start}: a write beyond the disk's {self._bytes} bytes")
        with self._log.data(entry) as data, data[start:end] as part:
            os.pwrite(descriptor, part, entry.at + start)


def parts(entry: Entry, tear: Tear) -> Iterator[tuple[int, int]]:
    """Yield the parts of a write that are there or lost together: from and to, in bytes of its data.

    They lie between the disk's own boundaries, not the write's.
    """
    step = _STEP.get(tear, entry.at + entry.length)
    start = 0
    while start < entry.length:
        end = min(entry.length, start + step - (entry.at + start) % step)
        yield start, end
        start = end


def cut_image(base: Path, log: WriteLog, position: int, rng: random.Random, tear: Tear, work: Path) -> Path:
    """Return the image of one cut, in `work`; for more than one, a Cutter is cheaper."""
    with Cutter(base, log, work) as cutter:
        cut = cutter.cut(position, tear, rng)
        return cut.image.rename(work / f"cut-{position}.img")
