"""Deep-discharge and overcharge events: entries into a voltage band, with a minimum duration and hysteresis.

A deep discharge begins when the lowest cell is below the declared cut-off for 10 s, an overcharge when the highest is
above the declared limit for 1 s. It is over when the cell is 100 mV back inside; only then can another be counted. The
thresholds are the manufacturer's (Annex VII B names the events and leaves the limits to the declaration).
"""

import msgspec

from packseal.core.declared import Declared
from packseal.core.meter.interval import Observed
from packseal.core.meter.view import CELL_SOURCES, View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import EventCode, Instant, Notice

DEEP_DISCHARGE_S = 10.0
OVERCHARGE_S = 1.0
HYSTERESIS_V = 0.1
PACK_SOURCE = frozenset({Quantity.PACK_VOLTAGE_V})


class BandState(msgspec.Struct):
    """One kind of event: how often, and how long the present stay has lasted."""

    count: int = 0
    inside_s: float = 0.0
    inside: bool = False
    counted: bool = False
    observed: Observed = msgspec.field(default_factory=Observed)
    last_wall_ms: int = 0


class AbuseState(msgspec.Struct):
    """Both kinds."""

    deep: BandState = msgspec.field(default_factory=BandState)
    over: BandState = msgspec.field(default_factory=BandState)


class Abuse:
    """Counts harmful voltage events and tells of each when it is counted."""

    def __init__(self, declared: Declared, delivers: frozenset[Quantity], limit_ns: int, state: AbuseState) -> None:
        self._declared = declared
        self._delivers = delivers
        self._limit_ns = limit_ns
        # A battery that delivers cell voltages is judged by nothing else.
        self._sources = CELL_SOURCES if delivers & CELL_SOURCES else PACK_SOURCE
        self.state = state

    def feed(self, view: View) -> list[Notice] | None:
        """Account for one sample; return a notice for each event counted now."""
        lowest, highest = view.lowest_v, view.highest_v
        if lowest is None and not view.flawed & self._sources:
            return None
        low, high = self._declared.cell_voltage_min_v, self._declared.cell_voltage_max_v
        notices: list[Notice] = []
        if low is not None:
            depth = None if lowest is None else low - lowest
            if self._step(self.state.deep, depth, DEEP_DISCHARGE_S, view):
                notices.append(_notice(EventCode.DEEP_DISCHARGE, lowest, low, view.sample.at))
        if high is not None:
            depth = None if highest is None else highest - high
            if self._step(self.state.over, depth, OVERCHARGE_S, view):
                notices.append(_notice(EventCode.OVERCHARGE, highest, high, view.sample.at))
        return notices

    def _step(self, band: BandState, depth_v: float | None, needed_s: float, view: View) -> bool:
        seconds = band.observed.step(view.mono_ns, usable=depth_v is not None, limit_ns=self._limit_ns)
        if depth_v is None:
            return False
        band.last_wall_ms = view.wall_ms
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

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of `gap_ns`."""
        self.state.deep.observed.resume(gap_ns)
        self.state.over.observed.resume(gap_ns)

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


def _notice(code: EventCode, cell_v: float | None, limit_v: float, at: Instant) -> Notice:
    return Notice(code, at, {"cell_mv": round((cell_v or 0.0) * 1000), "limit_mv": round(limit_v * 1000)})
