"""Sampler: frames in, samples out. Pure: the frames' own times decide, no clock is asked."""

from collections.abc import Callable, Sequence
from typing import Any

from packseal.core.quantities import Channel
from packseal.core.sample import NS_PER_S, Flaw, Frame, Instant, LinkCounts, Sample
from packseal_drivers.decoding import SHORT, UNKNOWN_MULTIPLEXER, Decoders
from packseal_drivers.decoding.codes import ANSWERS

Stamp = Callable[[int], Instant]
"""Gives the instant of a monotonic time in nanoseconds."""


NOT_BEGUN = -1


class Sampler:
    """Decodes frames and makes one sample per period, or one per distinct frame time where the period is 0.

    Whole answers are frames whose address is ANSWERS plus the number of the request.

    A sample of a period carries the time of the period's end; a channel that was not heard in it is absent.

    Args:
        decoders: of the profile.
        period_s: length of a sample; 0 for one of every distinct time.
        counts: where unknown, short and flawed are counted.
    """

    def __init__(self, decoders: Decoders, period_s: float, counts: LinkCounts) -> None:
        self._table = decoders.table
        if decoders.answers:
            self._table = {**decoders.table, **{ANSWERS + n: decode for n, decode in decoders.answers.items()}}
        self._channels = decoders.channels
        self._constants = decoders.constants
        self._averaged = [i for i, averaged in enumerate(decoders.averaged) if averaged]
        self._period_ns = round(period_s * NS_PER_S)
        self._counts = counts
        self._end_ns = NOT_BEGUN
        self._clear()

    def feed(self, frames: Sequence[Frame], stamp: Stamp) -> list[Sample]:
        """Account for frames in the order of their times; return the samples that are complete by them."""
        samples: list[Sample] = []
        find, flag, slots, end_ns = self._table.get, self._flag, self._slots, self._end_ns
        for address, data, mono_ns in frames:
            decode = find(address)
            if decode is None:
                self._counts.unknown += 1
                continue
            if mono_ns >= end_ns:
                self._turn(mono_ns, stamp, samples)
                slots, end_ns = self._slots, self._end_ns
            trouble = decode(data, slots, flag)
            if trouble:
                self._trouble(trouble)
        self._counts.frames += len(frames)
        return samples

    def finish(self, now_ns: int, stamp: Stamp) -> list[Sample]:
        """Return the open sample if its period is over at `now_ns`; at the end of a source, pass a late time."""
        samples: list[Sample] = []
        if now_ns >= self._end_ns > NOT_BEGUN:
            self._close(stamp, samples)
            self._end_ns = NOT_BEGUN
        return samples

    def _turn(self, mono_ns: int, stamp: Stamp, samples: list[Sample]) -> None:
        if self._end_ns > NOT_BEGUN:
            self._close(stamp, samples)
        # Without a period the sample ends as soon as another time comes, and its own time is the frames'.
        self._end_ns = mono_ns + 1 if not self._period_ns else (mono_ns // self._period_ns + 1) * self._period_ns

    def _close(self, stamp: Stamp, samples: list[Sample]) -> None:
        slots = self._slots
        for i, bands in self._constants.items():
            self._take_out(i, bands)
        for i in self._averaged:
            good = [v for v in slots[i] if v is not None]
            slots[i] = sum(good) / len(good) if good else None
        values = {c: float(v) for c, v in zip(self._channels, slots, strict=True) if v is not None}
        flaws = {c: f for c, f in self._flaws.items() if c not in values}
        if values or flaws:
            samples.append(Sample(stamp(self._end_ns if self._period_ns else self._end_ns - 1), values, flaws))
            self._counts.samples += 1
        self._clear()

    def _clear(self) -> None:
        self._slots: list[Any] = [None] * len(self._channels)
        for i in self._averaged:
            self._slots[i] = []
        self._flaws: dict[Channel, Flaw] = {}

    def _take_out(self, slot: int, bands: Sequence[tuple[float, float]]) -> None:
        """Flag what is a placeholder in this slot, so that it is never a value nor part of a mean."""
        value = self._slots[slot]
        if isinstance(value, list):
            self._slots[slot] = [self._unless_constant(v, slot, bands) for v in value]
        else:
            self._slots[slot] = self._unless_constant(value, slot, bands)

    def _unless_constant(self, value: float | None, slot: int, bands: Sequence[tuple[float, float]]) -> float | None:
        if value is not None and any(low <= value <= high for low, high in bands):
            self._flag(slot, Flaw.PLACEHOLDER)
            return None
        return value

    def _trouble(self, trouble: int) -> None:
        if trouble == SHORT:
            self._counts.short += 1
        elif trouble == UNKNOWN_MULTIPLEXER:
            self._counts.unknown += 1

    def _flag(self, slot: int, flaw: int) -> None:
        """Note an unusable value; what it returns, nothing, is put into the slot."""
        self._counts.flawed += 1
        self._flaws[self._channels[slot]] = Flaw(flaw)
