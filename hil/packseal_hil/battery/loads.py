"""Loads: the current that the world asks of a battery, in multiples of its rated capacity per hour (C), by time.

A load is a table of moments joined by straight lines, which repeats. Charging is positive.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import pi, sin

from packseal_hil.battery.load_files import Measured, file_names, read_file

DAY_S = 86_400.0
H = 3600.0


class Course:
    """A table of seconds and C rates. The last moment is the first of the next round.

    Args:
        moments: rising times from 0 on, in s; two equal ones make a jump.
        rates: the C rate at each.
        start_soc_pct: what a battery begins with, unless its spec says otherwise.
    """

    def __init__(self, moments: Sequence[float], rates: Sequence[float], start_soc_pct: float) -> None:
        self._moments, self._rates = list(moments), list(rates)
        self.start_soc_pct = start_soc_pct
        self.period_s = self._moments[-1]

    def rate_c(self, at_s: float) -> float:
        """Return the C rate asked for."""
        within = at_s % self.period_s
        after = bisect_right(self._moments, within)
        t0, t1 = self._moments[after - 1], self._moments[after]
        r0, r1 = self._rates[after - 1], self._rates[after]
        return r0 + (r1 - r0) * (within - t0) / (t1 - t0)

    def idle_until_s(self, at_s: float) -> float:
        """Return until when nothing is asked for from `at_s` on: `at_s` itself while something is."""
        within = at_s % self.period_s
        after = bisect_right(self._moments, within)
        end_s = within
        while after < len(self._moments) and not self._rates[after - 1] and not self._rates[after]:
            end_s, after = self._moments[after], after + 1
        return at_s - within + end_s

    def ambient_c(self, at_s: float) -> float | None:  # noqa: ARG002  # a built-in load knows no weather
        """Return the ambient temperature that the load brings along."""
        return None


Load = Course | Measured

DRIVING = (
    *((0, 0.0), (5, -0.9), (18, -1.6), (30, -0.5), (75, -0.45), (82, 0.7), (90, 0.5), (94, 0.0), (110, 0.0)),
    *((115, -1.2), (135, -2.4), (160, -0.8), (240, -0.7), (300, -0.9), (306, 1.1), (318, 0.6), (324, 0.0), (340, 0.0)),
    *((346, -0.7), (358, -1.2), (370, -0.3), (400, -0.35), (408, 0.5), (414, 0.0), (430, 0.0), (600, 0.0)),
)
"""Ten minutes of traffic by seconds and C: three launches, cruising, recuperation up to 1.1 C, standing. Invented."""


def _driven(begin_s: float, rounds: int) -> list[tuple[float, float]]:
    return [(begin_s + n * DRIVING[-1][0] + t, rate) for n in range(rounds) for t, rate in DRIVING[:-1]]


def _held(begin_s: float, end_s: float, rate: float) -> list[tuple[float, float]]:
    """Hold a rate, with a minute's ramp at both ends, as chargers have."""
    return [(begin_s, 0.0), (begin_s + 60, rate), (end_s - 60, rate), (end_s, 0.0)]


def _course(parts: Sequence[list[tuple[float, float]]], period_s: float, start_soc_pct: float) -> Course:
    moments = [(0.0, 0.0), *(moment for part in parts for moment in part), (period_s, 0.0)]
    return Course([t for t, _ in moments], [r for _, r in moments], start_soc_pct)


def rest() -> Course:
    """Nothing."""
    return _course([], DAY_S, 60)


def drive() -> Course:
    """Driving in traffic with recuperation, without an end: the battery is empty after about two hours."""
    return _course([_driven(0, 1)], DRIVING[-1][0], 80)


def fast_charge() -> Course:
    """1.2 C from the first minute until the BMS ends it, then standing for the rest of four hours."""
    return _course([_held(10, 2 * H, 1.2)], 4 * H, 10)


def overnight_charge() -> Course:
    """C/8 for ten hours or until full, at the end of a day of standing."""
    return _course([_held(10, 10 * H, 0.125)], DAY_S, 25)


def commuter_day() -> Course:
    """From midnight: charge at C/8 until 6; drive at 7 and at 17 for 50 min; fast charge at 12 for half an hour."""
    parts = [_held(1, 6 * H, 0.125), _driven(7 * H, 5), _held(12 * H, 12.5 * H, 0.9), _driven(17 * H, 5)]
    return _course([*parts, _held(22 * H, DAY_S - 1, 0.125)], DAY_S, 55)


def pv_day() -> Course:
    """A home's storage: base load at night, sun from 8 to 17 with clouds, an evening of cooking until 23."""
    sun = [(8 * H + i * 300, _sun((i * 300) / (9 * H))) for i in range(109)]
    night = [(1.0, -0.02), (7.9 * H, -0.02)]
    evening = [
        (17.1 * H, -0.05),
        (18 * H, -0.3),
        (18.5 * H, -0.3),
        (18.6 * H, -0.12),
        (23 * H, -0.1),
        (23.2 * H, -0.02),
    ]
    return _course([night, sun, evening], DAY_S, 30)


