"""Capacity and energy throughput, and full equivalent cycles.

`C = ∫|I| dt / 3600`, `E = ∫|U·I| dt / 3.6e6`, trapezoidal per sample interval and with charge and discharge apart:
an end of the interval counts to the side that its sign says. Full equivalent cycles = discharged Ah / rated Ah
(Regulation (EU) 2023/1542 Annex VII B; the denominator is the rated, not the remaining capacity).
"""

from dataclasses import dataclass, field, replace
from math import hypot

from packseal.core.declared import Declared
from packseal.core.meter.interval import Observed
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity

AS_PER_AH = 3600.0
WS_PER_KWH = 3.6e6


@dataclass(slots=True)
class ThroughputState:
    """Sums since the log began: ampere seconds and watt seconds, all non-negative."""

    charged_as: float = 0.0
    discharged_as: float = 0.0
    charged_ws: float = 0.0
    discharged_ws: float = 0.0
    current: Observed = field(default_factory=Observed)
    power: Observed = field(default_factory=Observed)
    last_current_a: float = 0.0
    last_power_w: float = 0.0
    last_wall_ms: int = 0


class Throughput:
    """Integrates current, and voltage times current where both are in the same sample."""

    def __init__(
        self, declared: Declared, delivers: frozenset[Quantity], limit_ns: int, state: ThroughputState
    ) -> None:
        self._declared = declared
        self._delivers = delivers
        self._limit_ns = limit_ns
        self.state = state

    def feed(self, view: View) -> None:
        """Account for one sample; a flawed value ends the integrable stretch, an absent one changes nothing."""
        current, voltage = view.current_a, view.voltage_v
        if current is None and Quantity.PACK_CURRENT_A not in view.flawed:
            return
        state, now = self.state, view.mono_ns
        if current is None:
            state.current.miss(now)
            state.power.miss(now)
            return
        seconds = state.current.step(now, self._limit_ns)
        if seconds:
            self._count_charge(current, seconds)
        state.last_current_a = current
        state.last_wall_ms = view.wall_ms
        if voltage is None:
            state.power.miss(now)
        else:
            power, seconds = voltage * current, state.power.step(now, self._limit_ns)
            if seconds:
                self._count_energy(power, seconds)
            state.last_power_w = power

    def _count_charge(self, now: float, seconds: float) -> None:
        state, before = self.state, self.state.last_current_a
        if now >= 0 <= before:
            state.charged_as += (now + before) * seconds / 2
        elif now <= 0 >= before:
            state.discharged_as -= (now + before) * seconds / 2
        else:
            out, into = (before, now) if now > before else (now, before)
            state.charged_as += into * seconds / 2
            state.discharged_as -= out * seconds / 2

    def _count_energy(self, now: float, seconds: float) -> None:
        state, before = self.state, self.state.last_power_w
        if now >= 0 <= before:
            state.charged_ws += (now + before) * seconds / 2
        elif now <= 0 >= before:
            state.discharged_ws -= (now + before) * seconds / 2
        else:
            out, into = (before, now) if now > before else (now, before)
            state.charged_ws += into * seconds / 2
            state.discharged_ws -= out * seconds / 2

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of `gap_ns`."""
        self.state.current.resume(gap_ns)
        self.state.power.resume(gap_ns)

    def readings(self) -> list[Reading]:
        """Return throughputs and full equivalent cycles."""
        state = self.state
        charge = (state.charged_as / AS_PER_AH, state.discharged_as / AS_PER_AH)
        energy = (state.charged_ws / WS_PER_KWH, state.discharged_ws / WS_PER_KWH)
        u_charge = self._declared.current_uncertainty
        u_energy = hypot(u_charge, self._declared.voltage_uncertainty)
        return [
            self._counter(Field.CAPACITY_THROUGHPUT, sum(charge), u_charge, state.current),
            self._counter(Field.ENERGY_THROUGHPUT, sum(energy), u_energy, state.power),
            self._cycles(charge[1], u_charge),
            self._counter(Field.CAPACITY_CHARGED, charge[0], u_charge, state.current),
            self._counter(Field.CAPACITY_DISCHARGED, charge[1], u_charge, state.current),
            self._counter(Field.ENERGY_CHARGED, energy[0], u_energy, state.power),
            self._counter(Field.ENERGY_DISCHARGED, energy[1], u_energy, state.power),
        ]

    def _counter(self, field: Field, value: float, relative: float, seen: Observed) -> Reading:
        needs = (
            {Quantity.PACK_CURRENT_A}
            if seen is self.state.current
            else {
                Quantity.PACK_CURRENT_A,
                Quantity.PACK_VOLTAGE_V,
            }
        )
        if not needs <= self._delivers:
            return Reading(field, missing=Missing.NOT_REPORTED)
        if not self.state.last_wall_ms:
            return Reading(field, missing=Missing.NO_DATA)
        return Reading(
            field,
            value=value,
            originator=Originator.DERIVED,
            method=Method.TRAPEZOID,
            last_update_ms=self.state.last_wall_ms,
            uncertainty=value * relative,
            coverage=seen.coverage,
        )

    def _cycles(self, discharged_ah: float, relative: float) -> Reading:
        rated = self._declared.rated_capacity_ah
        counter = self._counter(
            Field.FULL_EQUIVALENT_CYCLES, discharged_ah / (rated or 1), relative, self.state.current
        )
        if counter.missing is not None:
            return counter
        if rated is None:
            return Reading(Field.FULL_EQUIVALENT_CYCLES, missing=Missing.NOT_DECLARED)
        return replace(counter, method=Method.RATIO_TO_RATED)
