"""Score: the estimate against the truth, in percentage points of the first capacity."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from bench.soh.stream import Outcome, Point, Stream
from packseal.core.capacity import Kind

COVERED = 1.96
WIDE = 0.8


@dataclass(frozen=True, slots=True)
class Score:
    """Root mean square, greatest and mean error in points, and the share of truths inside the 95 % interval."""

    count: int
    rmse: float
    most: float
    bias: float
    covered: float


def scored(pairs: Sequence[tuple[float, float, float]], first_ah: float) -> Score:
    """Return the score of (estimate, its standard uncertainty, truth) in Ah."""
    errors = [100 * (estimate - truth) / first_ah for estimate, _, truth in pairs]
    count = len(errors)
    if not count:
        return Score(0, 0.0, 0.0, 0.0, 0.0)
    mean_square = sum(e * e for e in errors) / count
    return Score(count, sqrt(mean_square), max(map(abs, errors)), sum(errors) / count, share_inside(pairs))


def share_inside(pairs: Sequence[tuple[float, float, float]]) -> float:
    """Return the share of (estimate, its standard uncertainty, truth) whose truth lies inside the 95 % interval."""
    return sum(abs(e - t) <= COVERED * sd for e, sd, t in pairs) / len(pairs) if pairs else 0.0


def anchored(outcome: Outcome) -> list[tuple[float, float, float]]:
    """Return what the meter publishes after each session of 80 % or more between two anchors, one of them an end."""
    ends = {Kind.FULL.name.lower(), Kind.EMPTY.name.lower()}
    return [
        (p.estimate_ah, p.sd_ah or 0.0, p.truth_ah)
        for p in outcome.points
        if p.estimate_ah is not None
        and p.truth_ah is not None
        and not p.session.reason
        and abs((p.session.soc_to or 0) - (p.session.soc_from or 0)) >= WIDE
        and set(p.session.anchors.split("-")) & ends
    ]


def between(
    stream: Stream, outcome: Outcome, order: Sequence[int], whole: set[int]
) -> tuple[list[tuple[float, float, float]], list[tuple[float, float, float]]]:
    """Return, for each partial cycle, what the meter publishes after it, and what holding the last whole one says."""
    points = sorted(outcome.points, key=lambda p: p.t_s)
    ours: list[tuple[float, float, float]] = []
    held: list[tuple[float, float, float]] = []
    last: Point | None = None
    hold_ah, k = 0.0, 0
    for number in order:
        while k < len(points) and points[k].number <= number:
            last, k = points[k], k + 1
        if number in whole:
            hold_ah = stream.truth_ah[number]
        elif last is not None and last.estimate_ah is not None and hold_ah:
            truth = stream.truth_ah[number]
            ours.append((last.estimate_ah, last.sd_ah or 0.0, truth))
            held.append((hold_ah, 0.0, truth))
    return ours, held
