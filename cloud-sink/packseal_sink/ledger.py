"""What the sink decides about a verified record. Pure: knows no database, clock or transport.

Ordering comes from the sequence number and the hash chain alone. A Draft holds what one request would change; nothing
of it counts until the ledger has applied it, which happens after the store has committed.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from packseal.core import chain
from packseal.core.chain import Head
from packseal.core.errors import VerifyError
from packseal.core.exchange import LogEnd, Refusal, Refused
from packseal.core.record import GENESIS, Record

HashAt = Callable[[bytes, int], bytes | None]
"""Gives the hash of the stored record (log id, sequence), or None."""


@dataclass(frozen=True, slots=True)
class LogState:
    """Where one log stands in this sink, and who may write it."""

    log_id: bytes
    kid: bytes
    subject: str
    head: Head


class WaitingRoom:
    """Verified records that came before their predecessors, bounded in number and bytes over all logs."""

    def __init__(self, max_records: int = 16_384, max_bytes: int = 32 << 20, patience_ms: int = 60_000) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._patience_ms = patience_ms
        self._logs: dict[bytes, dict[int, Record]] = {}
        self._arrived_ms: dict[bytes, int] = {}
        self.records = 0
        self.bytes = 0

    def get(self, log_id: bytes, sequence: int) -> Record | None:
        """Return the record that waits for its turn as `sequence`."""
        return self._logs.get(log_id, {}).get(sequence)

    def has_room(self, records: int, size: int) -> bool:
        """Tell whether so many more records and bytes may wait."""
        return self.records + records <= self._max_records and self.bytes + size <= self._max_bytes

    def put(self, entry: Record, now_ms: int) -> None:
        """Let `entry` wait."""
        waiting = self._logs.setdefault(entry.header.log_id, {})
        if entry.header.sequence not in waiting:
            waiting[entry.header.sequence] = entry
            self.records += 1
            self.bytes += len(entry.raw)
        self._arrived_ms[entry.header.log_id] = now_ms

    def drop(self, log_id: bytes, below: int | None = None) -> None:
        """Forget what waits for `log_id`, all of it or the sequence numbers under `below`."""
        waiting = self._logs.get(log_id, {})
        for sequence in [s for s in waiting if below is None or s < below]:
            self.bytes -= len(waiting.pop(sequence).raw)
            self.records -= 1
        if not waiting:
            self._logs.pop(log_id, None)
            self._arrived_ms.pop(log_id, None)

    def expire(self, now_ms: int) -> None:
        """Forget logs whose gap has stayed open too long, so that they cannot keep others out."""
        for log_id in [k for k, at in self._arrived_ms.items() if now_ms - at > self._patience_ms]:
            self.drop(log_id)


class Ledger:
    """Where every log stands, and the records that wait."""

    def __init__(self, states: dict[bytes, LogState], room: WaitingRoom) -> None:
        self.states = states
        self.room = room

    def apply(self, draft: "Draft", now_ms: int) -> None:
        """Make a committed draft count."""
        self.states.update(draft.states)
        for entry in draft.waiting.values():
            self.room.put(entry, now_ms)
        for log_id, state in draft.states.items():
            self.room.drop(log_id, below=state.head.next_sequence)
        for log_id in draft.torn:
            self.room.drop(log_id)

    def compare(self, end: LogEnd, hash_at: HashAt) -> Refused | None:
        """Return what is wrong with where a gateway says its log ends, as far as this sink can know."""
        state = self.states.get(end.log_id)
        if state is None or end.next_sequence > state.head.next_sequence:
            return None
        last = end.next_sequence - 1
        known = GENESIS if last < 0 else hash_at(end.log_id, last)
        if known != end.hash:
            text = f"record {last} of the gateway is not the one stored here: the log was forked"
            return Refused(end.log_id, Refusal.FORK, max(last, 0), text)
        if end.next_sequence < state.head.next_sequence:
            text = (
                f"the gateway's log ends before {end.next_sequence}, the sink holds up to {_last(state)}: rolled back"
            )
            return Refused(end.log_id, Refusal.ROLLBACK, end.next_sequence, text)
        return None


class Draft:
    """What one batch would change.

    Args:
        ledger: where the logs stand before it.
        hash_at: looks up stored records.
    """

    def __init__(self, ledger: Ledger, hash_at: HashAt) -> None:
        self._ledger = ledger
        self._hash_at = hash_at
        self._new: dict[tuple[bytes, int], bytes] = {}
        self._waiting_bytes = 0
        self.states: dict[bytes, LogState] = {}
        self.stored: list[Record] = []
        self.waiting: dict[tuple[bytes, int], Record] = {}
        self.duplicates: Counter[bytes] = Counter()
        self.refused: list[tuple[Refused, bytes]] = []
        self.touched: dict[bytes, None] = {}
        self.torn: set[bytes] = set()
        self._closed: set[bytes] = set()

    def take(self, entry: Record) -> None:
        """Decide about one verified record, and about those that waited for it."""
        log_id = entry.header.log_id
        self.touched[log_id] = None
        follower: Record | None = entry
        while follower is not None and log_id not in self._closed:
            self._decide(follower)
            state = self._state(log_id)
            follower = None if state is None else self._waiting(log_id, state.head.next_sequence)

    def refuse(self, refused: Refused, kid: bytes) -> None:
        """Refuse one record of key `kid` and the rest of its log in this batch; the first reason is what is told."""
        self.touched[refused.log_id] = None
        if refused.log_id not in self._closed:
            self._closed.add(refused.log_id)
            self.refused.append((refused, kid))

    def _decide(self, entry: Record) -> None:
        log_id, sequence = entry.header.log_id, entry.header.sequence
        state = self._state(log_id) or LogState(log_id, entry.kid, entry.subject, Head())
        if (state.kid, state.subject) != (entry.kid, entry.subject):
            self._tear(entry, Refusal.FORK, "this log belongs to another gateway key or another battery")
        elif sequence > state.head.next_sequence:
            self._wait(state, entry)
        elif sequence < state.head.next_sequence:
            known = self._new.get((log_id, sequence)) or self._hash_at(log_id, sequence)
            if known == entry.hash:
                self.duplicates[log_id] += 1
            else:
                self._tear(
                    entry, Refusal.FORK, "another record with this sequence number is stored: the log was forked"
                )
        else:
            self._append(state, entry)

    def _append(self, state: LogState, entry: Record) -> None:
        try:
            head = chain.advance(state.head, entry)
        except VerifyError as error:
            self._tear(entry, Refusal.BROKEN_CHAIN, str(error))
            return
        self.states[state.log_id] = replace(state, head=head)
        self._new[state.log_id, entry.header.sequence] = head.previous
        self.stored.append(entry)

    def _wait(self, state: LogState, entry: Record) -> None:
        log_id, sequence = state.log_id, entry.header.sequence
        other = self._waiting(log_id, sequence)
        if other is not None and other.raw != entry.raw:
            self._tear(entry, Refusal.FORK, "two different records came for this sequence number: the log was forked")
        elif other is not None:
            self.duplicates[log_id] += 1
        elif self._ledger.room.has_room(len(self.waiting) + 1, self._waiting_bytes + len(entry.raw)):
            self.waiting[log_id, sequence] = entry
            self._waiting_bytes += len(entry.raw)
        else:
            text = f"record {state.head.next_sequence} has not arrived: send from there"
            self.refuse(Refused(log_id, Refusal.AHEAD, sequence, text), entry.kid)

    def _tear(self, entry: Record, code: Refusal, text: str) -> None:
        # What waits may follow the refused record or the stored one; the gateway sends the right ones again.
        self.torn.add(entry.header.log_id)
        self.refuse(Refused(entry.header.log_id, code, entry.header.sequence, text), entry.kid)

    def _state(self, log_id: bytes) -> LogState | None:
        return self.states.get(log_id) or self._ledger.states.get(log_id)

    def _waiting(self, log_id: bytes, sequence: int) -> Record | None:
        return self.waiting.get((log_id, sequence)) or self._ledger.room.get(log_id, sequence)


def _last(state: LogState) -> int:
    return state.head.next_sequence - 1
