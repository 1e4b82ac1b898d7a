"""Usage: hours idle, charging and discharging, and how long the battery spent at which charge and temperature.

An interval counts half to the state at each of its ends, so that one change is exact to half a sample and unbiased.
Idle is a current within C/50 either way (without a declared capacity: zero), the bound of the time in extreme
temperature too. The map is by state of charge in steps of 10 % and hottest temperature in steps of 5 °C.
"""

from dataclasses import dataclass, field

from packseal.core.declared import Declared
from packseal.core.meter.exposure import IDLE_C_RATE
from packseal.core.meter.interval import Observed
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Reading
from packseal.core.quantities import Quantity

SECONDS_PER_HOUR = 3600.0
SOC_STEP_PCT = 10
HIGHEST_SOC_STEP = 9
TEMPERATURE_STEP_C = 5
COLDEST_C, HOTTEST_C = -40, 85
"""Range of automotive sensors; what lies outside counts to its edge."""
NO_TEMPERATURE = 99
PER_SOC_STEP = 100
FIELDS = (Field.TIME_IDLE, Field.TIME_CHARGING, Field.TIME_DISCHARGING)
IDLE, CHARGING, DISCHARGING = range(3)


@dataclass(slots=True)
class UsageState:
    """Seconds per mode in the order of FIELDS, and per place of the map.

    A place is `PER_SOC_STEP * (SoC step) + temperature step`, the latter counted from COLDEST_C.
    """

    seconds: list[float] = field(default_factory=lambda: [0.0] * 3)
    places: dict[int, float] = field(default_factory=dict)
    mode: int = IDLE
    place: int | None = None
    soc_pct: float | None = None
    temperature_step: int = NO_TEMPERATURE
    observed: Observed = field(default_factory=Observed)
    last_wall_ms: int = 0


class Usage:
    """Counts time by what the battery does and where its state of charge and temperature are."""

    def __init__(self, declared: Declared, delivers: frozenset[Quantity], limit_ns: int, state: UsageState) -> None:
        self._idle_a = (declared.rated_capacity_ah or 0.0) * IDLE_C_RATE
        self._delivers = delivers
        self._limit_ns = limit_ns
        self._soc_pct: float | None = None
        self._hottest_c: float | None = None
        self.state = state
        self._here = self._place_now()

    def feed(self, view: View) -> None:
        """Account for one sample; without a usable current the interval is a gap."""
        state, current = self.state, view.current_a
        if view.soc_pct != self._soc_pct or view.hottest_c != self._hottest_c:
            self._move(view.soc_pct, view.hottest_c)
        if current is None:
            if Quantity.PACK_CURRENT_A in view.flawed:
                state.observed.miss(view.mono_ns)
            return
        seconds = state.observed.step(view.mono_ns, self._limit_ns)
        idle_a, place = self._idle_a, self._here
        mode = CHARGING if current > idle_a else DISCHARGING if current < -idle_a else IDLE
        if mode == state.mode:
            state.seconds[mode] += seconds
        else:
            state.seconds[mode] += seconds / 2
            state.seconds[state.mode] += seconds / 2
            state.mode = mode
        state.last_wall_ms = view.wall_ms
        if place is None:
            return
        if place == state.place:
            state.places[place] += seconds
        else:
            self._change(place, seconds)

    def _move(self, soc_pct: float | None, hottest_c: float | None) -> None:
        """Take over a new state of charge or temperature; one that is not said stays what it was."""
        state = self.state
        self._soc_pct, self._hottest_c = soc_pct, hottest_c
        if soc_pct is not None:
            state.soc_pct = soc_pct
        if hottest_c is not None:
            within_c = min(max(hottest_c, COLDEST_C), HOTTEST_C)
            state.temperature_step = int((within_c - COLDEST_C) // TEMPERATURE_STEP_C)
        self._here = self._place_now()

    def _place_now(self) -> int | None:
        soc_pct = self.state.soc_pct
        if soc_pct is None:
            return None
        step = min(max(int(soc_pct / SOC_STEP_PCT), 0), HIGHEST_SOC_STEP)
        return PER_SOC_STEP * step + self.state.temperature_step

    def _change(self, place: int, seconds: float) -> None:
        before, places = self.state.place, self.state.places
        places[place] = places.get(place, 0.0) + (seconds if before is None else seconds / 2)
        if before is not None:
            places[before] += seconds / 2
        self.state.place = place

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop of `gap_ns`."""
        self.state.observed.resume(gap_ns)

    def readings(self) -> list[Reading]:
        """Return the hours by mode and the hours at high charge."""
        high_s = sum(s for place, s in self.state.places.items() if place // PER_SOC_STEP == HIGHEST_SOC_STEP)
        return [
            *(self._reading(field, seconds) for field, seconds in zip(FIELDS, self.state.seconds, strict=True)),
            self._reading(Field.TIME_HIGH_CHARGE, high_s),
        ]

    def map_h(self) -> dict[str, dict[str, float]]:
        """Return hours by state of charge ("90-100 %"), and in it by hottest temperature ("20-25 °C", "unknown")."""
        table: dict[str, dict[str, float]] = {}
        for place, seconds in sorted(self.state.places.items()):
            soc, temperature = divmod(place, PER_SOC_STEP)
            row = table.setdefault(f"{soc * SOC_STEP_PCT}-{(soc + 1) * SOC_STEP_PCT} %", {})
            low = temperature * TEMPERATURE_STEP_C + COLDEST_C
            name = "unknown" if temperature == NO_TEMPERATURE else f"{low}-{low + TEMPERATURE_STEP_C} °C"
            row[name] = round(seconds / SECONDS_PER_HOUR, 4)
        return table

    def _reading(self, field: Field, seconds: float) -> Reading:
        if Quantity.PACK_CURRENT_A not in self._delivers:
            return Reading(field, missing=Missing.NOT_REPORTED)
        if field is Field.TIME_HIGH_CHARGE:
            if Quantity.STATE_OF_CHARGE_PCT not in self._delivers:
                return Reading(field, missing=Missing.NOT_REPORTED)
            if self.state.place is None:
                return Reading(field, missing=Missing.NO_DATA)
        if not self.state.last_wall_ms:
            return Reading(field, missing=Missing.NO_DATA)
        return Reading(
            field,
            value=seconds / SECONDS_PER_HOUR,
            method=Method.TIME_IN_STATE,
            last_update_ms=self.state.last_wall_ms,
            coverage=self.state.observed.coverage,
        )
