"""Cycles by depth: rainflow count of the BMS's state of charge (ASTM E1049-85 §5.4.4), as it comes.

The `rainflow` package counts a finished series and holds its points in a generator, which cannot be saved at a power
cut; so its stack is kept here, and the package is what the tests compare with. A reversal is one after the state of
charge has turned by 1 %, so smaller swings, as of recuperation, are no cycles. What is still open (the residue) counts
as half cycles, as the standard has it at the end.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt

from packseal.core.declared import Declared
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Reading
from packseal.core.quantities import Quantity

HYSTERESIS_PCT = 1.0
"""The coarsest step that BMS give their state of charge in; less is noise."""
MOST_OPEN = 64
"""Bound on the residue. Its ranges only shrink, so beyond it the oldest is counted as the half cycle it is."""
DEPTH_STEPS = 10


@dataclass(slots=True)
class CyclesState:
    """`halves` and `depths_pct`: half cycles and the sum of their depths by depth in steps of 10 %.

    `open_pct`: the reversals that are not counted yet, oldest first; `newest_pct`: the extreme since the last of them.
    """

    halves: list[int] = field(default_factory=lambda: [0] * DEPTH_STEPS)
    depths_pct: list[float] = field(default_factory=lambda: [0.0] * DEPTH_STEPS)
    open_pct: list[float] = field(default_factory=list)
    newest_pct: float | None = None
    rising: bool = False
    last_wall_ms: int = 0


class Cycles:
    """Counts cycles of the state of charge by their depth."""

    def __init__(
        self,
        declared: Declared,  # noqa: ARG002 - every family is made with it
        delivers: frozenset[Quantity],
        limit_ns: int,  # noqa: ARG002
        state: CyclesState,
    ) -> None:
        self._delivers = delivers
        self.state = state

    def feed(self, view: View) -> None:
        """Account for one sample. Order alone matters, so a gap is no interruption."""
        soc = view.soc_pct
        if soc is None:
            return
        state, newest = self.state, self.state.newest_pct
        state.last_wall_ms = view.wall_ms
        if newest is None:
            state.newest_pct, state.open_pct = soc, [soc]
        elif (soc >= newest) if state.rising else (soc <= newest):
            state.newest_pct = soc
        elif abs(soc - newest) >= HYSTERESIS_PCT:
            if newest != state.open_pct[-1]:
                state.open_pct.append(newest)
                _close(state)
            state.newest_pct, state.rising = soc, soc > newest

    def resume(self, gap_ns: int) -> None:
        """Go on after a stop: the state of charge goes on from where it is."""

    def counts(self) -> dict[str, float]:
        """Return cycles by depth, such as "20-30 %", the residue's halves among them."""
        ended = _ended(self.state)
        return {f"{10 * i}-{10 * i + 10} %": n / 2 for i, n in enumerate(ended.halves) if n}

    def readings(self) -> list[Reading]:
        """Return the full equivalent cycles of the count: the sum of cycles times depth."""
        field = Field.RAINFLOW_CYCLES
        if Quantity.STATE_OF_CHARGE_PCT not in self._delivers:
            return [Reading(field, missing=Missing.NOT_REPORTED)]
        if self.state.newest_pct is None:
            return [Reading(field, missing=Missing.NO_DATA)]
        ended = _ended(self.state)
        # Each end of a half cycle is known to the hysteresis: rectangular, so / sqrt(12) (JCGM 100 4.3.7), two ends.
        uncertainty = 0.5 * HYSTERESIS_PCT / 100 * sqrt(2 / 12) * sqrt(sum(ended.halves))
        value = sum(ended.depths_pct) / 200
        reading = Reading(
            field, value=value, method=Method.RAINFLOW, last_update_ms=self.state.last_wall_ms, uncertainty=uncertainty
        )
        return [reading]


def _ended(state: CyclesState) -> CyclesState:
    """Return the counts as if the series ended now: the newest point closes what it can, the rest is half cycles."""
    ended = CyclesState(list(state.halves), list(state.depths_pct), list(state.open_pct))
    if state.newest_pct is not None and state.newest_pct != ended.open_pct[-1]:
        ended.open_pct.append(state.newest_pct)
        _close(ended)
    for before, after in pairwise(ended.open_pct):
        _count(ended, abs(after - before), 1)
    return ended


def _close(state: CyclesState) -> None:
    """Count what the newest reversal closes: E1049 §5.4.4 steps 2 to 5."""
    points = state.open_pct
    while len(points) > 2:  # noqa: PLR2004 - two ranges
        newest, before = abs(points[-1] - points[-2]), abs(points[-2] - points[-3])
        if newest < before:
            break
        if len(points) == 3:  # noqa: PLR2004 - the range before begins at the start: half a cycle
            _count(state, before, 1)
            del points[0]
        else:
            _count(state, before, 2)
            del points[-3:-1]
    if len(points) > MOST_OPEN:
        _count(state, abs(points[1] - points[0]), 1)
        del points[0]


def _count(state: CyclesState, depth_pct: float, halves: int) -> None:
    step = min(int(depth_pct / 10), DEPTH_STEPS - 1)
    state.halves[step] += halves
    state.depths_pct[step] += halves * depth_pct
