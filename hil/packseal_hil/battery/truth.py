"""What is true of a run: counters integrated at the simulation's own step, without a sensor in between.

It shares no code with the meter of the product. Within a step current, voltage and temperature go in straight lines,
so a step that crosses zero or a limit is split there. The definitions are those of the passport's fields:

* charging part / discharging part: integral of the current (of voltage times current) while it is above / below zero;
* full equivalent cycles: charge given out / rated capacity;
* time above / below the range: while the hottest / coldest temperature sensor's place is beyond the declared range;
  charging: while the current is also above C/50 of the rated capacity;
* deep discharge: the lowest cell is below the declared limit for 10 s; overcharge: the highest is above it for 1 s;
  counted again only after it has been 100 mV within;
* remaining capacity: what the pack gives, slowly, from its first full cell to its first empty cell;
* state of charge: what it would still give, of that.
"""

from dataclasses import dataclass, field

from packseal.core.declared import Declared
from packseal.core.passport import Field

S_PER_H = 3600.0
J_PER_KWH = 3.6e6
S_PER_MIN = 60.0
CHARGING_C = 1 / 50
REARM_V = 0.1


@dataclass(frozen=True, slots=True)
class Moment:
    """The pack at one end of a step. Temperatures and cell voltages are the extremes."""

    current_a: float
    voltage_v: float
    coldest_c: float
    hottest_c: float
    lowest_v: float
    highest_v: float


@dataclass(slots=True)
class Event:
    """One kind of event: how long a cell must be beyond its limit, how often that was."""

    needed_s: float
    count: int = 0
    beyond_s: float = 0.0
    armed: bool = True

    def step(self, before_v: float, after_v: float, seconds: float) -> None:
        """Account for a step; the voltages are how far beyond the limit, negative within it."""
        inside = above(before_v, after_v)
        self.beyond_s = self.beyond_s + inside * seconds if inside else 0.0
        if self.armed and self.beyond_s >= self.needed_s:
            self.count += 1
            self.armed = False
        if after_v <= 0:
            self.beyond_s = 0.0
        if after_v < -REARM_V:
            self.armed = True


@dataclass(slots=True)
class Truth:
    """All counters since the beginning of the run, in ampere seconds, joule and seconds."""

    declared: Declared
    charged_as: float = 0.0
    discharged_as: float = 0.0
    charged_j: float = 0.0
    discharged_j: float = 0.0
    seconds: float = 0.0
    hot_s: float = 0.0
    cold_s: float = 0.0
    hot_charging_s: float = 0.0
    cold_charging_s: float = 0.0
    by_five_kelvin_s: dict[int, float] = field(default_factory=dict)
    """Time by the hottest temperature, in steps of 5 °C: 4 is 20 to 25 °C."""
    deep: Event = field(default_factory=lambda: Event(10.0))
    over: Event = field(default_factory=lambda: Event(1.0))

    def step(self, before: Moment, after: Moment, seconds: float) -> None:
        """Account for one step of the simulation."""
        self.seconds += seconds
        charge = positive(before.current_a, after.current_a) * seconds
        discharge = positive(-before.current_a, -after.current_a) * seconds
        self.charged_as += charge
        self.discharged_as += discharge
        power = before.current_a * before.voltage_v, after.current_a * after.voltage_v
        self.charged_j += positive(*power) * seconds
        self.discharged_j += positive(-power[0], -power[1]) * seconds
        fives = int(after.hottest_c // 5)
        self.by_five_kelvin_s[fives] = self.by_five_kelvin_s.get(fives, 0.0) + seconds
        self._expose(before, after, seconds)
        low, high = self.declared.cell_voltage_min_v, self.declared.cell_voltage_max_v
        if low is not None and high is not None:
            self.deep.step(low - before.lowest_v, low - after.lowest_v, seconds)
            self.over.step(before.highest_v - high, after.highest_v - high, seconds)

    def _expose(self, before: Moment, after: Moment, seconds: float) -> None:
        low, high = self.declared.temperature_min_c, self.declared.temperature_max_c
        idle_a = CHARGING_C * (self.declared.rated_capacity_ah or 0.0)
        if low is None or high is None:
            return
        hot = above(before.hottest_c - high, after.hottest_c - high) * seconds
        cold = above(low - before.coldest_c, low - after.coldest_c) * seconds
        if hot or cold:
            charging = above(before.current_a - idle_a, after.current_a - idle_a)
            self.hot_s, self.hot_charging_s = self.hot_s + hot, self.hot_charging_s + hot * charging
            self.cold_s, self.cold_charging_s = self.cold_s + cold, self.cold_charging_s + cold * charging

    def counters(self) -> dict[Field, float]:
        """Return the counters as fields, each in its unit."""
        charged, discharged = self.charged_as / S_PER_H, self.discharged_as / S_PER_H
        taken, given = self.charged_j / J_PER_KWH, self.discharged_j / J_PER_KWH
        return {
            Field.CAPACITY_THROUGHPUT: charged + discharged,
            Field.ENERGY_THROUGHPUT: taken + given,
            Field.FULL_EQUIVALENT_CYCLES: discharged / (self.declared.rated_capacity_ah or 1.0),
            Field.TIME_EXTREME_HIGH: self.hot_s / S_PER_MIN,
            Field.TIME_EXTREME_LOW: self.cold_s / S_PER_MIN,
            Field.TIME_EXTREME_HIGH_CHARGING: self.hot_charging_s / S_PER_MIN,
            Field.TIME_EXTREME_LOW_CHARGING: self.cold_charging_s / S_PER_MIN,
            Field.DEEP_DISCHARGE_EVENTS: float(self.deep.count),
            Field.OVERCHARGE_EVENTS: float(self.over.count),
            Field.CAPACITY_CHARGED: charged,
            Field.CAPACITY_DISCHARGED: discharged,
            Field.ENERGY_CHARGED: taken,
            Field.ENERGY_DISCHARGED: given,
        }


def positive(first: float, last: float) -> float:
    """Return the mean of the part above zero of a straight line from `first` to `last`."""
    if first >= 0 <= last:
        return (first + last) / 2
    if first <= 0 >= last:
        return 0.0
    top, bottom = max(first, last), min(first, last)
    return top * top / (top - bottom) / 2


def above(first: float, last: float) -> float:
    """Return the share of a straight line from `first` to `last` that lies above zero."""
    if first > 0 < last:
        return 1.0
    if first <= 0 >= last:
        return 0.0
    return max(first, last) / abs(last - first)
