"""What the sink decides about verified records. Pure: knows no database, clock or transport.

A record goes into its log when it is the next one, or when every number before it is passed over: named as removed by
a gap record of the log, and of a stretch that the gateway has sent whole. Else it is held early or waits.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace

from packseal.core import chain
from packseal.core.chain import Head
from packseal.core.errors import VerifyError
from packseal.core.exchange import Refusal, Refused, Whole
from packseal.core.holes import hole_of
from packseal.core.record import Record
from packseal_sink.ledger import Archive, Aside, Ledger, Link, LogState, Note
from packseal_sink.ranges import Ranges

SEQUENCE_BITS = 40
"""No log comes this far: at a thousand records a second it would take 34 years."""

MOVES = 2_000
"""Early records moved into logs by one draft: some 50 ms, in which no other gateway is answered."""

LINKS_AT_ONCE = 500
HOLE_RESERVE = 1 << 20
"""Gap records that name holes are held beyond the limit: without them a log that is full of holes could not go on."""


class Draft:
    """What one request, or one step of moving early records into their logs, would change.

    Args:
        ledger: where the logs stand before it.
        archive: the stored records.
    """

    def __init__(self, ledger: Ledger, archive: Archive) -> None:
        self._ledger = ledger
        self._archive = archive
        self._links: dict[tuple[bytes, int], Link] = {}
        self._waiting_count = self._waiting_bytes = self._early_bytes = 0
        self._moves = MOVES
        self._closed: set[bytes] = set()
        self.states: dict[bytes, LogState] = {}
        self.asides: dict[bytes, Aside] = {}
        self.whole: dict[bytes, Ranges] = {}
        self.stored: list[Record] = []
        self.early: list[Record] = []
        self.holes: list[Record] = []
        self.moved: set[bytes] = set()
        self.dropped: list[tuple[bytes, int, int]] = []
        self.waiting: defaultdict[bytes, dict[int, Record]] = defaultdict(dict)
        self.duplicates: Counter[bytes] = Counter()
        self.questions: Counter[bytes] = Counter()
        self.refused: list[Note] = []
        self.told: list[Refused] = []
        self.touched: dict[bytes, None] = {}
        self.torn: set[bytes] = set()
        self.ripe: set[bytes] = set()

    def believe(self, whole: Iterable[Whole]) -> None:
        """Take the gateway's word on whole stretches; to be called before its records, which must then ascend."""
        for stretch in whole:
            said = self.whole.setdefault(stretch.log_id, self._ledger.room.whole(stretch.log_id).copy())
            said.add(stretch.first, stretch.end)

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
        link = self._links.get((log_id, sequence))
        known = link.hash if link is not None else self._archive.hash_at(log_id, sequence)
        if known == entry.hash:
            self.duplicates[log_id] += 1
        elif known is None and sequence in self._aside(log_id).holes and self._fits(entry):
            self._keep(self.stored, entry, entry.hash)
        else:
            self._tear(entry, Refusal.FORK, "another record with this sequence number is stored: the log was forked")

    def _held_already(self, state: LogState, entry: Record) -> None:
        log_id, sequence = state.log_id, entry.header.sequence
        held = self._link(log_id, sequence)
        if held is not None and held.hash == entry.hash:
            self.duplicates[log_id] += 1
        else:
            self._contradicts(entry, sequence, "another record with this number is held early")

    def _hold(self, state: LogState, entry: Record) -> None:
        log_id, sequence, size = state.log_id, entry.header.sequence, len(entry.raw)
        limits, spare = self._ledger.limits, 0 if hole_of(entry) is None else HOLE_RESERVE
        aside = self._own_aside(log_id)
        total = self._ledger.early_bytes + self._early_bytes + size
        if (
            sequence >> SEQUENCE_BITS
            or aside.early_bytes + size > limits.log_bytes + spare
            or total > (limits.total_bytes + spare)
        ):
            self._ahead(state, entry, "no more can be held early")
        elif not self._fits(entry):
            self._contradicts(entry, sequence, "it does not fit the records held early beside it")
        else:
            self.states.setdefault(log_id, state)
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
        log_id, aside = state.log_id, self._own_aside(state.log_id)
        held = aside.early.range_of(sequence)
        end = sequence + 1 if held is None else held[1]
        self.dropped.append((log_id, sequence, end))
        text = f"records {sequence} to {end - 1}, held early, do not follow the log: it was forked"
        aside.early.remove(sequence, end)
        self.refuse(Refused(log_id, Refusal.FORK, sequence, text), state.kid, told=Refusal.AHEAD)

    def _contradicts(self, entry: Record, sequence: int, text: str) -> None:
        # Which of the two is the log's shows when the chain comes there, so the gateway is asked to send in order.
        noted = Refused(entry.header.log_id, Refusal.FORK, sequence, f"{text}: the log was forked")
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
        self._links[log_id, sequence] = Link(digest, entry.header.previous, len(entry.raw))
        where.append(entry)
        hole = hole_of(entry)
        if hole is not None:
            self._own_aside(log_id).holes.add(hole[0], hole[1] + 1)
            self.holes.append(entry)

    def _fits(self, entry: Record) -> bool:
        """Whether the stored or held neighbours of `entry` are chained to it."""
        log_id, sequence = entry.header.log_id, entry.header.sequence
        before, after = (self._link(log_id, n) for n in (sequence - 1, sequence + 1))
        return (before is None or before.hash == entry.header.previous) and (
            after is None or after.previous == entry.hash
        )

    def _link(self, log_id: bytes, sequence: int, more: int = 1) -> Link | None:
        """Return how a stored or held record is chained; of held ones, `more` are looked up at once."""
        link = self._links.get((log_id, sequence))
        if link is None and sequence in self._aside(log_id).early:
            found = self._archive.early_links(log_id, sequence, more)
            self._links.update({(log_id, number): other for number, other in found.items()})
            link = found.get(sequence)
        elif link is None and 0 <= sequence < self._known(log_id).head.next_sequence:
            link = self._archive.link_at(log_id, sequence)
        return link

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
