"""The BMS's own counters, followed over resets, roll-overs and a new BMS, and held against what the meter counted.

A counter that falls is believed when it has said so three times in a row; then its history is kept and it goes on from
there. Fallen to (almost) nothing it was reset or rolled over; fallen to anything else it is another BMS's.
"""

from math import hypot

import msgspec

from packseal.core.bodies import LifecycleCode
from packseal.core.declared import Declared
from packseal.core.meter.throughput import AS_PER_AH, WS_PER_KWH, ThroughputState
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Instant, Notice

SOURCES = {
    Field.CYCLES_BMS: Channel(Quantity.CYCLES),
    Field.CAPACITY_DISCHARGED_BMS: Channel(Quantity.CHARGE_DISCHARGED_AH),
    Field.ENERGY_DISCHARGED_BMS: Channel(Quantity.ENERGY_DISCHARGED_KWH),
}
TIMES_SAID = 3
"""One message with a flipped bit that its checksum missed is not a reset."""
RESET_SHARE = 0.01
"""Below this share of what it was, a counter has begun again from zero."""
MOST_C_RATE = 20.0
"""No traction or storage battery is discharged at more; a counter that grows faster is another BMS's."""
TOGETHER_MS = 60_000
"""Counters of one BMS fall within the same minute: each is stated at least that often."""
DISAGREES_SIGMAS = 3.0
COUNTER_RELATIVE = 0.01
"""Relative standard uncertainty of a BMS's counter: it integrates the same class of shunt as the current."""
LEAST_CYCLES = 2.0
"""Full equivalent cycles before a comparison says anything."""


class Followed(msgspec.Struct):
    """One counter: what to add to what it says, what it said last, and a fall that is not believed yet.

    `stretch` and `ours` are the growth of this counter and of ours in the same unit, over what both have seen.
    """

    base: float = 0.0
    said: float | None = None
    said_ms: int = 0
    said_ns: int | None = None
    strange: float | None = None
    strange_times: int = 0
    grown: float = 0.0
    ours: float = 0.0
    ours_then: float = 0.0
    stretches: int = 0
    coarsest: float = 0.0
    told: bool = False
    fell_ms: int = 0


class CountersState(msgspec.Struct):
    """Per field key."""

    followed: dict[str, Followed] = msgspec.field(default_factory=dict)
    replaced_ms: int = 0


