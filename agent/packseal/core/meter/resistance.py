"""Internal resistance from current steps, 10 s and 1 s after they begin, at 25 °C and 30 to 70 % charge.

`R = (U(10 s) - U(0)) / (I(10 s) - I(0))`, the quotient of voltage change by current change with the pulse time of IEC
62660-1; the median of the newest twenty steps, charge and discharge alike. Method and uncertainty: docs/meters.md.
"""

from collections.abc import Sequence
from math import exp, hypot

import msgspec

from packseal.core.bodies import LifecycleCode
from packseal.core.declared import Declared
from packseal.core.meter.open_circuit import OpenCircuit, Value
from packseal.core.meter.pulse import STEP_C, Seen, Step, StepWatch, resistance, risen
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import Instant

PULSE_S, OHMIC_S = 10.0, 1.0
KEPT = 20
RECENT_MS, ENOUGH = 7 * 86_400_000, 5
"""A resistance grows by some percent a month, so older steps speak only where a week has shown too few."""
FRESH_NS = 60 * 1_000_000_000
"""Temperature and state of charge move slowly: those of a minute ago still hold."""

WINDOWS_PCT = ((10.0, 30.0), (30.0, 70.0), (70.0, 90.0))
LOW, MIDDLE, HIGH = range(3)

ACTIVATION_J_PER_MOL, ACTIVATION_SD = 25_000.0, 8_000.0
"""Of the 10 s resistance: between 17.8 (positive) and 35 kJ/mol (graphite), as in doi:10.1149/1945-7111/ab9050."""
GAS_J_PER_MOL_K = 8.314462618  # CODATA 2018
REFERENCE_K, ZERO_C_IN_K = 298.15, 273.15
COLDEST_C, HOTTEST_C = 10.0, 40.0
"""Beyond these the correction to 25 °C is a guess: its factor's uncertainty passes 20 %."""

UNKNOWN_TEMPERATURE_SD = 0.17
"""Relative: a room of 20 to 30 °C is 25 ± 5 K at most, at 3.4 % per kelvin."""
UNKNOWN_CHARGE_SD = 0.15
"""Relative: from 20 to 90 % charge the 10 s resistance of a CAMP NMC532 cell is up to a sixth above its middle."""
WINDOW_SD = 0.03
"""Relative: how far the 10 s resistance moves between 30 and 70 % charge, in the same data."""
SCATTER_SD = 0.04
"""Relative scatter of single steps that is assumed on top of the one seen, since a few steps cannot show theirs."""
GRAIN_SD = 6**-0.5
"""Standard uncertainty of a difference of two voltages by the steps in which they are told: GUM 4.3.7, twice."""
USELESS_SD = 0.35
"""Relative standard uncertainty beyond which no value is given."""
MEDIAN_SD = 1.2533
"""Standard deviation of a median over that of a mean, normal distribution: sqrt(pi / 2)."""
MAD_TO_SD = 1.4826
"""Standard deviation over median absolute deviation, normal distribution."""

NEEDS = frozenset({Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V})


class Found(msgspec.Struct, array_like=True, gc=False):
    """One step's resistance at 25 °C, and its standard uncertainty without the gain of the sensors.

    `grain_ohm`: what it is off by because the voltage is told in steps, another amount in each.
    """

    ohm: float
    sd_ohm: float
    wall_ms: int
    grain_ohm: float = 0.0


class ResistanceState(msgspec.Struct):
    """The newest steps and risen currents: 10 s by window of charge, 1 s in the middle. One that is cut is not kept."""

    ten: list[list[Found]] = msgspec.field(default_factory=lambda: [[], [], []])
    one: list[Found] = msgspec.field(default_factory=list)
    heard: bool = False
    grain_v: float | None = None
    """The least by which the voltage was seen to change: the steps in which it is told."""
    risen: list[list[Found]] = msgspec.field(default_factory=lambda: [[], [], []])


