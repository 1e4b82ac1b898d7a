"""Plan: which records go next. Pure: lanes, terms and the time in, one wish out.

In this order: the newest snapshot of every battery when there is a backlog, then events, gaps and lifecycle records
when it is long, then the backlog itself. A gap record that names a hole always goes before the record after the hole;
where the sink takes none out of turn, or does not get on, those of all holes go in a batch, held there or not: what it
holds of a number may be another record, of a log that was forked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from packseal.uplink.lane import Lane
from packseal.uplink.terms import Order, Take, Terms

LONG_BATCHES = 4
"""A backlog of more batches than can be under way at once: events would wait for a round trip and more."""


class Part(Enum):
    """Which part of a log is wanted."""

    PRESENT = auto()  # the newest snapshot
    EVENTS = auto()  # events, gaps and lifecycle records, oldest first
    URGENT = auto()  # these and snapshots, oldest first
    NEWEST = auto()  # everything, newest first
    NAMES = auto()  # gap records that name holes, oldest first, whatever is held
    TURN = auto()  # everything, in its turn


@dataclass(frozen=True, slots=True)
class Wish:
    """What should be sent of one log: a part of the numbers [start, end).

    `pressing`: what is found must go out of turn; else it may be left to its turn where that is no later.
    """

    lane: Lane
    part: Part
    start: int
    end: int
    pressing: bool = False

    @property
    def early(self) -> bool:
        """Whether these records are out of turn."""
        return self.part not in (Part.NAMES, Part.TURN)


def next_wish(lanes: Iterable[Lane], terms: Terms, now: float) -> Wish | None:
    """Return what should be sent next; None when nothing may be sent now.

    Of lanes that want the same part, the one with the fewest requests under way comes first, then the one that was
    served longest ago.
    """
    ready = [lane for lane in lanes if lane.sends(now, ordered=terms.ordered)]
    ready.sort(key=lambda lane: (lane.in_flight, lane.turn))
    for part in (_present, _events, _urgent, _names, _backlog):
        for lane in ready:
            wish = part(lane, terms, now)
            if wish is not None and wish.start < wish.end:
                return wish
    return None


def _present(lane: Lane, terms: Terms, now: float) -> Wish | None:
    due = lane.backlog > terms.batch_records and now >= lane.present_from
    if terms.take < Take.SNAPSHOTS or not due or not _early(lane, terms, now):
        return None
    return Wish(lane, Part.PRESENT, lane.next or 0, lane.end.next_sequence)


def _events(lane: Lane, terms: Terms, now: float) -> Wish | None:
    long = lane.backlog > LONG_BATCHES * terms.batch_records
    pressing = terms.take < Take.EVERYTHING or lane.hole_ahead is not None
    if terms.take < Take.EVENTS or not (long or pressing) or not _early(lane, terms, now):
        return None
    return Wish(lane, Part.EVENTS, max(lane.events, lane.next or 0), lane.end.next_sequence, pressing)


def _urgent(lane: Lane, terms: Terms, now: float) -> Wish | None:
    if terms.take is not Take.SNAPSHOTS or not _early(lane, terms, now):
        return None
    return Wish(lane, Part.URGENT, max(lane.urgent, lane.next or 0), lane.end.next_sequence, pressing=True)


def _names(lane: Lane, terms: Terms, now: float) -> Wish | None:
    doubtful = lane.barren > 0 or not _early(lane, terms, now)
    if terms.take is not Take.EVERYTHING or not terms.early or not doubtful or lane.hole_ahead is None:
        return None
    return Wish(lane, Part.NAMES, max(lane.named, lane.next or 0), lane.end.next_sequence)


def _backlog(lane: Lane, terms: Terms, now: float) -> Wish | None:
    if terms.take is not Take.EVERYTHING:
        return None
    end = lane.end.next_sequence
    if terms.order is Order.NEWEST_FIRST and lane.backlog > terms.batch_records and _early(lane, terms, now):
        newest = Wish(lane, Part.NEWEST, lane.next or 0, _top(lane) + 1)
        if newest.start < newest.end:
            return newest
    hole = lane.hole_ahead
    if hole is not None:
        if terms.early and lane.named < end and (lane.flying or lane.events < end):
            end = hole  # its gap record is not yet at the sink
        start = lane.held.next_missing(lane.next or 0)
        return Wish(lane, Part.TURN, start - 1 if start and lane.doubts(start - 1) else start, end)
    start = lane.next or 0
    while (after := lane.flying.next_missing(lane.held.next_missing(start))) != start:
        start = after
    return Wish(lane, Part.TURN, start, end)


def _early(lane: Lane, terms: Terms, now: float) -> bool:
    return terms.early and now >= lane.early_from


def _top(lane: Lane) -> int:
    """Return the highest number that has not been looked at."""
    number = lane.end.next_sequence - 1
    while True:
        lower = number
        for ranges in (lane.held, lane.flying, lane.passed):
            lower = ranges.last_missing(lower)
        if lower == number:
            return number
        number = lower
