"""Remaining power capability at 80 and 20 % charge, from the open-circuit voltage and the 10 s resistance.

`P = U_min * (U_oc(s) - U_min) / R`, the pulse power of the FreedomCAR Battery Test Manual (DOE/ID-11069, 2003, section
4.3); where that takes more than the declared current, `P = I_max * (U_oc(s) - I_max * R)`. Discharge, 10 s, 25 °C.
"""

from math import hypot

from packseal.core.declared import Declared
from packseal.core.meter.open_circuit import OpenCircuit, Value
from packseal.core.meter.resistance import HIGH, LOW, NEEDS, Resistance, ResistanceState
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity

OUTER_STEPS = 3
"""With so many steps near 20 or 80 % charge, their own resistance is taken."""
FROM_MIDDLE = {LOW: Value(1.12, 0.08), HIGH: Value(1.04, 0.04)}
"""10 s resistance near 20 and 80 % charge over that of 30 to 70 %: new and aged CAMP NMC532 cell, its pulse tests."""
WEAKEST_SD = 0.02
"""Relative: the weakest cell meets its limit before the mean one does."""

AT = ((Field.REMAINING_POWER_AT_80, 0.8, HIGH), (Field.REMAINING_POWER_AT_20, 0.2, LOW))


class Power:
    """The family of resistance and power. Power is worked out when it is asked for, and has no state of its own."""

    def __init__(
        self,
        declared: Declared,
        delivers: frozenset[Quantity],
        limit_ns: int,
        state: ResistanceState,
        curve: OpenCircuit | None = None,
    ) -> None:
        self._declared, self._delivers = declared, delivers
        self._curve = curve or OpenCircuit(declared)
        self._resistance = Resistance(declared, delivers, limit_ns, state, self._curve)
        self.feed, self.resume, self.mark = self._resistance.feed, self._resistance.resume, self._resistance.mark

    @property
    def state(self) -> ResistanceState:
        """What is to be saved."""
        return self._resistance.state

    def readings(self) -> list[Reading]:
        """Return the resistances, the power at both states of charge and the fade."""
        at_80, at_20 = (self._power(field, soc, window) for field, soc, window in AT)
        return [*self._resistance.readings(), at_80, at_20, self._fade(at_80, at_20)]

    def _power(self, field: Field, soc: float, window: int) -> Reading:
        declared = self._declared
        if not self._delivers >= NEEDS:
            return Reading(field, missing=Missing.NOT_REPORTED)
        low_v, series = declared.cell_voltage_min_v, declared.cells_in_series
        if low_v is None or series is None or declared.rated_capacity_ah is None:
            return Reading(field, missing=Missing.NOT_DECLARED)
        cell = self._curve.voltage(soc)
        if cell is None:
            missing = Missing.NOT_DECLARED if declared.chemistry is None else Missing.NO_EVIDENCE
            return Reading(field, missing=missing)
        ohm = self._ohm(window)
        if ohm is None:
            return Reading(field, missing=Missing.NO_EVIDENCE if self._resistance.state.heard else Missing.NO_DATA)
        rest = Value(cell.value * series, cell.sd * series)
        power = pulse_power(rest, ohm, low_v * series, declared.max_discharge_current_a)
        method, when = Method.POWER_FROM_RESISTANCE, self._resistance.newest_ms()
        return Reading(field, power.value, None, Originator.DERIVED, method, when, power.sd)

    def _ohm(self, window: int) -> Value | None:
        outer, middle = self._resistance.ten_seconds(window), self._resistance.ten_seconds()
        if middle is None or (outer is not None and len(self._resistance.state.ten[window]) >= OUTER_STEPS):
            return outer
        factor = FROM_MIDDLE[window]
        ohm = middle.value * factor.value
        return Value(ohm, hypot(middle.sd * factor.value, middle.value * factor.sd))

    def _fade(self, at_80: Reading, at_20: Reading) -> Reading:
        """Return the greater fade of those that can be told: a battery is as weak as where it is weakest."""
        initial = (self._declared.initial_power_at_80_w, self._declared.initial_power_at_20_w)
        if initial == (None, None):
            return Reading(Field.POWER_FADE, missing=Missing.NOT_DECLARED)
        fades = [
            Reading(
                Field.POWER_FADE,
                100 * (1 - now.value / once),
                None,
                Originator.DERIVED,
                Method.RELATIVE_TO_INITIAL,
                now.last_update_ms,
                100 * (now.uncertainty or 0.0) / once,
            )
            for now, once in zip((at_80, at_20), initial, strict=True)
            if once is not None and now.value is not None
        ]
        if not fades:
            asked = at_80 if initial[0] is not None else at_20
            return Reading(Field.POWER_FADE, missing=asked.missing)
        return max(fades, key=lambda fade: fade.value or 0.0)


def pulse_power(rest: Value, ohm: Value, low_v: float, limit_a: float | None) -> Value:
    """Return the power of a pack at open-circuit voltage `rest` that ends at `low_v`, or at `limit_a` if less."""
    most_a = max(0.0, rest.value - low_v) / ohm.value
    if limit_a is not None and most_a > limit_a:
        power_w = limit_a * max(0.0, rest.value - limit_a * ohm.value)
        return Value(power_w, hypot(limit_a * rest.sd, limit_a**2 * ohm.sd))
    power_w = low_v * most_a
    relative = hypot(ohm.sd / ohm.value, WEAKEST_SD)
    return Value(power_w, hypot(low_v * rest.sd / ohm.value, relative * power_w))
