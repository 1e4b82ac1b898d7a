"""Round-trip energy efficiency in use: energy out over energy in between two moments of equal state of charge.

Energies are measured at the battery's terminals (direct current), so what feeds on the other side is not in them.
Gates, closing correction and uncertainty: docs/meters.md.
"""

from math import hypot

import msgspec

from packseal.core.bodies import LifecycleCode
from packseal.core.declared import Declared
from packseal.core.meter.loops import AS_PER_AH, FULL_V, WS_PER_KWH, Loop, LoopWatch
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import Instant

KEPT = 10  # this and the next: docs/meters.md
COLDEST_C, HOTTEST_C = 15.0, 35.0
LEAST, MOST = 0.5, 1.05
"""Lithium cells return more than half; a loop beyond is one of a sensor's zero."""
IMBALANCE = 0.05
"""Charge in less charge out, of the rated capacity: beyond this the state of charge was not equal at both ends."""

ANCHOR_SD = 0.01
"""Of a state of charge of the BMS against its equal an hour or a day before, 0 to 1."""
COULOMBIC_SD = 0.003
"""Of charge out over charge in between two full charges, from 1: lithium cells return 99.7 % or more."""
ASYMMETRY = 0.1
"""The share of the declared uncertainty of the current that is not the same both ways, as a gain is."""
ZERO_SD_C = 1 / 5000
"""Of a current sensor's zero that rest has shown, in multiples of C; `UNSEEN_ZERO_SD_C` where there was no rest."""
UNSEEN_ZERO_SD_C = 1 / 1000
SEEN_ZERO_S = 600.0
"""So long a rest shows the zero."""
UNKNOWN_TEMPERATURE_SD = 0.2
"""Of the losses: the resistance at 15 or 35 °C is 30 % off that at 25 °C."""
REFERENCE_C = {"ev": 1 / 3}
OTHER_REFERENCE_C = 1 / 5
"""Rates of a test: C/3 of vehicles (IEC 62660-1), C/5 of others (IEC 62620)."""
USELESS_SD = 0.05
"""Above 5 points no value is given."""

NEEDS = frozenset({Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V})


class Kept(msgspec.Struct, array_like=True, gc=False):
    """One accepted loop: energies in Ws, corrected; `drift_ws` what the sensor's zero may have added; standard."""

    in_ws: float
    out_ws: float
    anchor_ws: float
    drift_ws: float
    rate_a: float
    warm: bool
    wall_ms: int


class EfficiencyState(msgspec.Struct):
    """The newest accepted loops. A loop that is cut by a stop is lost."""

    loops: list[Kept] = msgspec.field(default_factory=list)
    heard: bool = False


