"""Self-discharge from two rest voltages, days or weeks apart, of one long rest.

`r = (s_0 - s_1 + int(I dt) / Q) / (t_1 - t_0) * 30 d` in % per month, current positive while charging; `s` from the
open-circuit voltage, where the curve is steep. Gates and uncertainty: docs/meters.md.
"""

from math import hypot

import msgspec

from packseal.core.bodies import LifecycleCode
from packseal.core.declared import Declared
from packseal.core.meter.open_circuit import OpenCircuit, Value
from packseal.core.meter.rest import AS_PER_AH, Hour, RestState, RestWatch
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import Instant

RELAXED_S, LEAST_S = 3 * 3600.0, 72 * 3600.0
MONTH_S = 30 * 86_400.0
STEEP_V = 0.4
"""Least slope of the curve, V per unit of charge: below it a millivolt is a quarter of a percent of charge."""
MOST_SLOPE_SD = 0.5
"""Relative: a slope less known than this makes any rate look small or great."""
SAME_WITHIN_K = 5.0
OCV_V_PER_K = 0.0002
"""Entropy moves the open-circuit voltage by up to 0.2 mV/K: Forgez et al., doi:10.1016/j.jpowsour.2009.10.105."""
UNKNOWN_TEMPERATURE_K = 5.0
VOLT_SD = 0.001
"""Of an hour's mean against another's, per cell: what resolution and warmth of an ADC leave; its gain cancels."""
RELAXING_SD = 0.001
"""What is left of relaxation three hours after the load."""
WORST_SD = 1.0
"""%/month: a greater uncertainty is of no use, since most batteries lose 1 to 5."""
KEPT = 5

NEEDS = frozenset({Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V})


class Pair(msgspec.Struct, array_like=True, gc=False):
    """What one rest has shown, in %/month."""

    rate: float
    sd: float
    wall_ms: int


class SelfDischargeState(msgspec.Struct):
    """The present rest with its first anchor, and what the newest rests have shown.

    `open` says that the last pair is of the present rest; `doubtful`, that a rest was long enough and yet told nothing.
    """

    rest: RestState = msgspec.field(default_factory=RestState)
    first: Hour | None = None
    pairs: list[Pair] = msgspec.field(default_factory=list)
    open: bool = False
    doubtful: bool = False
    heard: bool = False


