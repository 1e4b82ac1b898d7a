"""Holes: sequence numbers that a log's own gap records name as removed on purpose, and whether they account for a loss.

A gap of cause THINNED or DROPPED names `first` and `last`, both inclusive, of its own log. Records that were left
stand between them, so a hole says which numbers may be missing, not which are.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from packseal.core.bodies import HOLE_CAUSES, Gap
from packseal.core.record import Record

Hole = tuple[int, int]
"""First and last sequence number, both inclusive."""


def hole_of(entry: Record) -> Hole | None:
    """Return the numbers that this record names as removed; None where it names none.

    One that reaches up to the record itself names nothing: it would excuse in advance what is not yet written.
    One that says `log` was sealed again from that log, whose numbers it names.
    """
    if not isinstance(entry.body, Gap) or entry.body.cause not in HOLE_CAUSES or "log" in entry.body.attributes:
        return None
    first, last = (int(entry.body.attributes[name]) for name in ("first", "last"))
    return (first, last) if last < entry.header.sequence else None


def merged(holes: Iterable[Hole]) -> list[Hole]:
    """Return the same numbers as the fewest holes, ascending; neighbours become one."""
    found: list[Hole] = []
    for first, last in sorted(holes):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def covers(holes: Sequence[Hole], first: int, last: int) -> bool:
    """Whether every number from `first` to `last` lies in `holes`, which are as `merged` returns them."""
    at = bisect_right(holes, first, key=lambda hole: hole[0]) - 1
    return last < first or (at >= 0 and last <= holes[at][1])
