"""Where to cut: spread over the phases, at the ends of entries, with every kind of tear in turn."""

import random
from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

from packseal_hil.powercut.cut import Tear
from packseal_hil.powercut.trail import Phase
from packseal_hil.powercut.write_log import WriteLog

TEARS = (Tear.PAGES, Tear.LOST, Tear.PAGES, Tear.WRITES)
KEEPS = (0.1, 0.5, 0.9)


class Point(NamedTuple):
    """One cut to be made. `keep` is the chance of each un-flushed part to be on the medium."""

    position: int
    phase: str
    tear: Tear
    keep: float


def choose(
    log: WriteLog, phases: Sequence[Phase], count: int, rng: random.Random, tears: Sequence[Tear] = TEARS
) -> list[Point]:
    """Return at least `count` cuts in rising order, as many in every phase as in the others.

    Every phase in which anything was written is cut at its end too, where the most must survive. A phase with fewer
    entries than cuts is cut at some of them more than once, with other luck.
    """
    written = [phase for phase in phases if log.positions(phase.start, phase.end)]
    turns = cycle(tears)
    points = []
    for phase in written:
        positions = log.positions(phase.start, phase.end)
        share = -(-count // len(written))
        chosen = [positions[-1], *rng.choices(positions, k=share - 1)]
        points += [Point(position, phase.name, next(turns), rng.choice(KEEPS)) for position in chosen]
    return sorted(points, key=lambda point: point.position)
