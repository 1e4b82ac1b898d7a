"""Keeping: which log may give up what next, so that all logs together stay within the limits of [keep].

What the sink has goes first, from every log, whoever wrote it. What it does not have goes from the logs that are being
recorded alone, for their own pens must name it: thinned in all of them before anything is dropped in one.
"""

import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packseal.config_keep import BYTES_PER_MB, Keep
from packseal.core.bodies import GapCause
from packseal.core.errors import PacksealError
from packseal.core.holes import Hole
from packseal.journal import retention
from packseal.journal.retention import NEVER_MS, Found, Step, Urgency
from packseal.journal.store import LogStats
from packseal.runtime.desk import Desk

log = logging.getLogger(__name__)

MS_PER_DAY, NS_PER_MS = 86_400_000, 1_000_000
DISK_SHARE = 10
"""Of a small disk, a tenth is kept free, whatever `free_disk_mb` says."""
TOLD_AFTER_S = 30.0
RETRY_S = 60.0
ASKS_WITHIN_S = 10.0
SETTLED_S, WINDOWS = 90.0, 1.5
"""A receipt is written alone when nothing has been sealed for so many windows, of which the default one has 60 s."""


@dataclass(frozen=True, slots=True)
class Removed:
    """How many records are gone so, and of what time, UTC ms; 0 where there is none."""

    records: int = 0
    from_wall_ms: int = 0
    to_wall_ms: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """What the operator sees. `oldest_ms` is None for an empty journal; `forgotten` records are at the sink."""

    bytes: int
    limit_bytes: int
    oldest_ms: int | None
    forgotten: int
    thinned: Removed
    dropped: Removed
    tight: str