class SelfDischarge:
    """Follows rests, and tells what they show while they go on."""

    def __init__(
        self,
        declared: Declared,
        delivers: frozenset[Quantity],
        limit_ns: int,
        state: SelfDischargeState,
        curve: OpenCircuit | None = None,
    ) -> None:
        self._declared, self._delivers = declared, delivers
        self._curve = curve or OpenCircuit(declared)
        self._watch = RestWatch(declared, limit_ns, state.rest)
        self._works = delivers >= NEEDS and None not in (declared.rated_capacity_ah, declared.cells_in_series)
        self.state = state

    def feed(self, view: View) -> None:
        """Account for one sample; one without a current is passed over, a flawed current ends the rest."""
        current_a = view.current_a
        if not self._works:
            return
        if current_a is None:
            if Quantity.PACK_CURRENT_A in view.flawed:
                self._watch.forget()
            return
        if not self.state.heard:
            self.state.heard = True
        hour = self._watch.feed(view, current_a)
        if hour is not None:
            self._take(hour, view.wall_ms)

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop: it was rest only if the BMS's counters will say so."""
        self._watch.resume(gap_ns)

    def mark(self, code: LifecycleCode, at: Instant) -> None:  # noqa: ARG002  # the rests that follow have their own times
        """Forget the rests of modules that are no longer there; a rest with another BMS is another rest."""
        if code in {LifecycleCode.MODULE_REPLACED, LifecycleCode.BMS_REPLACED}:
            self._watch.replaced()
        if code is LifecycleCode.MODULE_REPLACED:
            self.state.pairs.clear()
            self.state.first, self.state.open = None, False

    def readings(self) -> list[Reading]:
        """Return the rate and its evolution."""
        rate = self._rate()
        field, initial = Field.SELF_DISCHARGE_EVOLUTION, self._declared.initial_self_discharge_pct_month
        if initial is None or rate.value is None or rate.uncertainty is None:
            return [rate, Reading(field, missing=Missing.NOT_DECLARED if initial is None else rate.missing)]
        percent, sd = 100 * (rate.value / initial - 1), 100 * rate.uncertainty / initial
        method = Method.RELATIVE_TO_INITIAL
        return [rate, Reading(field, percent, None, Originator.DERIVED, method, rate.last_update_ms, sd)]

    def _take(self, hour: Hour, wall_ms: int) -> None:
        """Take an hour of rest as the first anchor, or hold it against that."""
        state = self.state
        first = state.first
        if first is None or first.rest != hour.rest:
            state.first = hour if hour.at_s >= RELAXED_S else None
            state.open = False
            return
        if hour.at_s - first.at_s < LEAST_S:
            return
        found = self._between(first, hour)
        if found is None or found.sd >= WORST_SD or found.value < -2 * found.sd:
            state.doubtful = True
            return
        if state.open:
            state.pairs.pop()
        state.pairs.append(Pair(found.value, found.sd, wall_ms))
        state.open = True
        del state.pairs[:-KEPT]

    def _between(self, first: Hour, last: Hour) -> Value | None:
        """Return the rate between two hours in %/month, None where the curve or the temperature forbids it."""
        at_first, at_last = self._curve.charge(first.cell_v), self._curve.charge(last.cell_v)
        capacity = self._curve.capacity_ah()
        if at_first is None or at_last is None or capacity is None:
            return None
        slope, slope_sd = min(at_first.v_per_soc, at_last.v_per_soc), max(at_first.relative_sd, at_last.relative_sd)
        if slope < STEEP_V or slope_sd > MOST_SLOPE_SD:
            return None
        known = first.celsius is not None and last.celsius is not None
        warmer_k = abs((last.celsius or 0.0) - (first.celsius or 0.0)) if known else UNKNOWN_TEMPERATURE_K
        if warmer_k > SAME_WITHIN_K:
            return None
        capacity_as = capacity.value * AS_PER_AH
        flowed, sunk = (last.charge_as - first.charge_as) / capacity_as, at_first.soc - at_last.soc
        volts = hypot(2**0.5 * VOLT_SD, RELAXING_SD, OCV_V_PER_K * warmer_k) / min(
            at_first.v_per_soc, at_last.v_per_soc
        )
        # a small current may be what the BMS uses or its sensor's zero, which nothing tells apart: rectangular
        unsure = hypot(flowed, (last.blur_as - first.blur_as) / capacity_as) / 3**0.5
        months = (last.at_s - first.at_s) / MONTH_S
        sd = hypot(volts, slope_sd * sunk, unsure, flowed * capacity.sd / capacity.value)
        return Value(100 * (sunk + flowed) / months, 100 * sd / months)

    def _rate(self) -> Reading:
        field, state = Field.SELF_DISCHARGE_RATE, self.state
        if not self._delivers >= NEEDS:
            return Reading(field, missing=Missing.NOT_REPORTED)
        if not self._works or (self._declared.chemistry is None and self._curve.voltage(0.5) is None):
            return Reading(field, missing=Missing.NOT_DECLARED)
        if not state.pairs:
            why = Missing.TOO_UNCERTAIN if state.doubtful else Missing.NO_EVIDENCE
            return Reading(field, missing=why if state.heard else Missing.NO_DATA)
        weights = [1 / p.sd**2 for p in state.pairs]
        rate = sum(w * p.rate for w, p in zip(weights, state.pairs, strict=True)) / sum(weights)
        # slope and sensor are the same in all of them, so the doubt does not fall below half of the least
        sd = max(sum(weights) ** -0.5, min(p.sd for p in state.pairs) / 2)
        newest, method = state.pairs[-1].wall_ms, Method.REST_PAIR
        return Reading(field, max(0.0, rate), None, Originator.DERIVED, method, newest, sd)
