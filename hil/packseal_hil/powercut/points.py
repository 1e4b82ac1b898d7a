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

    They come just after a write, where something may be lost, and one at the end of each phase, where the most must
    survive. A phase with fewer writes than cuts is cut after some of them more than once, with other luck; one in which
    nothing was written is left out.
    """
    written = [(phase, ends) for phase in phases if (ends := _ends_of_writes(log, phase))]
    turns = cycle(tears)
    points = []
    for phase, ends in written:
        share = -(-count // len(written))
        chosen = [log.positions(phase.start, phase.end)[-1], *rng.choices(ends, k=share - 1)]
        points += [Point(position, phase.name, next(turns), rng.choice(KEEPS)) for position in chosen]
    return sorted(points, key=lambda point: point.position)


def _ends_of_writes(log: WriteLog, phase: Phase) -> list[int]:
    ends = [entry.end for entry in log.entries(phase.start, phase.end) if entry.writes]
    # A control that never syncs may write nothing for a whole phase, and yet lose what was promised in it.
    return ends or list(log.positions(phase.start, phase.end))
