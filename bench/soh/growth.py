"""Growth: the resistance that the meter tells of a cycled cell against the cell's own 10 s pulse tests."""

from dataclasses import dataclass
from statistics import correlation, mean

from bench.soh import recorded
from bench.soh.stream import A, Stream, V, noisy, samples
from packseal.core.meter import Meter
from packseal.core.passport import Field

GAP_LIMIT_S = 1000.0
"""The set is recorded by change, not by time: between two rows of a steady current lie up to 15 minutes."""
MIDDLE_V = (3.6, 3.85)
"""Rest voltages of 30 to 70 % charge in this cell, new and aged."""
STILL_A = 0.02

Pulse = tuple[float, float, bool]
"""A, V, and whether it is in a pulse."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Over all tests: correlation, and the greatest difference of the growth since the first in points."""

    tests: int
    correlated: float
    apart: float
    grown_pct: float


def pulse_ohm(rows: list[Pulse]) -> float | None:
    """Return the mean of a test's pulses out of rest at middle charge, None where there is none."""
    found = []
    for k, (amps, volts, pulse) in enumerate(rows[:-1]):
        if not pulse or rows[k + 1][2]:
            continue
        rest = next((rows[i] for i in range(k, -1, -1) if not rows[i][2]), None)
        if rest is not None and abs(rest[0]) < STILL_A and MIDDLE_V[0] < rest[1] < MIDDLE_V[1]:
            found.append((volts - rest[1]) / (amps - rest[0]))
    return mean(found) if found else None


def truths(stream: Stream, pulses: list[bool]) -> dict[int, float]:
    """Return the 10 s resistance by number of cycle, of those that hold a pulse test."""
    by: dict[int, list[Pulse]] = {}
    for (number, _, volts, amps, _), pulse in zip(stream.rows, pulses, strict=True):
        by.setdefault(number, []).append((amps, volts, pulse))
    told = {n: pulse_ohm(rows) for n, rows in by.items() if any(r[2] for r in rows)}
    return {n: ohm for n, ohm in told.items() if ohm is not None}


def compared(seed: int) -> Growth:
    """Return how the meter's growth compares with the truth, with the errors of a BMS by `seed`, 0 for none."""
    plain = recorded.camp()
    truth = truths(plain, recorded.camp_pulses())
    ours = _told(noisy(plain, seed) if seed else plain, set(truth))
    both = [(truth[n], ours[n]) for n in sorted(truth) if n in ours]
    return judged(both)


def judged(both: list[tuple[float, float]]) -> Growth:
    """Return the comparison of (true, told) resistances in the order of time."""
    first, ours = both[0]
    growth = [(100 * (t / first - 1), 100 * (o / ours - 1)) for t, o in both]
    apart = max(abs(t - o) for t, o in growth)
    return Growth(len(both), correlation([t for t, _ in both], [o for _, o in both]), apart, growth[-1][0])


def _told(stream: Stream, tests: set[int]) -> dict[int, float]:
    """Return what the meter tells after each of these cycles."""
    meter = Meter(stream.declared, frozenset((V.quantity, A.quantity)), gap_limit_s=GAP_LIMIT_S)
    found: dict[int, float] = {}
    before = 0
    for sample, number in samples(stream):
        if number != before and before in tests:
            reading = next(r for r in meter.snapshot().readings if r.field is Field.INTERNAL_RESISTANCE)
            if reading.value is not None:
                found[before] = reading.value
        before = number
        meter.feed(sample)
    return found