class Counters:
    """Follows what the BMS counts. `throughput` is the state of the meter's own counters."""

    def __init__(
        self,
        declared: Declared,
        delivers: frozenset[Quantity],
        limit_ns: int,
        state: CountersState,
        throughput: ThroughputState,
    ) -> None:
        self._declared = declared
        self._limit_ns = limit_ns
        self._throughput = throughput
        self._channels = [(field, channel) for field, channel in SOURCES.items() if channel.quantity in delivers]
        self.state = state

    @property
    def follows(self) -> bool:
        """Whether this BMS has any counter."""
        return bool(self._channels)

    def feed(self, view: View) -> list[Notice] | None:
        """Account for one sample; return what a counter did that it must not."""
        told: list[Notice] = []
        values = view.sample.values
        for field, channel in self._channels:
            value = values.get(channel)
            if value is not None:
                told += self._follow(field, value, view)
        return told

    def _follow(self, field: Field, value: float, view: View) -> list[Notice]:
        one = self.state.followed.setdefault(field.key, Followed())
        if one.said is None:
            # Another BMS after one that was replaced: its counter begins near zero, or with another battery's history.
            if one.base and value > RESET_SHARE * one.base:
                one.base -= value
            _take(one, value, view)
            one.ours_then = self._ours(field)
            return []
        if one.said <= value <= one.said + self._most(field, one, view):
            one.strange_times = 0
            return self._grow(field, one, value, view)
        one.strange_times = one.strange_times + 1 if one.strange is not None and value >= one.strange else 1
        one.strange = value
        return self._begin_again(field, one, value, view) if one.strange_times >= TIMES_SAID else []

    def _grow(self, field: Field, one: Followed, value: float, view: View) -> list[Notice]:
        said, ours, before_ns = one.said or 0.0, self._ours(field), one.said_ns
        seen = before_ns is not None and view.mono_ns - before_ns <= self._limit_ns
        growth = value - said
        if seen:
            one.grown += growth
            one.ours += ours - one.ours_then
            one.coarsest = max(one.coarsest, growth)
        else:
            one.stretches += 1
        one.ours_then = ours
        _take(one, value, view)
        return self._compare(field, one, view) if growth and seen else []

    def _compare(self, field: Field, one: Followed, view: View) -> list[Notice]:
        """Tell once that the two have drifted apart, and again when they have agreed in between."""
        rated = self._rated(field)
        if rated is None or one.ours < LEAST_CYCLES * rated:
            return []
        relative = hypot(COUNTER_RELATIVE, self._declared.current_uncertainty)
        # A coarse counter shows of each stretch at most one step too much or too little.
        allowed = DISAGREES_SIGMAS * relative * one.ours + one.coarsest * (1 + one.stretches) ** 0.5
        apart = abs(one.grown - one.ours) > allowed
        tell, one.told = apart and not one.told, apart
        if not tell:
            return []
        facts = {"counter": field.key, "bms": f"{one.grown:.3f}", "ours": f"{one.ours:.3f}", "unit": field.unit}
        return [Notice(EventCode.COUNTER_DISAGREES, view.sample.at, facts)]

    def _begin_again(self, field: Field, one: Followed, value: float, view: View) -> list[Notice]:
        said = one.said or 0.0
        reset = value <= RESET_SHARE * said
        one.base += said if reset else said - value
        one.strange, one.strange_times, one.fell_ms = None, 0, view.wall_ms
        one.ours_then, one.stretches = self._ours(field), one.stretches + 1
        _take(one, value, view)
        facts = {"counter": field.key, "from": f"{said:.3f}", "to": f"{value:.3f}", "unit": field.unit}
        told = [Notice(EventCode.COUNTER_WENT_BACK, view.sample.at, facts)]
        recent = [f for f in self.state.followed.values() if f.fell_ms and view.wall_ms - f.fell_ms <= TOGETHER_MS]
        if len(recent) > 1 and not 0 <= view.wall_ms - self.state.replaced_ms <= TOGETHER_MS:
            self.state.replaced_ms = view.wall_ms
            told.append(Notice(EventCode.BMS_REPLACED, view.sample.at, {"counters": len(recent)}))
        return told

    def _most(self, field: Field, one: Followed, view: View) -> float:
        """Return by how much the counter may have grown since it was last said."""
        rated = self._rated(field)
        if rated is None or one.said_ns is None or view.mono_ns - one.said_ns > self._limit_ns:
            return float("inf")
        hours = (view.mono_ns - one.said_ns) / 3.6e12
        return max(MOST_C_RATE * hours * rated, rated)

    def _rated(self, field: Field) -> float | None:
        """Return one full cycle in the counter's unit."""
        declared = self._declared
        if field is Field.CAPACITY_DISCHARGED_BMS:
            return declared.rated_capacity_ah
        if field is Field.ENERGY_DISCHARGED_BMS:
            return declared.rated_energy_kwh
        return None if declared.rated_capacity_ah is None else 1.0

    def _ours(self, field: Field) -> float:
        if field is Field.ENERGY_DISCHARGED_BMS:
            return self._throughput.discharged_ws / WS_PER_KWH
        discharged_ah = self._throughput.discharged_as / AS_PER_AH
        if field is Field.CAPACITY_DISCHARGED_BMS:
            return discharged_ah
        return discharged_ah / (self._declared.rated_capacity_ah or 1.0)

    def resume(self, gap_ns: int) -> None:  # noqa: ARG002 - the length does not matter
        """Go on after a stop: what was counted in it is the BMS's alone."""
        for one in self.state.followed.values():
            one.said_ns = None

    def mark(self, code: LifecycleCode, at: Instant) -> None:  # noqa: ARG002 - counters have their own times
        """Let the counters of another BMS begin anew, on top of what the one before had counted."""
        if code is not LifecycleCode.BMS_REPLACED:
            return
        for key, one in self.state.followed.items():
            self.state.followed[key] = Followed(base=one.base + (one.said or 0.0), said_ms=one.said_ms)

    def readings(self) -> list[Reading]:
        """Return each counter that this BMS delivers."""
        delivered = {field for field, _ in self._channels}
        return [self._reading(f) if f in delivered else Reading(f, missing=Missing.NOT_REPORTED) for f in SOURCES]

    def _reading(self, field: Field) -> Reading:
        one = self.state.followed.get(field.key)
        if one is None or (one.said is None and not one.base):
            return Reading(field, missing=Missing.NO_DATA)
        method = Method.RECONCILED if one.base else Method.AS_REPORTED
        return Reading(field, one.base + (one.said or 0.0), None, Originator.BMS, method, one.said_ms)


def _take(one: Followed, value: float, view: View) -> None:
    one.said, one.said_ms, one.said_ns = value, view.wall_ms, view.mono_ns
