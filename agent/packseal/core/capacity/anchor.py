"""Anchors, where the state of charge is known, and the sessions between two of them with their grade."""

from enum import IntEnum
from math import hypot, sqrt

import msgspec

MOST_SD = 0.08
"""Relative: a session that tells less than this gives no update."""
COLDEST_C, WARM_C, HOTTEST_C = 10.0, 40.0, 60.0
"""Outside, what a battery gives or takes is not its capacity at 25 °C: at -5 °C a charge shows 8 % too little.
Above WARM_C it shows a little more, which is doubted; above HOTTEST_C no cell may be used."""
WARM_SD_PER_K = 0.001
"""Relative: a cell gives 1 to 2 % more at 45 °C than at 25 °C."""
NO_TEMPERATURE_SD = 0.01
"""Relative: what a session is doubted by more where no temperature tells that it was within the gate."""
LEAST_SPAN = 0.2
"""Of the charge, between two anchors: nearer ones, each known to 0.4 % at best, tell less than 3 % of the capacity."""
OFFSET_C_RATE = 1 / 500
"""Standard uncertainty of the current's zero, in capacities per hour: 4 mA of a 2 Ah cell."""
BLUR = 0.25
"""Variance of the charge between two samples, by the square of the current's change times their distance: 1/12 where it
changed at once at some moment between, 1/2 where each sample has nothing to do with the one before."""
EFFICIENCY_SD = 0.003
"""Of the share of a charge that is given out again, for what went back and forth between two anchors."""
LOW_SOC = 0.4
"""Windows above are blind to lost lithium; those that reach below are not."""


class Kind(IntEnum):
    """What makes the state of charge known."""

    FULL = 1  # the charger has ended at the upper voltage
    EMPTY = 2  # cut off at the lower voltage
    REST = 3  # open-circuit voltage after a rest
    LOAD = 4  # voltage at a steady current, against the battery's own curve at that current


class Grade(IntEnum):
    """How much a session tells of the capacity."""

    A = 1  # between full and empty
    B = 2  # from one of them over 60 % of the charge or more, reaching below 40 %
    C = 3  # an inner window, reaching below 40 %
    D = 4  # no update


GRADE_SD = {Grade.A: 0.005, Grade.B: 0.02, Grade.C: 0.04}
"""Relative standard uncertainty at best."""


class Anchor(msgspec.Struct, frozen=True):
    """A state of charge (0 to 1) known to `sd`, with the running sums at that moment.

    `charge_as` is the signed integral of the current, `moved_as` that of its magnitude, `heated_as` the part of that at
    a known temperature and `heat` its integral times temperature; `elapsed_s` the time that passed,
    `observed_s` the same without gaps; `warm_c` the temperature then; `blurred` as `TrackerState` has it.
    """

    kind: int
    soc: float
    sd: float
    charge_as: float
    moved_as: float
    heated_as: float
    heat: float
    elapsed_s: float
    observed_s: float
    warm_c: float | None = None
    blurred: float = 0.0


class Session(msgspec.Struct, frozen=True):
    """What lay between two anchors, and what it says; `reason` says why there is no update, "" for one."""

    wall_ms: int
    grade: Grade
    capacity_ah: float | None
    sd_ah: float | None
    soc_from: float | None
    soc_to: float | None
    temperature_c: float | None
    charge_ah: float
    anchors: str
    reason: str = ""


class Pair(msgspec.Struct, frozen=True):
    """Two anchors and the capacity between them, in ampere seconds, with its relative uncertainty."""

    first: Anchor
    last: Anchor
    capacity_as: float
    sd: float
    temperature_c: float | None


def pair(first: Anchor, last: Anchor) -> Pair | None:
    """Return what two anchors say of the capacity; None where they lie too close."""
    span = last.soc - first.soc
    moved_as = last.charge_as - first.charge_as
    if abs(span) < LEAST_SPAN or span * moved_as <= 0:
        return None
    hours = (last.observed_s - first.observed_s) / 3600
    detours = (last.moved_as - first.moved_as) / abs(moved_as) - 1
    blur_as = sqrt(BLUR * max(last.blurred - first.blurred, 0.0))
    ends = hypot(first.sd, last.sd, OFFSET_C_RATE * hours, EFFICIENCY_SD * detours)
    relative = hypot(ends / abs(span), blur_as / abs(moved_as))
    heated_as = last.heated_as - first.heated_as
    warm = (last.heat - first.heat) / heated_as if heated_as > 0 else None
    return Pair(first, last, moved_as / span, relative, warm)


def graded(found: Pair) -> tuple[Grade, float, str]:
    """Return the grade, the relative standard uncertainty and, for grade D, the reason."""
    kinds = {found.first.kind, found.last.kind}
    span, lowest = abs(found.last.soc - found.first.soc), min(found.first.soc, found.last.soc)
    warm = found.temperature_c
    if warm is not None and not COLDEST_C <= warm <= HOTTEST_C:
        return Grade.D, found.sd, f"{warm:.0f} °C, outside {COLDEST_C:.0f} to {HOTTEST_C:.0f} °C"
    for end in (found.first, found.last):
        if end.kind != Kind.FULL and end.warm_c is not None and end.warm_c < COLDEST_C:
            name = Kind(end.kind).name.lower()
            return Grade.D, found.sd, f"its {name} end was at {end.warm_c:.0f} °C"
    if lowest > LOW_SOC:
        return Grade.D, found.sd, f"it did not reach below {LOW_SOC:.0%} charge"
    doubt = NO_TEMPERATURE_SD if warm is None else WARM_SD_PER_K * max(warm - WARM_C, 0.0)
    sd = hypot(found.sd, doubt)
    if sd > MOST_SD:
        return Grade.D, sd, f"its ends are too uncertain ({sd:.0%})"
    grade = Grade.C
    if kinds == {Kind.FULL, Kind.EMPTY}:
        grade = Grade.A if found.sd <= 4 * GRADE_SD[Grade.A] else Grade.B
    elif kinds & {Kind.FULL, Kind.EMPTY} and span >= 0.6:  # noqa: PLR2004 - see Grade.B
        grade = Grade.B
    return grade, max(sd, GRADE_SD[grade]), ""
