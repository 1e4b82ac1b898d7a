"""Parcel: the records that a wish comes to, read from the outbox, and what the lane then knows. Calls the disk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packseal.core import exchange
from packseal.core.exchange import Whole
from packseal.core.holes import hole_of
from packseal.core.record import parse
from packseal.uplink.lane import Lane
from packseal.uplink.outbox import Outbox
from packseal.uplink.plan import Part, Wish

Entry = tuple[int, bytes]
DENSE = 0.5
"""Where more of a log than this is events, sending them out of turn gains nothing: the turn comes as soon."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Records of one log for one request.

    `end` is how far the stretch was looked through (with NEWEST: from `end` up). `whole` says that numbers are missing
    in it which gap records name. `lost` is the first missing number that nothing accounts for.
    """

    wish: Wish
    entries: Sequence[Entry]
    end: int
    whole: bool = False
    lost: int | None = None

    @property
    def lane(self) -> Lane:
        """Whose records these are."""
        return self.wish.lane

    @property
    def numbers(self) -> list[int]:
        """Their sequence numbers, ascending."""
        return [sequence for sequence, _ in self.entries]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say to the sink."""
        return not self.entries and not self.whole

    def encode(self) -> bytes:
        """Return the request."""
        raws = [raw for _, raw in self.entries]
        if self.wish.early:
            return exchange.encode_early(raws)
        said = [Whole(self.lane.log_id, self.wish.start, self.end)] if self.whole else []
        return exchange.encode_batch(raws, said)

    def launched(self, now: float, present_s: float) -> None:
        """Let the lane know that this is under way, or that it was looked for and is nothing."""
        lane = self.lane
        if self.wish.early:
            lane.launched_early(self.numbers)
        match self.wish.part:
            case Part.PRESENT:
                lane.present_from = now + present_s
            case Part.EVENTS:
                lane.events = self.end
            case Part.URGENT:
                lane.urgent = self.end
                if self.wish.start <= lane.events:
                    lane.events = max(lane.events, self.end)
            case Part.NEWEST:
                lane.passed.add(self.end, self.wish.end)
            case Part.NAMES:
                lane.named = self.end
                if self.entries:
                    lane.next = None  # what is held is then told anew: some of it may have been given up
            case Part.TURN:
                lane.next = self.end


def pack(outbox: Outbox, wish: Wish, limit_records: int, limit_bytes: int) -> Parcel:
    """Read what `wish` asks for; nothing that the sink has or that is under way. Raises StorageError."""
    log_id = wish.lane.log_id
    match wish.part:
        case Part.PRESENT:
            newest = outbox.newest_snapshot(log_id)
            return Parcel(wish, _unsent(wish, [] if newest is None else [newest]), wish.end)
        case Part.EVENTS | Part.URGENT:
            found = outbox.entries(
                log_id,
                wish.start,
                wish.end,
                limit_records,
                limit_bytes,
                urgent=True,
                snapshots=wish.part is Part.URGENT,
            )
            end = found[-1][0] + 1 if found else wish.end
            left = not wish.pressing and len(found) > DENSE * (end - wish.start)
            return Parcel(wish, [] if left else _unsent(wish, found), end)
        case Part.NEWEST:
            found = outbox.entries(log_id, wish.start, wish.end, limit_records, limit_bytes, newest_first=True)
            return Parcel(wish, _unsent(wish, found), found[0][0] if found else wish.start)
        case Part.NAMES:
            limits = limit_records, limit_bytes
            found = outbox.entries(log_id, wish.start, wish.end, *limits, urgent=True, snapshots=False)
            names = [(sequence, raw) for sequence, raw in found if hole_of(parse(raw)) is not None]
            return Parcel(wish, names, found[-1][0] + 1 if found else wish.end)
        case Part.TURN:
            found = outbox.entries(log_id, wish.start, wish.end, limit_records, limit_bytes)
            return _in_turn(wish, found)


def _in_turn(wish: Wish, found: Sequence[Entry]) -> Parcel:
    lane, end = wish.lane, found[-1][0] + 1 if found else wish.end
    if len(found) == end - wish.start:  # nothing is missing, as nearly always
        return Parcel(wish, _unsent(wish, found), end)
    whole, lost, expected = False, None, wish.start
    for sequence in (*(sequence for sequence, _ in found), end):
        for first, after in _missing(lane, expected, sequence):
            whole = True
            unnamed = lane.holes.next_missing(first)
            if unnamed < after and lost is None:
                lost = unnamed
        expected = sequence + 1
    return Parcel(wish, _unsent(wish, found), end, whole, lost)


def _missing(lane: Lane, first: int, end: int) -> Iterable[tuple[int, int]]:
    """Yield the stretches of [first, end) that the sink neither has nor will get out of turn."""
    while first < end:
        if (after := max(lane.held.next_missing(first), lane.flying.next_missing(first))) > first:
            first = after
            continue
        starts = [n for n in (lane.held.next_first(first), lane.flying.next_first(first)) if n is not None]
        stop = min(end, *starts) if starts else end
        yield first, stop
        first = stop


def _unsent(wish: Wish, found: Sequence[Entry]) -> Sequence[Entry]:
    lane = wish.lane
    if not lane.held and not lane.flying and wish.part is not Part.PRESENT:
        return found
    there = {sequence for sequence, _ in found} if wish.part is Part.TURN else ()
    return [
        (sequence, raw)
        for sequence, raw in found
        if wish.start <= sequence < wish.end
        and sequence not in lane.flying
        and (sequence not in lane.held or (there and sequence + 1 not in there and lane.doubts(sequence)))
    ]
