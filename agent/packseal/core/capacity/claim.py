"""The check of the BMS's state of health against ours.

Apart by more than `max(3, 3 * sd)` points in a session that measured the capacity: doubtful; in three such sessions in
a row: contradicted. A claim 5 points too high, the tolerance of UN GTR 22, must not pass, and an honest one of whole
percents must; `sd` holds the systematic terms.
"""

import msgspec

from packseal.core.passport import Verdict
from packseal.core.sample import EventCode

TOLERANCE_POINTS = 3.0
DEVIATIONS = 3.0
SESSIONS = 3
RISE_POINTS = 2.0
"""A state of health that rises by this without our own rising is told; a rise of 1 is rounding."""


class ClaimState(msgspec.Struct):
    """The verdict, sessions apart in a row, sessions compared, and the claim's lowest value since it last rose."""

    verdict: int = int(Verdict.NOT_ENOUGH_EVIDENCE)
    apart: int = 0
    compared: int = 0
    difference: float = 0.0
    wall_ms: int = 0
    lowest_pct: float | None = None


class Claim:
    """Judges one battery's claim, session by session."""

    def __init__(self, state: ClaimState) -> None:
        self.state = state

    def compare(self, claimed_pct: float, ours_pct: float, sd_pct: float, wall_ms: int) -> EventCode | None:
        """Account for one qualifying session; return the event when the verdict changes to something to be told."""
        state = self.state
        state.compared += 1
        state.difference, state.wall_ms = claimed_pct - ours_pct, wall_ms
        before = state.verdict
        if abs(state.difference) <= max(TOLERANCE_POINTS, DEVIATIONS * sd_pct):
            state.apart, state.verdict = 0, int(Verdict.CONSISTENT)
            return EventCode.HEALTH_CLAIM_CONSISTENT if before >= Verdict.DOUBTFUL else None
        state.apart += 1
        state.verdict = int(Verdict.CONTRADICTED if state.apart >= SESSIONS else Verdict.DOUBTFUL)
        if state.verdict == before:
            return None
        contradicted = state.verdict == Verdict.CONTRADICTED
        return EventCode.HEALTH_CLAIM_CONTRADICTED if contradicted else EventCode.HEALTH_CLAIM_DOUBTFUL

    def follow(self, claimed_pct: float) -> float | None:
        """Account for a claim; return by how many points it has risen when that is to be told."""
        state = self.state
        lowest = state.lowest_pct
        if lowest is None or claimed_pct < lowest:
            state.lowest_pct = claimed_pct
            return None
        if claimed_pct - lowest < RISE_POINTS:
            return None
        state.lowest_pct = claimed_pct
        return claimed_pct - lowest
