"""Mixed operation made of full cycles: one whole cycle in 25, the others from full to somewhere low and back.

Of a partial cycle the end of the discharge and the beginning of the charge are not shown, as if the battery had turned
there: what is left is a gap in the stream, at the same state of charge on both sides.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from bench.soh.stream import Row, Stream

EVERY = 25
LOWEST, HIGHEST = 0.15, 0.38
"""Where the partial discharges end, by the true capacity; all below 40 %."""


def partial(stream: Stream, cycles: list[tuple[list[Row], list[Row], int]], seed: int) -> tuple[Stream, set[int]]:
    """Return a stream of which only every 25th of `cycles` is whole, and the numbers of the whole ones.

    A cycle is its discharge, the charge after it, and the number under which its truth stands.
    """
    chance, rows, whole = random.Random(seed), [], set()
    for k, (discharge, charge, number) in enumerate(cycles):
        if k % EVERY == 0:
            whole.add(number)
            rows += discharge + charge
            continue
        left_ah = chance.uniform(LOWEST, HIGHEST) * stream.truth_ah[number]
        rows += _until(discharge, stream.truth_ah[number] - left_ah)
        rows += _from(charge, left_ah)
    return replace(stream, name=f"{stream.name} mixed", rows=rows), whole


def _until(rows: list[Row], out_ah: float) -> list[Row]:
    """Return the rows until so much was given out."""
    gone = 0.0
    for k, (a, b) in enumerate(pairwise(rows), 1):
        gone -= (b[1] - a[1]) * (a[3] + b[3]) / 2 / 3600
        if gone >= out_ah:
            return rows[:k]
    return rows


def _from(rows: list[Row], in_ah: float) -> list[Row]:
    """Return the rows after so much was taken in."""
    come = 0.0
    for k, (a, b) in enumerate(pairwise(rows), 1):
        come += (b[1] - a[1]) * (a[3] + b[3]) / 2 / 3600
        if come >= in_ah:
            return rows[k:]
    return []


def nasa_cycles(stream: Stream) -> list[tuple[list[Row], list[Row], int]]:
    """Return each discharge test that has a truth with the charge test after it."""
    tests: dict[int, list[Row]] = {}
    for row in stream.rows:
        tests.setdefault(row[0], []).append(row)
    return [
        (tests[a], tests[b], a) for a, b in pairwise(sorted(tests)) if a in stream.truth_ah and b not in stream.truth_ah
    ]


def camp_cycles(stream: Stream, usual_a: Iterable[float] = (0.6, 0.8)) -> list[tuple[list[Row], list[Row], int]]:
    """Return each discharge at C/2 with the next cycle's charge; the slow and pulse tests are left out."""
    low, high = usual_a
    by: dict[int, list[Row]] = {}
    for row in stream.rows:
        by.setdefault(row[0], []).append(row)
    usual = {n for n, rows in by.items() if n in stream.truth_ah and low < max(abs(r[3]) for r in rows) < high}
    cycles = []
    for n in sorted(usual):
        if n + 1 not in usual:
            continue
        turn = next(k for k, r in enumerate(by[n]) if r[3] < -low / 2)
        after = next(k for k, r in enumerate(by[n + 1]) if r[3] < -low / 2)
        cycles.append((by[n][turn - 1 :], by[n + 1][:after], n))
    return cycles