class Efficiency:
    """Keeps closed loops and divides their energies."""

    def __init__(
        self, declared: Declared, delivers: frozenset[Quantity], limit_ns: int, state: EfficiencyState
    ) -> None:
        self._declared, self._delivers = declared, delivers
        self._by_bms = Quantity.STATE_OF_CHARGE_PCT in delivers
        energy_kwh = rated_kwh(declared)
        self._rated_ws = (energy_kwh or 0.0) * WS_PER_KWH
        self._missing = self._lacks(energy_kwh)
        self._watch = LoopWatch(declared, self._rated_ws, limit_ns, by_bms=self._by_bms)
        self.state = state

    def feed(self, view: View) -> None:
        """Account for one sample; one without both voltage and current is passed over, a flawed one ends the loop."""
        if self._missing is not None:
            return
        current_a, voltage_v = view.current_a, view.voltage_v
        if current_a is None or voltage_v is None:
            if view.flawed & NEEDS:
                self._watch.forget()
            return
        if not self.state.heard:
            self.state.heard = True
        loop = self._watch.feed(view, current_a, voltage_v)
        if loop is not None:
            self._judge(loop, view.wall_ms)

    def resume(self, gap_ns: int) -> None:  # noqa: ARG002  # however long: what went on meanwhile is not known
        """Go on after a stop: the loop that it cut is lost."""
        self._watch.forget()

    def mark(self, code: LifecycleCode, at: Instant) -> None:  # noqa: ARG002  # the loops that follow have their own times
        """Forget the loops of modules that are no longer there; a loop that another BMS began is lost."""
        if code in {LifecycleCode.MODULE_REPLACED, LifecycleCode.BMS_REPLACED}:
            self._watch.forget()
        if code is LifecycleCode.MODULE_REPLACED:
            self.state.loops.clear()

    def readings(self) -> list[Reading]:
        """Return the efficiency and its fade."""
        now = self._efficiency()
        field, initial = Field.ROUND_TRIP_EFFICIENCY_FADE, self._declared.initial_round_trip_efficiency_pct
        if initial is None or now.value is None or now.uncertainty is None:
            return [now, Reading(field, missing=Missing.NOT_DECLARED if initial is None else now.missing)]
        fade, sd = 100 * (1 - now.value / initial), 100 * now.uncertainty / initial
        method = Method.RELATIVE_TO_INITIAL
        return [now, Reading(field, fade, None, Originator.DERIVED, method, now.last_update_ms, sd)]

    def _lacks(self, energy_kwh: float | None) -> Missing | None:
        if not self._delivers >= NEEDS:
            return Missing.NOT_REPORTED
        declared = self._declared
        if energy_kwh is None or declared.rated_capacity_ah is None:
            return Missing.NOT_DECLARED
        if not self._by_bms and (declared.cells_in_series is None or declared.chemistry not in FULL_V):
            return Missing.NOT_DECLARED
        return None

    def _judge(self, loop: Loop, wall_ms: int) -> None:
        """Keep a loop that is good enough."""
        sums, rated_ah = loop.sums, self._declared.rated_capacity_ah or 0.0
        if sums.out_ws <= 0 or sums.in_ws <= 0:
            return
        celsius = sums.warm / sums.warm_ws if sums.warm_ws else None
        if celsius is not None and not COLDEST_C <= celsius <= HOTTEST_C:
            return
        capacity_as = rated_ah * AS_PER_AH
        if abs(sums.in_as - sums.out_as + loop.short * capacity_as) > IMBALANCE * capacity_as:
            return
        mean_v = (sums.in_ws + sums.out_ws) / (sums.in_as + sums.out_as)
        in_ws = sums.in_ws + loop.short * capacity_as * mean_v
        out_ws = sums.out_ws
        if loop.full:
            # both ends are truly equal, so what is not returned is the sensor's zero, not charge that was lost
            out_ws *= sums.in_as / sums.out_as
            anchor_ws, drift_ws = 0.0, COULOMBIC_SD * out_ws
        else:
            anchor_ws = 2**0.5 * ANCHOR_SD * capacity_as * mean_v
            drift_ws = self._zero_a(loop, rated_ah) * sums.seconds * mean_v
        if not LEAST <= out_ws / in_ws <= MOST:
            return
        rate_a = sums.square_a2s / sums.flow_as if sums.flow_as else 0.0
        self.state.loops.append(Kept(in_ws, out_ws, anchor_ws, drift_ws, rate_a, celsius is not None, wall_ms))
        del self.state.loops[:-KEPT]

    @staticmethod
    def _zero_a(loop: Loop, rated_ah: float) -> float:
        """Return the standard uncertainty of the current sensor's zero, by what it said at rest."""
        sums = loop.sums
        if sums.zero_s < SEEN_ZERO_S:
            return UNSEEN_ZERO_SD_C * rated_ah
        return hypot(sums.zero_as / sums.zero_s, ZERO_SD_C * rated_ah)

    def _efficiency(self) -> Reading:
        field, loops = Field.REMAINING_ROUND_TRIP_EFFICIENCY, self.state.loops
        if self._missing is not None:
            return Reading(field, missing=self._missing)
        if not loops:
            return Reading(field, missing=Missing.NO_EVIDENCE if self.state.heard else Missing.NO_DATA)
        in_ws = sum(k.in_ws for k in loops)
        value = min(1.0, sum(k.out_ws for k in loops) / in_ws)
        sd = self._sd(value, in_ws)
        if sd > USELESS_SD:
            return Reading(field, missing=Missing.TOO_UNCERTAIN)
        newest, method = loops[-1].wall_ms, Method.EQUAL_CHARGE_LOOP
        return Reading(field, 100 * value, None, Originator.DERIVED, method, newest, 100 * sd)

    def _sd(self, value: float, in_ws: float) -> float:
        loops, declared = self.state.loops, self._declared
        anchors = sum(k.anchor_ws**2 for k in loops) ** 0.5 / in_ws
        zero = sum(k.drift_ws for k in loops) / in_ws
        asymmetry = ASYMMETRY * declared.current_uncertainty * value
        rate_a = sum(k.rate_a * k.in_ws for k in loops) / in_ws
        reference_a = REFERENCE_C.get(declared.category or "", OTHER_REFERENCE_C) * (declared.rated_capacity_ah or 0.0)
        # losses grow with the rate, so a test at its own rate would differ by up to this: rectangular (JCGM 100 4.3.7)
        rate = (1 - value) * abs(reference_a / rate_a - 1) / 3**0.5 if rate_a > 0 else 0.0
        warmth = 0.0 if all(k.warm for k in loops) else UNKNOWN_TEMPERATURE_SD * (1 - value)
        return hypot(anchors, zero, asymmetry, rate, warmth)


def rated_kwh(declared: Declared) -> float | None:
    """Return the rated energy as declared, else rated capacity times nominal voltage, else None."""
    if declared.rated_energy_kwh is not None:
        return declared.rated_energy_kwh
    if declared.rated_capacity_ah is None or declared.nominal_voltage_v is None:
        return None
    return declared.rated_capacity_ah * declared.nominal_voltage_v / 1000
