"""Aggregate: samples of parts in, samples of the whole out, one per period. The samples' own times decide.

What a part said holds until it speaks again, if that is within its gap limit; a longer interval is a gap, as for the
meter. So a sample of the whole waits until every part has spoken beyond it, or is known to be silent.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from packseal.core.combining import Combiner, Part, Said
from packseal.core.quantities import Channel
from packseal.core.sample import NS_PER_S, EventCode, Instant, Notice, Sample

MAX_HELD = 4096
"""Samples of one part that wait. With more, another one that is behind by half of them is not waited for."""

NS_PER_MS = 1_000_000
FAR_NS = 1 << 62


@dataclass(slots=True)
class _Track:
    """What is known of one part. `taken` is the last sample that counts already, the others wait in `queue`."""

    part: Part
    limit_ns: int
    queue: deque[Sample] = field(default_factory=deque)
    held: dict[Channel, tuple[float, int]] = field(default_factory=dict)
    taken: Instant | None = None
    latest_ns: int | None = None
    lost: bool = False
    told: bool = False

    def take_until(self, end_ns: int) -> None:
        while self.queue and self.queue[0].at.mono_ns <= end_ns:
            self.take(self.queue.popleft())

    def take(self, sample: Sample) -> None:
        self.taken = sample.at
        if self.part.is_whole:
            self.held.clear()
        for channel in sample.flaws:
            self.held.pop(channel, None)
        for channel, value in sample.values.items():
            self.held[channel] = value, sample.at.mono_ns

    def is_heard(self, start_ns: int) -> bool:
        """Whether it spoke since then, or before and again after it without a gap."""
        if self.taken is None:
            return False
        last_ns = self.taken.mono_ns
        return last_ns > start_ns or bool(self.queue and self.queue[0].at.mono_ns - last_ns <= self.limit_ns)

    def said(self, end_ns: int) -> Said:
        return {c: value for c, (value, at_ns) in self.held.items() if end_ns - at_ns <= self.limit_ns}


class Aggregator:
    """Makes samples of the whole, and tells once when a part falls silent or the parts disagree.

    Args:
        combiner: knows the parts and how they are connected.
        period_s: seconds per sample of the whole, above 0.
        patient: whether a part that is behind is waited for, as in a replay, where behind is not silent.
    """

    def __init__(self, combiner: Combiner, period_s: float, *, patient: bool = False) -> None:
        self._combiner = combiner
        self._period_ns = round(period_s * NS_PER_S)
        self._patient = patient
        self._tracks = [_Track(part, round(part.gap_limit_s * NS_PER_S)) for part in combiner.parts]
        self._limit_ns = max(track.limit_ns for track in self._tracks)
        self._first_ns: int | None = None
        self._newest_ns = 0
        self._done_ns = -1
        self._apart: tuple[int, bool] | None = None

    @property
    def silent(self) -> Sequence[str]:
        """The ids of the parts whose silence was told."""
        return [track.part.id for track in self._tracks if track.told]

    def feed(self, number: int, sample: Sample) -> list[Sample | Notice]:
        """Account for a sample of the part with this number, from 0; return what is known by it."""
        track, now_ns = self._tracks[number], sample.at.mono_ns
        if track.latest_ns is not None and now_ns <= track.latest_ns:
            return []
        track.latest_ns, track.lost = now_ns, False
        self._see(now_ns)
        if now_ns <= self._done_ns:
            track.take(sample)
        else:
            track.queue.append(sample)
        return self._drain()

    def lose(self, number: int) -> list[Sample | Notice]:
        """Do not wait for this part until it speaks again: its wire is lost, or its recording has ended."""
        self._tracks[number].lost = True
        return self._drain()

    def tick(self, now: Instant) -> list[Sample | Notice]:
        """Return what is known by the present, on the parts' own clock; tells of silence when nobody speaks."""
        self._see(now.mono_ns)
        said = self._drain()
        waited = [self._is_waited_for(track) for track in self._tracks]
        return said + self._judge(waited, now, may_recover=False)

    def finish(self) -> list[Sample | Notice]:
        """Return the rest when every part has ended."""
        for track in self._tracks:
            track.lost = True
        self._newest_ns = FAR_NS
        return self._drain()

    def _see(self, now_ns: int) -> None:
        self._newest_ns = max(self._newest_ns, now_ns)
        if self._first_ns is None:
            self._first_ns = now_ns

    def _is_waited_for(self, track: _Track) -> bool:
        since_ns = (self._first_ns or 0) if track.latest_ns is None else track.latest_ns
        crowded = (other.queue for other in self._tracks if len(other.queue) > MAX_HELD)
        if track.lost or any(queue[len(queue) // 2].at.mono_ns > since_ns for queue in crowded):
            return False
        return self._patient or self._newest_ns - since_ns <= track.limit_ns

    def _drain(self) -> list[Sample | Notice]:
        said: list[Sample | Notice] = []
        while True:
            pending = [track.queue[0].at.mono_ns for track in self._tracks if track.queue]
            if not pending:
                return said
            end_ns = -(-min(pending) // self._period_ns) * self._period_ns
            waited = [-1 if t.latest_ns is None else t.latest_ns for t in self._tracks if self._is_waited_for(t)]
            if end_ns > min(waited, default=self._newest_ns):
                return said
            said += self._close(end_ns)

    def _close(self, end_ns: int) -> list[Sample | Notice]:
        """Return the sample of the period that ends now, and what is to be told of it."""
        for track in self._tracks:
            track.take_until(end_ns)
        self._done_ns = end_ns
        heard = [track.is_heard(end_ns - self._period_ns) for track in self._tracks]
        near = next(t.taken for t, h in zip(self._tracks, heard, strict=True) if h and t.taken is not None)
        at = Instant(end_ns, near.wall_ns + end_ns - near.mono_ns, near.quality)
        parts = [t.said(end_ns) if h else {} for t, h in zip(self._tracks, heard, strict=True)]
        combined = self._combiner.combine(parts)
        said: list[Sample | Notice] = [*self._judge(heard, at), *self._compare(combined.spread, at)]
        return [*said, Sample(at, combined.values)] if combined.values else said

    def _judge(self, heard: Sequence[bool], at: Instant, *, may_recover: bool = True) -> list[Notice]:
        """Tell of each part that falls silent once, and once when all are heard again."""
        notices: list[Notice] = []
        were_silent = any(track.told for track in self._tracks)
        for track, is_heard in zip(self._tracks, heard, strict=True):
            if not is_heard and not track.told and not self._is_early(track, at):
                track.told = True
                notices.append(Notice(EventCode.BUS_SILENT, at, {"part": track.part.id, **self._silence(track, at)}))
            elif is_heard and may_recover:
                track.told = False
        if were_silent and not any(track.told for track in self._tracks):
            notices.append(Notice(EventCode.BUS_RECOVERED, at, {"after": EventCode.BUS_SILENT.name.lower()}))
        return notices

    def _is_early(self, track: _Track, at: Instant) -> bool:
        """Whether it has never spoken yet, and need not have: wires are not all open at once."""
        return track.taken is None and at.mono_ns - (self._first_ns or 0) <= track.limit_ns

    def _silence(self, track: _Track, at: Instant) -> dict[str, int | str]:
        since_ns = self._first_ns if track.taken is None else track.taken.mono_ns
        return {} if since_ns is None else {"silent_ms": max(0, at.mono_ns - since_ns) // NS_PER_MS}

    def _compare(self, spread: float | None, at: Instant) -> list[Notice]:
        """Tell once that the parts have disagreed for longer than the gap limit; a load step is over by then."""
        if spread is None:
            self._apart = None
            return []
        since_ns, told = self._apart or (at.mono_ns, False)
        due = not told and at.mono_ns - since_ns > self._limit_ns
        self._apart = since_ns, told or due
        if not due:
            return []
        quantity = self._combiner.shared.quantity
        scaled = round(spread * 1000)
        unit = "ma" if quantity.unit == "A" else "mv"
        facts: dict[str, int | str] = {"quantity": quantity.key, f"spread_{unit}": scaled, "reason": "parts disagree"}
        return [Notice(EventCode.VALUES_FLAWED, at, facts)]
