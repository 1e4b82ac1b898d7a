"""What the sink decides about verified records. Pure: knows no database, clock or transport.

A record goes into its log when it is the next one, or when every number before it is passed over: named as removed by
a gap record of the log, and of a stretch that the gateway has sent whole. Else it is held early or waits.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from packseal.core import chain
from packseal.core.chain import Head
from packseal.core.errors import VerifyError
from packseal.core.exchange import Refusal, Refused, Whole
from packseal.core.holes import hole_of
from packseal.core.record import Record
from packseal_sink.ledger import Archive, Aside, Ledger, Link, LogState, Note
from packseal_sink.links import Links, first_misfit, is_named
from packseal_sink.ranges import Ranges

SEQUENCE_BITS = 40
"""No log comes this far: at a thousand records a second it would take 34 years."""

MOVES = 2_000
"""Early records moved into logs by one draft: some 50 ms, in which no other gateway is answered."""

LINKS_AT_ONCE = 500


class Draft:
    """What one request, or one step of moving early records into their logs, would change.

    Args:
        ledger: where the logs stand before it.
        archive: the stored records.
    """

    def __init__(self, ledger: Ledger, archive: Archive) -> None:
        self._ledger = ledger
        self._links = Links(archive)
        self._waiting_count = self._waiting_bytes = self._early_bytes = 0
        self._moves = MOVES
        self._closed: set[bytes] = set()
        self.states: dict[bytes, LogState] = {}
        self.asides: dict[bytes, Aside] = {}
        self.whole: dict[bytes, Ranges] = {}
        self.stored, self.early, self.holes = list[Record](), list[Record](), list[Record]()
        self.dropped: list[tuple[bytes, int, int]] = []
        self.waiting: defaultdict[bytes, dict[int, Record]] = defaultdict(dict)
        self.duplicates, self.questions = Counter[bytes](), Counter[bytes]()
        self.refused, self.told = list[Note](), list[Refused]()
        self.touched: dict[bytes, None] = {}
        self.moved, self.torn, self.ripe = set[bytes](), set[bytes](), set[bytes]()

    def believe(self, whole: Iterable[Whole], entries: Iterable[Record]) -> None:
        """Take the gateway's word on whole stretches, but not on the numbers of the records that come with it."""
        for stretch in whole:
            said = self.whole.setdefault(stretch.log_id, self._ledger.room.whole(stretch.log_id).copy())
            said.add(stretch.first, stretch.end)
        for entry in entries:
            log_id, sequence = entry.header.log_id, entry.header.sequence
            if log_id in self.whole:  # from a rival on, what is held is not the history that this is said of
                self.whole[log_id].remove(sequence, 1 << SEQUENCE_BITS if self._has_rival(entry) else sequence + 1)

    def take(self, entry: Record, *, early: bool = False) -> None:
        """Decide about one verified record, which is out of turn on purpose when `early`."""
        log_id = entry.header.log_id
        self.touched[log_id] = None
        if log_id not in self._closed:
            self._decide(entry, early=early)
            self.follow(log_id)

    def follow(self, log_id: bytes) -> None:
        """Let the records that waited for the log's present end, or were held early, go in."""
        self.touched[log_id] = None
        while log_id not in self._closed and (sequence := self._next_at_hand(log_id)) is not None:
            state = self._known(log_id)
            waiting = self._waiting(log_id, sequence)
            if sequence in self._aside(log_id).early:
                if self._moves == 0:
                    self.ripe.add(log_id)
                    return
                self._move(state, sequence)
            elif waiting is not None:
                self._append(state, waiting)

    def refuse(self, refused: Refused, kid: bytes, digest: bytes = b"", told: Refusal | None = None) -> None:
        """Refuse one record and the rest of its log in this batch; the first reason is what is told.

        Args:
            refused: what is noted.
            kid: the key.
            digest: the record's hash, where it is known to be that key's.
            told: what the gateway is told in place of the code that is noted.
        """
        self.touched[refused.log_id] = None
        self.whole.pop(refused.log_id, None)
        if refused.log_id not in self._closed:
            self._closed.add(refused.log_id)
            self.refused.append(Note(refused, kid, digest))
            self.told.append(replace(refused, code=told or refused.code))

    def _decide(self, entry: Record, *, early: bool) -> None:
        log_id, sequence = entry.header.log_id, entry.header.sequence
        state = self._state(log_id) or LogState(log_id, entry.kid, entry.subject, Head())
        following = state.head.next_sequence
        if (state.kid, state.subject) != (entry.kid, entry.subject):
            self._tear(entry, Refusal.FORK, "this log belongs to another gateway key or another battery")
        elif sequence < following:
            self._again(state, entry)
        elif sequence in self._aside(log_id).early:
            self._held_already(state, entry)
        elif sequence == following or self._passes(log_id, following, sequence):
            self._append(state, entry)
        elif early or hole_of(entry) is not None:
            self._hold(state, entry)
        else:
            self._wait(state, entry)

    def _append(self, state: LogState, entry: Record) -> None:
        sequence = entry.header.sequence
        # Nobody has the hash of what was removed: the signed word of the record after it is taken.
        head = state.head if sequence == state.head.next_sequence else Head(sequence, entry.header.previous)
        try:
            head = chain.advance(head, entry)
        except VerifyError as error:
            self._tear(entry, Refusal.BROKEN_CHAIN, str(error))
            return
        self.states[state.log_id] = replace(state, head=head)
        self._keep(self.stored, entry, head.previous)

    def _again(self, state: LogState, entry: Record) -> None:
        """A record from before the log's end: a repetition, one that was passed over after all, or a fork."""
        log_id, sequence = state.log_id, entry.header.sequence
        known = self._links.hash_at(log_id, sequence)
        if known == entry.hash:
            self.duplicates[log_id] += 1
        elif known is None and sequence in self._aside(log_id).holes and self._fits(entry):
            self._keep(self.stored, entry, entry.hash)
        else:
            self._tear(entry, Refusal.FORK, "another record with this sequence number is stored: the log was forked")

    def _held_already(self, state: LogState, entry: Record) -> None:
        if self._has_rival(entry):
            self._contradicts(state, entry, "another record with this number is held early")
        else:
            self.duplicates[state.log_id] += 1

    def _hold(self, state: LogState, entry: Record) -> None:
        sequence, size = entry.header.sequence, len(entry.raw)
        sizes = self._aside(state.log_id).early_bytes + size, self._ledger.early_bytes + self._early_bytes + size
        if sequence >> SEQUENCE_BITS or not self._ledger.limits.allow(*sizes, names_hole=hole_of(entry) is not None):
            self._ahead(state, entry, "no more can be held early")
        elif not self._fits(entry):
            self._contradicts(state, entry, "it does not fit the records held early beside it")
        else:
            self._put_aside(state, entry)

    def _put_aside(self, state: LogState, entry: Record) -> None:
        sequence, size, aside = entry.header.sequence, len(entry.raw), self._own_aside(state.log_id)
        self.states.setdefault(state.log_id, state)
        aside.early.add(sequence, sequence + 1)
        aside.early_bytes += size
        self._early_bytes += size
        self._keep(self.early, entry, entry.hash)

    def _wait(self, state: LogState, entry: Record) -> None:
        log_id, sequence = state.log_id, entry.header.sequence
        other = self._waiting(log_id, sequence)
        if other is not None and other.raw != entry.raw:
            self._tear(entry, Refusal.FORK, "two different records came for this sequence number: the log was forked")
        elif other is not None:
            self.duplicates[log_id] += 1
        elif self._ledger.room.has_room(self._waiting_count + 1, self._waiting_bytes + len(entry.raw)):
            self.waiting[log_id][sequence] = entry
            self._waiting_count += 1
            self._waiting_bytes += len(entry.raw)
        else:
            self._ahead(state, entry, "no more can wait")

    def _move(self, state: LogState, sequence: int) -> None:
        """Move an early record into its log, or give it up with all that follow it when the chain says otherwise."""
        log_id, link = state.log_id, self._link(state.log_id, sequence, LINKS_AT_ONCE)
        if link is None or (sequence == state.head.next_sequence and link.previous != state.head.previous):
            self._give_up(state, sequence)
            return
        aside = self._own_aside(log_id)
        aside.early.remove(sequence, sequence + 1)
        aside.early_bytes -= link.size
        self._early_bytes -= link.size
        self._moves -= 1
        self.moved.add(log_id)
        self.states[log_id] = replace(state, head=Head(sequence + 1, link.hash))

    def _give_up(self, state: LogState, sequence: int) -> None:
        end = self._drop(state.log_id, sequence)
        text = f"records {sequence} to {end - 1}, held early, do not follow the log: it was forked"
        self.refuse(Refused(state.log_id, Refusal.FORK, sequence, text), state.kid, told=Refusal.AHEAD)

    def _drop(self, log_id: bytes, first: int) -> int:
        """Give up what is held early from `first` on, as far as it is one chain; return where that ends."""
        aside = self._own_aside(log_id)
        _, end = aside.early.range_of(first) or (first, first + 1)
        self.dropped.append((log_id, first, end))
        aside.early.remove(first, end)
        self._links.forget(log_id, first, end)
        for kept in (self.early, self.holes):  # what this request has brought of it is not written
            kept[:] = [e for e in kept if e.header.log_id != log_id or not first <= e.header.sequence < end]
        return end

    def _contradicts(self, state: LogState, entry: Record, text: str) -> None:
        log_id, following = state.log_id, state.head.next_sequence
        misfit = first_misfit(entry, partial(self._link, log_id))
        if misfit is not None and is_named(entry, following) and following not in self._aside(log_id).early:
            # By this word the number that the chain waits for never comes: what is held would stand in the way.
            self._drop(log_id, misfit)
            self._put_aside(state, entry)
        # Else it shows when the chain comes there which of the two is the log's: the gateway is asked to send in order.
        noted = Refused(log_id, Refusal.FORK, entry.header.sequence, f"{text}: the log was forked")
        self.refuse(noted, entry.kid, entry.hash, told=Refusal.AHEAD)

    def _ahead(self, state: LogState, entry: Record, why: str) -> None:
        text = f"record {state.head.next_sequence} has not arrived, and {why}: send from there"
        self.refuse(Refused(state.log_id, Refusal.AHEAD, entry.header.sequence, text), entry.kid)

    def _tear(self, entry: Record, code: Refusal, text: str) -> None:
        # What waits may follow the refused record or the stored one; the gateway sends the right ones again.
        self.torn.add(entry.header.log_id)
        self.refuse(Refused(entry.header.log_id, code, entry.header.sequence, text), entry.kid, entry.hash)

    def _keep(self, where: list[Record], entry: Record, digest: bytes) -> None:
        log_id, sequence = entry.header.log_id, entry.header.sequence
        self._links.put(log_id, sequence, Link(digest, entry.header.previous, len(entry.raw)))
        where.append(entry)
        hole = hole_of(entry)
        if hole is not None:
            self._own_aside(log_id).holes.add(hole[0], hole[1] + 1)
            self.holes.append(entry)

    def _fits(self, entry: Record) -> bool:
        """Whether the stored or held neighbours of `entry` are chained to it."""
        return first_misfit(entry, partial(self._link, entry.header.log_id)) is None

    def _has_rival(self, entry: Record) -> bool:
        """Whether another record with this number is held early."""
        log_id, sequence = entry.header.log_id, entry.header.sequence
        held = self._link(log_id, sequence) if sequence in self._aside(log_id).early else None
        return held is not None and held.hash != entry.hash

    def _link(self, log_id: bytes, sequence: int, more: int = 1) -> Link | None:
        """Return how a stored or held record is chained; of held ones, `more` are looked up at once."""
        if sequence in self._aside(log_id).early:
            return self._links.early(log_id, sequence, more)
        return self._links.stored(log_id, sequence, self._known(log_id).head.next_sequence)

    def _next_at_hand(self, log_id: bytes) -> int | None:
        """Return the record that can go in now: the next one, or the first after numbers that are passed over."""
        state = self._state(log_id)
        if state is None:
            return None
        following, aside = state.head.next_sequence, self._aside(log_id)
        if following in aside.early or self._waiting(log_id, following) is not None:
            return following
        limit = self._passable(log_id, following)
        if limit == following:
            return None
        waiting = (*self._ledger.room.numbers(log_id), *self.waiting.get(log_id, ()))
        held = aside.early.next_from(following)
        lowest = min((n for n in (*waiting, held) if n is not None and n >= following), default=None)
        return lowest if lowest is not None and lowest <= limit else None

    def _passes(self, log_id: bytes, following: int, sequence: int) -> bool:
        """Whether every number from `following` to before `sequence` is passed over, and none of them is at hand."""
        return sequence <= self._passable(log_id, following) and self._next_at_hand(log_id) is None

    def _passable(self, log_id: bytes, following: int) -> int:
        """Return the first number from `following` on that may not be missing."""
        named = self._aside(log_id).holes.run_end(following)
        if named == following:
            return following
        return min(named, (self.whole.get(log_id) or self._ledger.room.whole(log_id)).run_end(following))

    def _aside(self, log_id: bytes) -> Aside:
        return self.asides.get(log_id) or self._ledger.aside(log_id)

    def _own_aside(self, log_id: bytes) -> Aside:
        if log_id not in self.asides:
            self.asides[log_id] = self._ledger.aside(log_id).copy()
        return self.asides[log_id]

    def _state(self, log_id: bytes) -> LogState | None:
        return self.states.get(log_id) or self._ledger.states.get(log_id)

    def _known(self, log_id: bytes) -> LogState:
        return self._state(log_id) or LogState(log_id, b"", "", Head())

    def _waiting(self, log_id: bytes, sequence: int) -> Record | None:
        waiting = self.waiting.get(log_id)
        return (waiting and waiting.get(sequence)) or self._ledger.room.get(log_id, sequence)