class Resistance:
    """Finds current steps and keeps what they show."""

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
        self._watch = StepWatch(declared.rated_capacity_ah or 0.0, limit_ns)
        self._last_v = 0.0
        self._warm: View | None = None
        self._charged: View | None = None
        self._works = delivers >= NEEDS and declared.rated_capacity_ah is not None
        self.state = state

    def feed(self, view: View) -> None:
        """Account for one sample; one without both voltage and current is passed over."""
        if not self._works:
            return
        current_a, voltage_v, now = view.current_a, view.voltage_v, view.mono_ns
        if view.hottest_c is not None and view.coldest_c is not None:
            self._warm = view
        if view.soc_pct is not None:
            self._charged = view
        if current_a is None or voltage_v is None:
            if view.flawed & NEEDS:
                self._watch.forget()
            return
        if not self.state.heard:
            self.state.heard = True
        self._look_at_grain(voltage_v)
        step = self._watch.feed(now, voltage_v, current_a)
        if step is not None:
            self._keep(step, view)

    def _look_at_grain(self, voltage_v: float) -> None:
        if voltage_v != self._last_v:
            moved_v = abs(voltage_v - self._last_v)
            if self.state.grain_v is None or moved_v < self.state.grain_v:
                self.state.grain_v = moved_v
            self._last_v = voltage_v

    def resume(self, gap_ns: int) -> None:  # noqa: ARG002  # however long: a step that is cut shows nothing
        """Go on after a stop: a step that it cut is lost."""
        self._watch.forget()
        self._warm = self._charged = None

    def mark(self, code: LifecycleCode, at: Instant) -> None:  # noqa: ARG002  # the steps that follow have their own times
        """Forget the steps of modules that are no longer there; a step that another BMS began is lost."""
        if code in {LifecycleCode.MODULE_REPLACED, LifecycleCode.BMS_REPLACED}:
            self.resume(0)
        if code is LifecycleCode.MODULE_REPLACED:
            for found in (*self.state.ten, *self.state.risen, self.state.one):
                found.clear()

    def ten_seconds(self, window: int = MIDDLE) -> Value | None:
        """Return the 10 s resistance of the pack in a window of charge with its uncertainty; None without steps."""
        return self._together(self._evidence(window))

    def newest_ms(self) -> int:
        """Return the UTC time of the newest 10 s step in the middle window, 0 without one."""
        return max((f.wall_ms for f in self._evidence(MIDDLE)), default=0)

    def readings(self) -> list[Reading]:
        """Return both resistances and the increase."""
        ten = self._reading(Field.INTERNAL_RESISTANCE, Method.PULSE_10_S, self._evidence(MIDDLE))
        one = self._reading(Field.OHMIC_RESISTANCE, Method.PULSE_1_S, self.state.one)
        return [ten, self._increase(ten), one]

    def _evidence(self, window: int) -> list[Found]:
        """Return the steps of a window, with the risen currents where a week has shown too few steps."""
        steps, others = self.state.ten[window], self.state.risen[window]
        newest_ms = max((f.wall_ms for f in (*steps, *others)), default=0)
        if sum(abs(f.wall_ms - newest_ms) <= RECENT_MS for f in steps) >= ENOUGH:
            return steps
        return sorted((*steps, *others), key=lambda f: f.wall_ms)

    def _keep(self, step: Step, view: View) -> None:
        least_a = STEP_C * (self._declared.rated_capacity_ah or 0.0)
        ten, one = resistance(step, PULSE_S, least_a), resistance(step, OHMIC_S, least_a)
        other = risen(step, PULSE_S, least_a) if ten is None else None
        warmth = self._warmth(view.mono_ns)
        if (ten is None and one is None and other is None) or warmth is None:
            return
        charge_pct = self._charge(step, view)
        window = MIDDLE if charge_pct is None else _window(charge_pct)
        if window is None:
            return
        blur = hypot(warmth.sd, UNKNOWN_CHARGE_SD if charge_pct is None else WINDOW_SD)
        stepped_a = abs(step.moments[-1].current_a - step.moments[0].current_a)
        grain_ohm = GRAIN_SD * (self.state.grain_v or 0.0) / max(stepped_a, least_a) * warmth.value
        for seen, kept in ((ten, self.state.ten[window]), (other, self.state.risen[window]), (one, self.state.one)):
            if seen is not None and (kept is not self.state.one or window == MIDDLE):
                _add(kept, seen, warmth.value, blur, (view.wall_ms, grain_ohm))

    def _warmth(self, now_ns: int) -> Value | None:
        """Return the factor that takes a resistance to 25 °C, None where it is too hot or cold for that."""
        warm = self._warm
        if warm is None or warm.hottest_c is None or warm.coldest_c is None or now_ns - warm.mono_ns > FRESH_NS:
            return Value(1.0, UNKNOWN_TEMPERATURE_SD)
        celsius = warm.hottest_c / 2 + warm.coldest_c / 2
        if not COLDEST_C <= celsius <= HOTTEST_C:
            return None
        inverse = (1 / (celsius + ZERO_C_IN_K) - 1 / REFERENCE_K) / GAS_J_PER_MOL_K
        return Value(exp(-ACTIVATION_J_PER_MOL * inverse), ACTIVATION_SD * abs(inverse))

    def _charge(self, step: Step, view: View) -> float | None:
        """Return the state of charge in %: the BMS's, else that of the voltage at rest, else None."""
        charged = self._charged
        if charged is not None and view.mono_ns - charged.mono_ns <= FRESH_NS:
            return charged.soc_pct
        series = self._declared.cells_in_series
        slope = self._curve.charge(step.moments[0].voltage_v / series) if series is not None else None
        return 100 * slope.soc if slope is not None else None

    def _together(self, found: Sequence[Found]) -> Value | None:
        if not found:
            return None
        recent = [f for f in found if abs(f.wall_ms - found[-1].wall_ms) <= RECENT_MS]
        found = recent if len(recent) >= ENOUGH else found[-ENOUGH:]
        ohm = _median([f.ohm for f in found])
        spread = MAD_TO_SD * _median([abs(f.ohm - ohm) for f in found])
        grain = _median([f.grain_ohm for f in found])
        scatter = MEDIAN_SD * hypot(spread, SCATTER_SD * ohm, grain) / len(found) ** 0.5
        gain = hypot(self._declared.current_uncertainty, self._declared.voltage_uncertainty) * ohm
        return Value(ohm, hypot(scatter, gain, _median([f.sd_ohm for f in found])))

    def _reading(self, field: Field, method: Method, found: Sequence[Found]) -> Reading:
        if not self._delivers >= NEEDS:
            return Reading(field, missing=Missing.NOT_REPORTED)
        if not self._works:
            return Reading(field, missing=Missing.NOT_DECLARED)
        value = self._together(found)
        if value is None:
            return Reading(field, missing=Missing.NO_EVIDENCE if self.state.heard else Missing.NO_DATA)
        if value.sd > USELESS_SD * value.value:
            return Reading(field, missing=Missing.TOO_UNCERTAIN)
        newest = max(f.wall_ms for f in found)
        return Reading(field, value.value, None, Originator.DERIVED, method, newest, value.sd)

    def _increase(self, ten: Reading) -> Reading:
        field, initial = Field.INTERNAL_RESISTANCE_INCREASE, self._declared.initial_resistance_ohm
        if initial is None or ten.value is None or ten.uncertainty is None:
            return Reading(field, missing=Missing.NOT_DECLARED if initial is None else ten.missing)
        percent, sd = 100 * (ten.value / initial - 1), 100 * ten.uncertainty / initial
        when, method = ten.last_update_ms, Method.RELATIVE_TO_INITIAL
        return Reading(field, percent, None, Originator.DERIVED, method, when, sd)


def _window(charge_pct: float) -> int | None:
    for i, (low, high) in enumerate(WINDOWS_PCT):
        if low <= charge_pct <= high:
            # 30 and 70 % are of the middle, as the two outer windows only serve the power there
            return MIDDLE if charge_pct in WINDOWS_PCT[MIDDLE] else i
    return None


def _add(found: list[Found], seen: Seen, factor: float, blur: float, told: tuple[int, float]) -> None:
    """Keep it with its time and its grain."""
    found.append(Found(seen.ohm * factor, hypot(seen.sd_ohm * factor, blur * seen.ohm * factor), *told))
    del found[:-KEPT]


def _median(values: list[float]) -> float:
    """Return the median; the module `statistics` would cost the agent half a megabyte."""
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
