"""Meter: streaming derivation of the passport's readings, in bounded memory, with a state that can be saved.

One module per family of fields; this one puts them together. Same samples, same readings: no clock is asked.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from packseal.core.bodies import Lifecycle, LifecycleCode
from packseal.core.changes import Change, untold
from packseal.core.declared import Declared
from packseal.core.fields import not_to_be_filled
from packseal.core.meter.abuse import Abuse
from packseal.core.meter.baseline import Baseline
from packseal.core.meter.constancy import Constancy
from packseal.core.meter.counters import Counters
from packseal.core.meter.cycles import Cycles
from packseal.core.meter.efficiency import Efficiency
from packseal.core.meter.entered import Entered
from packseal.core.meter.exposure import Exposure
from packseal.core.meter.health import Health
from packseal.core.meter.interval import GAP_LIMIT_S, NS_PER_S
from packseal.core.meter.open_circuit import OpenCircuit
from packseal.core.meter.power import Power
from packseal.core.meter.present import Present
from packseal.core.meter.reported import Reported
from packseal.core.meter.sanity import Sanity
from packseal.core.meter.self_discharge import SelfDischarge
from packseal.core.meter.state import MeterState, load
from packseal.core.meter.state_now import StateNow
from packseal.core.meter.throughput import Throughput
from packseal.core.meter.usage import Usage
from packseal.core.meter.view import View, Viewer
from packseal.core.passport import Field, Reading, Snapshot
from packseal.core.quantities import Quantity
from packseal.core.sample import ClockQuality, Instant, Notice, Sample

PERIODS_PER_GAP = 3


class Family(Protocol):
    """One family of fields: what the meter asks of each."""

    def feed(self, view: View) -> list[Notice] | None:
        """Account for one sample; return what happened to the battery, None or nothing mostly."""

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of `gap_ns`: nothing is integrated over it."""

    def readings(self) -> Sequence[Reading]:
        """Return the family's fields as they stand."""


@runtime_checkable
class Marked(Protocol):
    """A family that begins something anew when a status changes or a module or the BMS is replaced."""

    def mark(self, code: LifecycleCode, at: Instant) -> None:
        """Take note of what the log is told now."""


