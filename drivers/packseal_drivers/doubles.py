"""Doubles: a second device with the same ids, seen by slow values that go back and forth between two numbers.

Two batteries that broadcast alike cannot be told apart by any frame; but no state of charge, health or counter of one
battery jumps away and back, again and again within seconds. To cost next to nothing it is looked for in a stretch of
every few minutes only, and only in messages that hold such a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from packseal.core.quantities import Quantity
from packseal.core.sample import NS_PER_S, EventCode, Frame, Instant, LinkCounts, Notice
from packseal_drivers.decoding import Decoders

LOOK_NS, EVERY_NS = 10 * NS_PER_S, 300 * NS_PER_S
AGAIN_NS = 3600 * NS_PER_S
"""How long one look is, how often there is one, and how soon it is told again at the earliest."""
RETURNS = 6
"""So often away and back within one look: a value that is calibrated jumps once."""
TRIES = 50
"""A message without any slow value in so many frames has none: multiplexed ones have come round by then."""

MANY = 16
"""Frames at once of which every one is looked at."""

LEAST = {
    Quantity.STATE_OF_CHARGE_PCT: 2.0,
    Quantity.STATE_OF_HEALTH_PCT: 2.0,
    Quantity.CYCLES: 2.0,
    Quantity.OPERATING_TIME_H: 2.0,
}
"""What counts as a jump, in the quantity's unit: more than rounding or the noise of an estimate."""


@dataclass(slots=True)
class _Trace:
    """The value now, the one before the last jump, and how often in a row a jump led back to it."""

    last: float
    before: float | None = None
    returns: int = 0

    def take(self, value: float, least: float) -> bool:
        """Whether the value has gone back and forth often enough."""
        if abs(value - self.last) < least:
            return False
        back = self.before is not None and abs(value - self.before) < least
        self.returns = self.returns + 1 if back else 0
        self.before, self.last = self.last, value
        return self.returns >= RETURNS


class DoubleWatch:
    """Frames in, notices out; pure. Counts what it tells.

    Args:
        decoders: of the profile.
        counts: of the link.
    """

    def __init__(self, decoders: Decoders, counts: LinkCounts) -> None:
        self._table = decoders.table
        slow = {slot: c.quantity for slot, c in enumerate(decoders.channels) if c.quantity in LEAST}
        self._slow = slow
        self._blank: list[Any] = [None] * len(decoders.channels)
        self._averaged = [slot for slot, averaged in enumerate(decoders.averaged) if averaged]
        self._counts = counts
        self._tries: dict[int, int] = {}
        self._carriers: set[int] = set()
        self._looked_at = set(decoders.table)
        self._begun_ns: int | None = None
        self._look = -1
        self._traces: dict[tuple[int, int], _Trace] = {}
        self._told_ns: int | None = None

    def feed(self, frames: Sequence[Frame], now: Instant) -> list[Notice]:
        """Look at frames in the order of their times; `now` stamps what is told, at most once an hour."""
        if not frames or not self._slow:
            return []
        if self._begun_ns is None:
            self._begun_ns = frames[0].mono_ns
        look, within_ns = divmod(frames[0].mono_ns - self._begun_ns, EVERY_NS)
        if within_ns >= LOOK_NS:
            return []
        if look != self._look:
            self._look = look
            self._traces.clear()
        wanted = [frame for frame in frames if frame.address in self._looked_at]
        if len(wanted) > MANY:
            # On a busy bus one frame of an id is enough: no device is the newest one every time.
            wanted = list({frame.address: frame for frame in wanted}.values())
        clashing = [frame.address for frame in wanted if self._clashes(frame)]
        return self._tell(clashing[0], now) if clashing else []

    def _clashes(self, frame: Frame) -> bool:
        address = frame.address
        decode = self._table.get(address)
        if decode is None:
            return False
        slots = self._blank[:]
        for slot in self._averaged:
            slots[slot] = []
        decode(frame.data, slots, _nothing)
        clash = False
        for slot, quantity in self._slow.items():
            value = slots[slot][0] if isinstance(slots[slot], list) and slots[slot] else slots[slot]
            if not isinstance(value, int | float):
                continue
            self._carriers.add(address)
            trace = self._traces.get((address, slot))
            if trace is None:
                self._traces[address, slot] = _Trace(value)
            else:
                clash |= trace.take(value, LEAST[quantity])
        if address not in self._carriers:
            self._tries[address] = tries = self._tries.get(address, 0) + 1
            if tries >= TRIES:
                self._looked_at.discard(address)
        return clash

    def _tell(self, address: int, now: Instant) -> list[Notice]:
        self._counts.doubles += 1
        if self._told_ns is not None and now.mono_ns - self._told_ns < AGAIN_NS:
            return []
        self._told_ns = now.mono_ns
        return [Notice(EventCode.ADDRESS_CLASH, now, {"address": address})]


def _nothing(slot: int, flaw: int) -> None:
    """Stand in for a flag: what is unusable is the sampler's business."""
