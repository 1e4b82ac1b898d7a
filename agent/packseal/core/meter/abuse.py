"""Deep-discharge and overcharge events: entries into a voltage band, with a minimum duration and hysteresis.

A deep discharge begins when the lowest cell is below the declared cut-off for 10 s, an overcharge when the highest is
above the declared limit for 1 s. It is over when the cell is 100 mV back inside; only then can another be counted. The
thresholds are the manufacturer's (Annex VII B names the events and leaves the limits to the declaration).
"""

import math
from dataclasses import dataclass, field

from packseal.core.declared import Declared
from packseal.core.meter.interval import Observed
from packseal.core.meter.view import CELL_SOURCES, View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import EventCode, Instant, Notice

DEEP_DISCHARGE_S = 10.0
OVERCHARGE_S = 1.0
HYSTERESIS_V = 0.1
WELL_INSIDE_V = HYSTERESIS_V + 0.001
"""Beyond the hysteresis whatever the rounding."""
PACK_SOURCE = frozenset({Quantity.PACK_VOLTAGE_V})


@dataclass(slots=True)
class BandState:
    """One kind of event: how often, and how long the present stay has lasted."""

    count: int = 0
    inside_s: float = 0.0
    inside: bool = False
    counted: bool = False
    observed: Observed = field(default_factory=Observed)
    last_wall_ms: int = 0


@dataclass(slots=True)
class AbuseState:
    """Both kinds."""

    deep: BandState = field(default_factory=BandState)
    over: BandState = field(default_factory=BandState)


class Abuse:
    """Counts harmful voltage events and tells of each when it is counted."""

    def __init__(self, declared: Declared, delivers: frozenset[Quantity], limit_ns: int, state: AbuseState) -> None:
        self._declared = declared
        self._delivers = delivers
        self._limit_ns = limit_ns
        # A battery that delivers cell voltages is judged by nothing else.
        self._sources = CELL_SOURCES if delivers & CELL_SOURCES else PACK_SOURCE
        low, high = declared.cell_voltage_min_v, declared.cell_voltage_max_v
        both = low is not None and high is not None
        self._well_above_v = (low or 0.0) + WELL_INSIDE_V if both else math.inf
        self._well_below_v = (high or 0.0) - WELL_INSIDE_V
        # Both see the same samples; an older state, or one made of a snapshot, may know of only one of them.
        seen = max(state.deep.observed, state.over.observed, key=lambda one: one.covered_ns + one.gap_ns)
        state.deep.observed = state.over.observed = seen
        self.state = state

    def feed(self, view: View) -> list[Notice] | None:
        """Account for one sample; return a notice for each event counted now."""
        lowest, highest = view.lowest_v, view.highest_v
        deep, over = self.state.deep, self.state.over
        if lowest is None or highest is None:
            if view.flawed & self._sources:
                deep.observed.miss(view.mono_ns)
            return None
        seconds = deep.observed.step(view.mono_ns, self._limit_ns)
        if lowest > self._well_above_v and highest < self._well_below_v:
            # Back inside by more than the hysteresis, which is where a battery spends its life.
            if deep.inside or deep.counted or over.inside or over.counted:
                deep.counted = deep.inside = over.counted = over.inside = False
            deep.last_wall_ms = over.last_wall_ms = view.wall_ms
            return None
        return self._near(lowest, highest, seconds, view)

    def _near(self, lowest: float, highest: float, seconds: float, view: View) -> list[Notice]:
        """Account for a sample near one of the limits or beyond."""
        low, high = self._declared.cell_voltage_min_v, self._declared.cell_voltage_max_v
        notices: list[Notice] = []
        if low is not None and _step(self.state.deep, low - lowest, DEEP_DISCHARGE_S, seconds, view.wall_ms):
            notices.append(_notice(EventCode.DEEP_DISCHARGE, lowest, low, view.sample.at))
        if high is not None and _step(self.state.over, highest - high, OVERCHARGE_S, seconds, view.wall_ms):
            notices.append(_notice(EventCode.OVERCHARGE, highest, high, view.sample.at))
        return notices

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of `gap_ns`."""
        self.state.deep.observed.resume(gap_ns)

    def readings(self) -> list[Reading]:
        """Return both event counts."""
        low, high = self._declared.cell_voltage_min_v, self._declared.cell_voltage_max_v
        return [
            self._reading(Field.DEEP_DISCHARGE_EVENTS, self.state.deep, low),
            self._reading(Field.OVERCHARGE_EVENTS, self.state.over, high),
        ]

    def _reading(self, field: Field, band: BandState, limit_v: float | None) -> Reading:
        by_pack = Quantity.PACK_VOLTAGE_V in self._delivers
        if not self._delivers & CELL_SOURCES and not by_pack:
            return Reading(field, missing=Missing.NOT_REPORTED)
        if limit_v is None or (not self._delivers & CELL_SOURCES and self._declared.cells_in_series is None):
            return Reading(field, missing=Missing.NOT_DECLARED)
        if not band.last_wall_ms:
            return Reading(field, missing=Missing.NO_DATA)
        return Reading(
            field,
            value=float(band.count),
            originator=Originator.DERIVED,
            method=Method.EVENT_COUNT,
            last_update_ms=band.last_wall_ms,
            coverage=band.observed.coverage,
        )


def _step(band: BandState, depth_v: float, needed_s: float, seconds: float, wall_ms: int) -> bool:
    """Account for one interval; return whether an event is counted now. `depth_v` is how far the cell is beyond."""
    band.last_wall_ms = wall_ms
    if depth_v < -HYSTERESIS_V:
        band.counted = band.inside = False
        return False
    was_inside, band.inside = band.inside, depth_v > 0
    band.inside_s = band.inside_s + seconds if was_inside and band.inside else 0.0
    if band.inside and not band.counted and band.inside_s >= needed_s:
        band.count += 1
        band.counted = True
        return True
    return False


def _notice(code: EventCode, cell_v: float, limit_v: float, at: Instant) -> Notice:
    return Notice(code, at, {"cell_mv": round(cell_v * 1000), "limit_mv": round(limit_v * 1000)})
