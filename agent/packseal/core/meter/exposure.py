"""Time outside the declared temperature range, in total and while charging: four counters.

Hot is judged on the hottest, cold on the coldest temperature of a sample. Each interval is split by trapezoid: half of
it counts for each end that is in the state, so one crossing is exact to half a sample and unbiased.
Charging is a current above C/50 (without a declared capacity: above zero), the bound that separates it from idling.
"""

import math
from dataclasses import dataclass, field

from packseal.core.declared import Declared
from packseal.core.meter.interval import Observed
from packseal.core.meter.view import TEMPERATURE_SOURCES, View
from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Quantity

IDLE_C_RATE = 1 / 50
SECONDS_PER_MINUTE = 60.0
EPSILON_C = 1e-6
"""Far below any sensor's resolution: a decoder's 301 * 0.1 is a little above 30.1, yet not beyond a limit of 30.1."""
SENSOR_K = 1.0
"""How far a battery's temperature sensors may be off: thermistors of 1 % and whole degrees, as BMS data sheets have."""
CHARGING_FROM = 2
"""Of FIELDS, those from here on count only while charging."""
HOT_SOURCES = frozenset({Quantity.TEMPERATURE_C, Quantity.TEMPERATURE_MAX_C})
COLD_SOURCES = frozenset({Quantity.TEMPERATURE_C, Quantity.TEMPERATURE_MIN_C})

FIELDS = (
    Field.TIME_EXTREME_HIGH,
    Field.TIME_EXTREME_LOW,
    Field.TIME_EXTREME_HIGH_CHARGING,
    Field.TIME_EXTREME_LOW_CHARGING,
)


@dataclass(slots=True)
class ExposureState:
    """Seconds per counter, in the order of FIELDS, and the states at the last sample."""

    seconds: list[float] = field(default_factory=lambda: [0.0] * 4)
    last: list[bool] = field(default_factory=lambda: [False] * 4)
    crossings: list[int] = field(default_factory=lambda: [0] * 4)
    barely_s: list[float] = field(default_factory=lambda: [0.0] * 4)
    """Seconds of those counted in which the temperature was beyond the limit by no more than SENSOR_K."""
    nearly_s: list[float] = field(default_factory=lambda: [0.0] * 4)
    """Seconds not counted in which it was within the limit by no more than SENSOR_K."""
    longest_s: float = 0.0
    charging: bool = False
    observed: Observed = field(default_factory=Observed)
    last_wall_ms: int = 0


class Exposure:
    """Counts time in extreme temperature."""

    def __init__(self, declared: Declared, delivers: frozenset[Quantity], limit_ns: int, state: ExposureState) -> None:
        self._low = declared.temperature_min_c
        self._high = declared.temperature_max_c
        self._hot_c = math.inf if self._high is None else self._high
        self._cold_c = -math.inf if self._low is None else self._low
        self._charging_above_a = (declared.rated_capacity_ah or 0.0) * IDLE_C_RATE
        self._delivers = delivers
        self._limit_ns = limit_ns
        self._outside = any(state.last)
        self.state = state

    def feed(self, view: View) -> None:
        """Account for one sample; without a usable temperature the interval is a gap."""
        state = self.state
        if view.current_a is not None:
            state.charging = view.current_a > self._charging_above_a
        hot, cold = view.hottest_c, view.coldest_c
        if hot is None or cold is None:
            if view.flawed & TEMPERATURE_SOURCES:
                state.observed.miss(view.mono_ns)
            return
        seconds = state.observed.step(view.mono_ns, self._limit_ns)
        state.last_wall_ms = view.wall_ms
        if seconds > state.longest_s:  # noqa: PLR1730 - max() takes three times as long
            state.longest_s = seconds
        hotter_k, colder_k = hot - self._hot_c, self._cold_c - cold
        if hotter_k >= -SENSOR_K or colder_k >= -SENSOR_K or self._outside:
            self._near(seconds, hotter_k, colder_k)

    def _near(self, seconds: float, hotter_k: float, colder_k: float) -> None:
        """Account for an interval at whose end a temperature is near its limit or beyond, or was before."""
        state = self.state
        for i, beyond_k in enumerate((hotter_k, colder_k) * 2):
            if -SENSOR_K <= beyond_k <= SENSOR_K and (i < CHARGING_FROM or state.charging):
                doubtful = state.barely_s if beyond_k > EPSILON_C else state.nearly_s
                doubtful[i] += seconds
        above, below = hotter_k > EPSILON_C, colder_k > EPSILON_C
        if above or below or self._outside:
            self._count(seconds, [above, below, above and state.charging, below and state.charging])
            self._outside = above or below

    def _count(self, seconds: float, now: list[bool]) -> None:
        state = self.state
        for i, inside in enumerate(now):
            state.seconds[i] += seconds * (inside + state.last[i]) / 2
            state.crossings[i] += seconds > 0 and inside is not state.last[i]
        state.last = now

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of `gap_ns`."""
        self.state.observed.resume(gap_ns)

    def readings(self) -> list[Reading]:
        """Return the four counters in minutes."""
        return [self._reading(i, field) for i, field in enumerate(FIELDS)]

    def _reading(self, i: int, field: Field) -> Reading:
        state = self.state
        if not self._delivers & (HOT_SOURCES if i % 2 == 0 else COLD_SOURCES):
            return Reading(field, missing=Missing.NOT_REPORTED)
        if (self._high if i % 2 == 0 else self._low) is None:
            return Reading(field, missing=Missing.NOT_DECLARED)
        if not state.last_wall_ms:
            return Reading(field, missing=Missing.NO_DATA)
        # each crossing lies somewhere in one interval: rectangular, so interval / sqrt(12) (GUM, JCGM 100 4.3.7);
        # what the sensor's error can have put on the wrong side of the limit: rectangular too, half-width / sqrt(3)
        crossed_s = state.longest_s * (state.crossings[i] / 12) ** 0.5
        uncertainty_s = math.hypot(crossed_s, max(state.barely_s[i], state.nearly_s[i]) / 3**0.5)
        return Reading(
            field,
            value=state.seconds[i] / SECONDS_PER_MINUTE,
            originator=Originator.DERIVED,
            method=Method.TIME_IN_STATE,
            last_update_ms=state.last_wall_ms,
            uncertainty=uncertainty_s / SECONDS_PER_MINUTE,
            coverage=state.observed.coverage,
        )