class Keeper:
    """Says what goes next. `kept` is what is told of it; None until a log has first asked.

    Args:
        desk: the journal.
        keep: the limits.
        window_s: of the recordings.
    """

    def __init__(self, desk: Desk, keep: Keep, window_s: float = SETTLED_S / WINDOWS) -> None:
        self._desk = desk
        self._settled_s = WINDOWS * window_s
        self._keep = keep
        self._recorded: dict[bytes, float] = {}  # when its recorder last asked
        self._from: dict[tuple[bytes, Urgency, bool], int] = {}
        self._tell_at = self._retry_at = 0.0
        self.kept: Kept | None = None

    def share(self, log_id: bytes) -> Callable[[], Awaitable[Step | None]]:
        """Return what the recorder that has the pen of this log asks for its steps."""
        self._recorded[log_id] = time.monotonic()
        return lambda: self.next(log_id)

    async def next(self, log_id: bytes) -> Step | None:
        """Return what the recorder of this log is to seal and remove now; takes about a tenth of a second at most.

        What the sink has is removed by the way. A failure is told, and tried again after a minute.
        """
        self._recorded[log_id] = time.monotonic()
        if time.monotonic() < self._retry_at:
            return None
        try:
            return await self._desk.run(lambda: self._next(log_id))
        except PacksealError as error:
            self._retry_at = time.monotonic() + RETRY_S
            log.error("nothing can be removed from the journal now: %s", error)  # noqa: TRY400 - one line
            return None

    def _next(self, log_id: bytes) -> Step | None:
        self._desk.journal.settle(self._settled_s)
        tight, most = self._tight()
        forgot = self._forget(bool(tight))
        found = None if forgot else self._shrink(log_id, most) if tight else self._age(log_id)
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TOLD_AFTER_S
            self.kept = _told(self._desk.journal.stats(), self._desk.journal.holes, self._keep, tight)
        return found

    def _tight(self) -> tuple[str, Urgency]:
        """Return which limit is reached, and how far one may go for it; "" where none is."""
        journal = self._desk.journal
        if journal.size() > self._keep.journal_mb * BYTES_PER_MB:
            return "journal_mb", Urgency.DROP_ALL
        try:
            total, free = room(journal.path.parent)
        except OSError:
            return "", Urgency.FORGET
        least = min(self._keep.free_disk_mb * BYTES_PER_MB, total / DISK_SHARE)
        if free + journal.free_bytes() < least:
            # Who else fills the disk is not to cost a snapshot.
            return "free_disk_mb", Urgency.DROP_TELEMETRY
        return "", Urgency.FORGET

    def _forget(self, is_tight: bool) -> bool:  # noqa: FBT001 - private
        journal = self._desk.journal
        for entry in journal.logs():
            before_ms = NEVER_MS if is_tight else self._now_ms(entry.log_id) - _ms(self._keep.delivered_days)
            found = retention.forget(journal, entry.log_id, before_ms)
            if found is not None:
                journal.append(entry.log_id, (), None, found.removed)
                return True
        return False

    def _age(self, log_id: bytes) -> Step | None:
        now_ms, keep = self._now_ms(log_id), self._keep
        for how, days in ((Urgency.THIN_60, keep.thin_60s_after_days), (Urgency.THIN_10, keep.thin_10s_after_days)):
            before_ms = now_ms - _ms(days)
            found = self._find(log_id, how, before_ms)
            if found.entries:
                return self._take(log_id, how, before_ms, found)
        return None

    def _shrink(self, log_id: bytes, most: Urgency) -> Step | None:
        for how in Urgency:
            if not Urgency.FORGET < how <= most:
                continue
            found = self._find(log_id, how, NEVER_MS)
            if found.entries:
                return self._take(log_id, how, NEVER_MS, found)
            others = (self._find(other, how, NEVER_MS) for other in self._asking() if other != log_id)
            if found.more or any(other.entries or other.more for other in others):
                return None  # it is another log's turn, or there may still be some further on
        return None

    def _asking(self) -> list[bytes]:
        """Return the logs that can take a step: their recorders go on, and their disk takes what they write."""
        return [log_id for log_id, at in self._recorded.items() if time.monotonic() - at < ASKS_WITHIN_S]

    def _find(self, log_id: bytes, how: Urgency, before_ms: int) -> Found:
        start = self._from.get((log_id, how, before_ms == NEVER_MS), 0)
        found = retention.find(self._desk.journal, log_id, how, before_ms, start)
        if not found.entries:
            self._from[log_id, how, before_ms == NEVER_MS] = found.following
        return found

    def _take(self, log_id: bytes, how: Urgency, before_ms: int, found: Found) -> Step:
        self._from[log_id, how, before_ms == NEVER_MS] = found.following
        return retention.step(found, how)

    def _now_ms(self, log_id: bytes) -> int:
        """Return the time that the log's records are old by: a replayed recording is as old as its own clock says."""
        last = self._desk.journal.last(log_id)
        recorded = last is not None and log_id in self._recorded
        return last.wall_ms if last is not None and recorded else time.time_ns() // NS_PER_MS


def _told(stats: Sequence[LogStats], holes: Callable[[bytes], Sequence[Hole]], keep: Keep, tight: str) -> Kept:
    oldest = [one.oldest_wall_ms for one in stats if one.oldest_wall_ms is not None]
    forgotten = 0
    for one in stats:
        named = sum(max(0, min(last + 1, one.first) - first) for first, last in holes(one.log.log_id))
        forgotten += one.first - named
    return Kept(
        sum(one.bytes for one in stats),
        round(keep.journal_mb * BYTES_PER_MB),
        min(oldest, default=None),
        max(0, forgotten),
        _removed(stats, GapCause.THINNED),
        _removed(stats, GapCause.DROPPED),
        tight,
    )


def _removed(stats: Sequence[LogStats], cause: GapCause) -> Removed:
    named = [one for log_stats in stats for one in log_stats.removed if one.cause is cause]
    if not named:
        return Removed()
    times = min(one.from_wall_ms for one in named), max(one.to_wall_ms for one in named)
    return Removed(sum(one.records for one in named), *times)


def _ms(days: float) -> int:
    return round(days * MS_PER_DAY)


def room(directory: Path) -> tuple[int, int]:
    """Return the bytes of the disk that holds it, and those that are free to us; raises OSError."""
    found = os.statvfs(directory)  # as shutil.disk_usage, without the compressors that shutil imports
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
