"""Sampler: frames in, samples out. Pure: the frames' own times decide, no clock is asked."""

from collections.abc import Callable, Iterable
from typing import Any

from packseal.core.quantities import Channel
from packseal.core.sample import NS_PER_S, Flaw, Frame, Instant, LinkCounts, Sample
from packseal_drivers.decoding import SHORT, UNKNOWN_MULTIPLEXER, Decoders

Stamp = Callable[[int], Instant]
"""Gives the instant of a monotonic time in nanoseconds."""


class Sampler:
    """Decodes frames and makes one sample per period, or one per distinct frame time where the period is 0.

    A sample of a period carries the time of the period's end; a channel that was not heard in it is absent.

    Args:
        decoders: of the profile.
        period_s: length of a sample; 0 for one of every distinct time.
        counts: where unknown, short and flawed are counted.
    """

    def __init__(self, decoders: Decoders, period_s: float, counts: LinkCounts) -> None:
        self._table = decoders.table
        self._channels = decoders.channels
        self._averaged = [i for i, averaged in enumerate(decoders.averaged) if averaged]
        self._period_ns = round(period_s * NS_PER_S)
        self._counts = counts
        self._end_ns: int | None = None
        self._heard = False
        self._clear()

    def feed(self, frames: Iterable[Frame], stamp: Stamp) -> list[Sample]:
        """Account for frames in the order of their times; return the samples that are complete by them."""
        samples: list[Sample] = []
        counts, table, flag = self._counts, self._table, self._flag
        for address, data, mono_ns in frames:
            counts.frames += 1
            if self._end_ns is None or mono_ns >= self._end_ns:
                self._turn(mono_ns, stamp, samples)
            decode = table.get(address)
            if decode is None:
                counts.unknown += 1
                continue
            trouble = decode(data, self._slots, flag)
            if trouble is None:
                self._heard = True
            elif trouble == SHORT:
                counts.short += 1
            elif trouble == UNKNOWN_MULTIPLEXER:
                counts.unknown += 1
        return samples

    def finish(self, now_ns: int, stamp: Stamp) -> list[Sample]:
        """Return the open sample if its period is over at `now_ns`; at the end of a source, pass a late time."""
        samples: list[Sample] = []
        if self._end_ns is not None and now_ns >= self._end_ns:
            self._close(stamp, samples)
            self._end_ns = None
        return samples

    def _turn(self, mono_ns: int, stamp: Stamp, samples: list[Sample]) -> None:
        if self._end_ns is not None:
            self._close(stamp, samples)
        # Without a period the sample ends as soon as another time comes, and its own time is the frames'.
        self._end_ns = mono_ns + 1 if not self._period_ns else (mono_ns // self._period_ns + 1) * self._period_ns

    def _close(self, stamp: Stamp, samples: list[Sample]) -> None:
        if not self._heard and not self._flaws:
            return
        slots = self._slots
        for i in self._averaged:
            good = [v for v in slots[i] if v is not None]
            slots[i] = sum(good) / len(good) if good else None
        values = {c: float(v) for c, v in zip(self._channels, slots, strict=True) if v is not None}
        flaws = {c: f for c, f in self._flaws.items() if c not in values}
        end_ns = self._end_ns or 0
        if values or flaws:
            samples.append(Sample(stamp(end_ns if self._period_ns else end_ns - 1), values, flaws))
            self._counts.samples += 1
        self._clear()

    def _clear(self) -> None:
        self._slots: list[Any] = [None] * len(self._channels)
        for i in self._averaged:
            self._slots[i] = []
        self._flaws: dict[Channel, Flaw] = {}
        self._heard = False

    def _flag(self, slot: int, flaw: int) -> None:
        """Note an unusable value; what it returns, nothing, is put into the slot."""
        self._counts.flawed += 1
        self._flaws[self._channels[slot]] = Flaw(flaw)