def switched_day() -> Course:
    """A works' storage that is switched on and off: every hour ten minutes of rest, then 0.4 C out or in, by turns."""
    blocks = [_switched(h * H + 600, h * H + 600 + 2700, -0.4 if h % 2 == 0 else 0.4) for h in range(24)]
    return _course(blocks, DAY_S, 65)


def _switched(begin_s: float, end_s: float, rate: float) -> list[tuple[float, float]]:
    """Hold a rate, reached within a second, as contactors and inverters do."""
    return [(begin_s, 0.0), (begin_s + 1, rate), (end_s - 1, rate), (end_s, 0.0)]


def home_day() -> Course:
    """A home's storage with an evening of switched loads: hob and oven six minutes in twenty, as their thermostats do.

    Between them, and at night, the house takes C/33: 150 W of a 5 kWh storage.
    """
    sun = [(8 * H + i * 300, _sun((i * 300) / (9 * H))) for i in range(109)]
    parts: list[list[tuple[float, float]]] = [[(1.0, -0.03), (7.9 * H, -0.03)], sun, [(17.05 * H, -0.03)]]
    for block in range(14):
        begin_s = 17.3 * H + block * 1200
        end_s = begin_s + 360
        parts.append([(begin_s, -0.03), (begin_s + 1, -0.35), (end_s, -0.35), (end_s + 1, -0.03)])
    return _course([*parts, [(DAY_S - 1, -0.03)]], DAY_S, 30)


def vehicle_year() -> Course:
    """A year's kinds of days in 16: commuting, long trips that empty the battery, eight days of standing half full."""
    trip = [_held(1, 6 * H, 0.125), _driven(7 * H, 12), _held(10 * H, 11.5 * H, 0.8), _driven(15 * H, 12)]
    leaving = [_held(1, 6 * H, 0.125), _driven(7 * H, 5), _held(12 * H, 12.5 * H, 0.9), _driven(17 * H, 5)]
    at_home = [_held(22 * H, DAY_S - 1, 0.125)]
    commute: list[list[tuple[float, float]]] = [*leaving, *at_home]
    standing: list[list[tuple[float, float]]] = []
    days = [commute, [*trip, *at_home], commute, leaving, *[standing] * 8, commute, [*trip, *at_home], commute, commute]
    return _sequence(days, 55)


def shift_year() -> Course:
    """A lift truck's year in 16 days: one shift a day of switched loads, charged after it; eight days of standing."""
    night, whole = [_held(15 * H, 20 * H, 0.25)], _shift(36)
    days = [[*whole, *night]] * 3 + [_shift(16)] + [[]] * 8 + [night] + [[*whole, *night]] * 3
    return _sequence(days, 100)


def _shift(lifts: int) -> list[list[tuple[float, float]]]:
    """Return from 6 o'clock on, every 12 minutes, four at 0.35 C."""
    return [_switched(6 * H + n * 720, 6 * H + n * 720 + 240, -0.35) for n in range(lifts)]


def _sequence(days: Sequence[Sequence[list[tuple[float, float]]]], start_soc_pct: float) -> Course:
    """Join days, each of which begins and ends with nothing."""
    later = [[(n * DAY_S + t, rate) for t, rate in part] for n, day in enumerate(days) for part in day]
    return _course(later, len(days) * DAY_S, start_soc_pct)


def _sun(share: float) -> float:
    clouds = 0.75 + 0.25 * sin(40 * share)
    return 0.28 * sin(pi * share) * clouds


def frequency_containment() -> Course:
    """A day of frequency containment reserve: all of 0.5 C at 200 mHz, nothing within 10 mHz.

    Both numbers: Commission Regulation (EU) 2017/1485 Annex V. The grid's frequency is a sum of sines, invented.
    """
    waves = ((28.0, 3541.0, 0.3), (17.0, 907.0, 1.1), (14.0, 223.0, 2.6), (9.0, 61.0, 0.8), (6.0, 29.0, 4.0))
    moments = [4.0 * i for i in range(round(DAY_S / 4) + 1)]
    deviation_mhz = [sum(size * sin(2 * pi * t / period + phase) for size, period, phase in waves) for t in moments]
    rates = [0.0 if abs(d) < 10 else 0.5 * max(-1.0, min(1.0, d / 200)) for d in deviation_mhz]  # noqa: PLR2004
    return Course(moments, rates, 50)


BUILT_IN: dict[str, Callable[[], Course]] = {
    made.__name__: made
    for made in (
        *(commuter_day, drive, fast_charge, frequency_containment, home_day, overnight_charge),
        *(pv_day, rest, shift_year, switched_day, vehicle_year),
    )
}


def names() -> list[str]:
    """Return the names of all loads: the built-in ones, then the files of load_profiles, where present."""
    return [*sorted(BUILT_IN), *file_names()]


def load(name: str) -> Load:
    """Return the load of this name.

    Raises:
        RigError: there is none, or the file it names is absent or damaged.
    """
    return BUILT_IN[name]() if name in BUILT_IN else read_file(name, sorted(BUILT_IN))
