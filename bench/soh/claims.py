"""Claims: a BMS that is honest, and one that overstates by five points, against whole sessions of a recorded cell.

The honest one rounds the truth to whole percents, as most do.
"""

from collections.abc import Callable

from bench.soh.stream import Stream, fed
from packseal.core.sample import EventCode

LIE_POINTS = 5.0
BAD = (EventCode.HEALTH_CLAIM_DOUBTFUL, EventCode.HEALTH_CLAIM_CONTRADICTED)


def claim(stream: Stream, lie_points: float, from_number: int = 0) -> Callable[[int], float | None]:
    """Return the claim by number of test: the truth in whole percents of the rated capacity, and the lie on top."""
    rated = stream.declared.rated_capacity_ah or 1.0
    last = [100 * stream.first_ah / rated]

    def said(number: int) -> float:
        if number in stream.truth_ah:
            last[0] = 100 * stream.truth_ah[number] / rated
        return float(round(last[0])) + (lie_points if number >= from_number else 0.0)

    return said


def false_alarms(stream: Stream) -> tuple[int, int]:
    """Return how many alarms of contradiction an honest claim raised, and in how many sessions."""
    outcome = fed(stream, claim=claim(stream, 0.0))
    raised = sum(n.code is EventCode.HEALTH_CLAIM_CONTRADICTED for n in outcome.notices)
    return raised, sum(not p.session.reason for p in outcome.points)


def sessions_until_flagged(stream: Stream, lie_points: float, from_number: int) -> tuple[int | None, int | None]:
    """Return after how many qualifying sessions a lie that begins then was doubtful, and was contradicted."""
    outcome = fed(stream, claim=claim(stream, lie_points, from_number))
    count, begins_ns = 0, _begins_ns(stream, from_number)
    found: dict[EventCode, int | None] = dict.fromkeys(BAD)
    for notice in outcome.notices:
        if notice.code is EventCode.CAPACITY_MEASURED:
            count += notice.at.mono_ns > begins_ns
        if notice.code in BAD and count and found[notice.code] is None:
            found[notice.code] = count
    return found[BAD[0]], found[BAD[1]]


def _begins_ns(stream: Stream, number: int) -> float:
    return next(t_s for n, t_s, *_ in stream.rows if n >= number) * 1e9