class Meter:
    """Samples of one battery in, a Snapshot out.

    Args:
        declared: the battery's static data.
        delivers: the quantities its profile can deliver, to tell "not reported" from "not yet".
        period_s: the declared sample period; an interval over three of them and over 10 s is a gap.
        state: what `save` gave earlier, or `recovery.recovered` made of a snapshot.
        gap_limit_s: what makes a gap in place of that rule.

    Raises:
        FormatError: the state is damaged or from a newer version.
    """

    def __init__(
        self,
        declared: Declared,
        delivers: frozenset[Quantity],
        period_s: float = 1.0,
        state: bytes | MeterState | None = None,
        gap_limit_s: float | None = None,
    ) -> None:
        self._state = load(state) if isinstance(state, bytes) else state or MeterState()
        self.gap_limit_s = limit_s(period_s, gap_limit_s)
        self._limit_ns = limit_ns = round(self.gap_limit_s * NS_PER_S)
        self._delivers = delivers
        self._is_claimed = Quantity.STATE_OF_HEALTH_PCT in delivers
        self._present = Present(limit_ns)
        self._began: Instant | None = None
        self._take(declared)

    def declare(self, declared: Declared) -> None:
        """Go on with other static data: counters and what was learnt stay; a step or loop that is going on is lost.

        So is what leads to the next capacity, where it rests on a limit that is another one now.
        """
        before = self.health.limits
        self._take(declared)
        if self.health.limits != before:
            self.health.resume(0)

    def _take(self, declared: Declared) -> None:
        delivers, limit_ns = self._delivers, self._limit_ns
        self._omitted = not_to_be_filled(declared.category)
        self._viewer = Viewer(declared, delivers)
        self._usage = Usage(declared, delivers, limit_ns, self._state.usage)
        self._cycles = Cycles(declared, delivers, limit_ns, self._state.cycles)
        self._families = self._family_of_each(declared, delivers, limit_ns)
        self._entered = Entered(declared, self._state.told)
        self._baseline = Baseline(declared, self._state.baseline)
        self._declared = declared
        # A family that nothing of this battery concerns is not asked, since each costs as often as samples come.
        self._feeds: tuple[Callable[[View], list[Notice] | None], ...] = tuple(
            f.feed for f in self._families if not (isinstance(f, Counters) and not f.follows)
        )
        self._constancy = Constancy(declared, self._state.constancy)

    def _family_of_each(self, declared: Declared, delivers: frozenset[Quantity], limit_ns: int) -> tuple[Family, ...]:
        """Return the families in the order in which they are fed; what one knows, those after it may use."""
        reported = Reported(declared, delivers, limit_ns, self._state.reported)
        self.health = Health(declared, delivers, limit_ns, self._state.health, reported)
        curve = OpenCircuit(declared, self.health.knowledge)
        return (
            Throughput(declared, delivers, limit_ns, self._state.throughput),
            Exposure(declared, delivers, limit_ns, self._state.exposure),
            Abuse(declared, delivers, limit_ns, self._state.abuse),
            reported,
            self.health,
            self._usage,
            self._cycles,
            StateNow(declared, delivers, limit_ns, self._state.state_now),
            Counters(declared, delivers, limit_ns, self._state.counters, self._state.throughput),
            Sanity(declared, delivers, limit_ns, self._state.sanity),
            Power(declared, delivers, limit_ns, self._state.resistance, curve),
            Efficiency(declared, delivers, limit_ns, self._state.efficiency),
            SelfDischarge(declared, delivers, limit_ns, self._state.self_discharge, curve),
        )

    @property
    def last_wall_ms(self) -> int:
        """UTC milliseconds of the last sample, 0 before the first."""
        return self._state.last_wall_ms

    def feed(self, sample: Sample) -> list[Notice]:
        """Account for one sample; return what happened to the battery."""
        view, state = self._viewer.see(sample), self._state
        notices: list[Notice] = []
        for feed in self._feeds:
            told = feed(view)
            if told:
                notices += told
        if self._is_claimed:
            notices += self._constancy.feed(view, state.throughput.discharged_as) or ()
        self._present.feed(sample)
        if not state.told.said_ms:
            self._entered.feed(view)
        if state.began_wall_ms is None or self._began is not None:
            self._keep_began(sample.at)
        state.last_wall_ms = view.wall_ms
        return notices

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop: nothing is integrated over it, and it counts as not covered."""
        for family in self._families:
            family.resume(gap_ns)

    def untold(self, changes: Sequence[Change]) -> list[Lifecycle]:
        """Return the records that tell the log what was declared or happened since it last said so; see `mark`."""
        return untold(self._state.told, self._declared, changes)

    def mark(self, code: LifecycleCode, at: Instant, facts: Mapping[str, object]) -> None:
        """Take note of what the log is told now. Counters go on; what begins anew is the baseline of later changes."""
        wall_ms = max(0, at.wall_ns // 1_000_000)
        self._baseline.mark(code, wall_ms, self._of_families())
        self._entered.mark(code, wall_ms, facts)
        for family in self._families:
            if isinstance(family, Marked):
                family.mark(code, at)

    def snapshot(self) -> Snapshot:
        """Return all readings as they stand after the last sample, in the order of their codes.

        What a passport of the declared category must not carry is left out, and present values and cells that were not
        said again within the gap limit.
        """
        there = self._of_families()
        self._baseline.take(there)
        stood = self._baseline.readings(self._state.told.said_ms)
        every = (*there.values(), *self._entered.readings(), *stood)
        readings = sorted((r for r in every if r.field not in self._omitted), key=lambda r: r.field.code)
        present, cells_mv = self._present.values()
        return Snapshot(tuple(readings), present, cells_mv, self._state.began_wall_ms)

    def use(self) -> dict[str, object]:
        """Return what no single value can hold: hours by charge and temperature, and cycles by depth."""
        return {"hours_by_charge_and_temperature": self._usage.map_h(), "cycles_by_depth": self._cycles.counts()}

    def _of_families(self) -> dict[Field, Reading]:
        return {reading.field: reading for family in self._families for reading in family.readings()}

    def save(self) -> bytes:
        """Return the state for `Meter(state=…)`."""
        return msgspec.msgpack.encode(self._state)

    def _keep_began(self, at: Instant) -> None:
        state = self._state
        if state.began_wall_ms is None and not state.last_wall_ms:
            self._began = at
            state.began_wall_ms = at.wall_ns // 1_000_000
        elif self._began is not None and self._began.quality is ClockQuality.UNSYNCHRONISED is not at.quality:
            # Now that the clock is set, when the first sample of this run came is known after all.
            state.began_wall_ms = (at.wall_ns - (at.mono_ns - self._began.mono_ns)) // 1_000_000
            self._began = None


def limit_s(period_s: float, declared_s: float | None) -> float:
    """Return the seconds beyond which an interval is a gap: as declared, or by the sample period."""
    return max(GAP_LIMIT_S, PERIODS_PER_GAP * period_s) if declared_s is None else declared_s
