"""The sink's side of the exchange: one request in, one reply out. HTTPS and MQTT both call `Ingest.handle`."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from packseal.core import cose, exchange, record
from packseal.core.errors import FormatError, StorageError
from packseal.core.exchange import Batch, Early, LogEnd, Position, Refusal, Refused, Reply, Request
from packseal.core.record import Record
from packseal_sink.draft import Draft
from packseal_sink.gatekeeper import TEXT_LIMIT, Admission, Gatekeeper
from packseal_sink.ledger import Ledger, Limits, Note
from packseal_sink.pressure import Bounds, Pressure
from packseal_sink.questions import Questions
from packseal_sink.ranges import Range
from packseal_sink.rates import Rates
from packseal_sink.store import Store
from packseal_sink.waiting import WaitingRoom
from packseal_sink.writing import Change

NO_LOG = NO_KID = b""


@dataclass(frozen=True, slots=True)
class Condition:
    """What only the running sink knows.

    `receipts` were issued since the database last counted them; `busy` answers were given since the start because the
    database could not be written, and `trouble` says why while that lasts. `slowed` requests were told to wait since
    the start because their gateway had sent more than its share.
    """

    receipts: int = 0
    busy: int = 0
    trouble: str = ""
    slowed: int = 0


class Ingest:
    """Verifies, stores and receipts.

    Args:
        store: where records are kept.
        signer: the sink's key.
        issuer: the sink's URI, which its receipts carry.
        now_ms: returns the UTC time in milliseconds.
        room: the waiting room; a default one when None.
        limits: of what is held early.
        pressure: tells when nothing more can be taken; None looks at no disk.
        rates: how much one gateway may send; None is no limit.

    Raises:
        StorageError: the store cannot be read.
    """

    def __init__(  # noqa: PLR0913 - four have defaults
        self,
        store: Store,
        signer: cose.Signer,
        issuer: str,
        now_ms: Callable[[], int],
        room: WaitingRoom | None = None,
        *,
        limits: Limits | None = None,
        pressure: Pressure | None = None,
        rates: Rates | None = None,
    ) -> None:
        self._store = store
        self._signer = signer
        self._issuer = issuer
        self._now_ms = now_ms
        self._ledger = Ledger(store.states(), store.asides(), room or WaitingRoom(), limits or Limits())
        self._pressure = pressure or Pressure(store.folder, Bounds())
        self._gatekeeper = Gatekeeper(store.gateways, store.version)
        self._rates = rates or Rates()
        self._questions = Questions()
        self._lock = threading.Lock()
        self._receipts = 0
        self._busy_count = 0
        self._trouble = ""

    @property
    def condition(self) -> Condition:
        """What the database does not say."""
        return Condition(self._receipts, self._busy_count, self._trouble, self._rates.slowed)

    def handle(self, request: bytes) -> bytes:
        """Return the reply to any bytes at all; raises nothing that a request could cause."""
        content: Request | FormatError
        try:
            content = exchange.decode_request(request)
        except FormatError as error:
            content = error
        if not self._lock.acquire(timeout=self._pressure.bounds.wait_s):
            busy = self._busy(NO_LOG, StorageError("the sink's database is slow and others wait: try again in 10 s"))
            return exchange.encode_reply(Reply(refused=(busy,)))
        try:
            reply = self._answer(content)
        except StorageError as error:
            reply = Reply(refused=(self._busy(NO_LOG, error),))
        finally:
            self._lock.release()
        return exchange.encode_reply(reply)

    @property
    def is_ripe(self) -> bool:
        """Whether records held early can be moved into their logs now."""
        return bool(self._ledger.ripe)

    def move(self) -> None:
        """Move early records into their logs, some of them: other requests are answered between two calls.

        Raises:
            StorageError: nothing was moved.
        """
        with self._lock:
            draft = Draft(self._ledger, self._store)
            for log_id in list(self._ledger.ripe)[:1]:
                draft.follow(log_id)
            self._settle(draft)

    def _answer(self, content: Request | FormatError) -> Reply:
        if isinstance(content, FormatError):
            refused = Refused(NO_LOG, Refusal.BAD_FORMAT, 0, str(content)[:TEXT_LIMIT])
            self._commit(Change(refused=(Note(refused, NO_KID),)))
            return Reply(refused=(refused,))
        if isinstance(content, Position):
            known = next((end.log_id for end in content.ends if end.log_id in self._ledger.states), None)
            kid = NO_KID if known is None else self._ledger.states[known].kid
            return self._slowed(kid) or self._position(content.ends)
        trouble = self._pressure.trouble()
        if trouble:
            return Reply(refused=(self._busy(NO_LOG, StorageError(trouble)),))
        return self._slowed(_claimed(content)) or self._records(content)

    def _slowed(self, kid: bytes) -> Reply | None:
        """Return the answer to a gateway that has sent more than its share; None where it has not."""
        wait_s = self._rates.wait_s(kid)
        if not wait_s:
            return None
        text = f"this gateway sends more than the sink takes of one: try again in {wait_s} s"
        return Reply(refused=(Refused(NO_LOG, Refusal.BUSY, 0, text),))

    def _records(self, content: Batch | Early) -> Reply:
        self._ledger.room.expire(self._now_ms())
        self._gatekeeper.refresh()
        draft = Draft(self._ledger, self._store)
        early = isinstance(content, Early)
        sizes: Counter[bytes] = Counter()
        numbers: dict[bytes, list[int]] = {}
        for entry in self._admitted(content, draft):
            if isinstance(entry, Record):
                draft.take(entry, early=early)
                sizes[entry.kid] += len(entry.raw)
                numbers.setdefault(entry.header.log_id, []).append(entry.header.sequence)
            else:
                draft.refuse(*entry)
        for kid, size in sizes.items():
            self._rates.spend(kid, size)
        for stretch in content.whole:
            draft.follow(stretch.log_id)
        try:
            self._settle(draft)
        except StorageError as error:
            # Nothing of this batch is stored, so nothing of it may count: the ledger stays as it was.
            return Reply(refused=tuple(self._busy(log_id, error) for log_id in draft.touched))
        return Reply(self._write_receipts(draft.touched), draft.told, self._held(numbers if early else {}))

    def _admitted(self, content: Batch | Early, draft: Draft) -> list[Admission]:
        """Return verified records and refusals; the gateway's word counts only where every record does."""
        entries = self._gatekeeper.admit(content.records, chained=isinstance(content, Batch))
        if not content.whole:
            return entries
        good = [entry for entry in entries if isinstance(entry, Record)]
        if len(good) < len(entries):
            return entries
        draft.believe(content.whole, good)  # no number is passed over whose record comes later in the same request
        for stretch in content.whole:
            draft.follow(stretch.log_id)
        good.sort(key=lambda entry: entry.header.sequence)
        return [*good]

    def _held(self, numbers: Mapping[bytes, Iterable[int]]) -> dict[bytes, list[Range]]:
        """Return the ranges held early that the numbers are in."""
        held: dict[bytes, list[Range]] = {}
        for log_id, sequences in numbers.items():
            ranges = map(self._ledger.aside(log_id).early.range_of, sequences)
            found = sorted({held_range for held_range in ranges if held_range is not None})
            if found:
                held[log_id] = found
        return held

    def _position(self, ends: Sequence[LogEnd]) -> Reply:
        named = dict.fromkeys(end.log_id for end in ends)
        draft = Draft(self._ledger, self._store)
        shared: list[LogEnd] = []
        for end in ends:
            # It sends again from where the sink stands, so what waited is not needed.
            self._ledger.room.drop(end.log_id)
            problem = self._ledger.compare(end, self._store)
            if problem is not None and self._questions.is_one(end, problem, self._now_ms()):
                draft.told.append(problem)
                draft.questions[end.log_id] += 1
            elif problem is not None:
                draft.refuse(problem, self._ledger.states[end.log_id].kid, end.hash)
            if problem is not None and problem.code is Refusal.ROLLBACK and self._is_shared(end):
                shared.append(end)
            draft.follow(end.log_id)
        self._settle(draft)
        # Before the newest, for a reader keeps the last: by these a gateway finds out how far its history is ours.
        receipts = [self._receipt(end.log_id, end.next_sequence - 1, end.hash) for end in shared]
        asides = ((log_id, self._ledger.aside(log_id).early) for log_id in named)
        held = {log_id: early.lowest(exchange.MAX_HELD_RANGES) for log_id, early in asides if early}
        return Reply((*receipts, *self._write_receipts(named)), draft.told, held)

    def _is_shared(self, end: LogEnd) -> bool:
        """Whether the record before `end` is the one here; where it was removed, by the word of the one after it."""
        if end.next_sequence == 0:
            return False  # no record is before it
        known = self._store.hash_at(end.log_id, end.next_sequence - 1)
        if known is None and (after := self._store.link_at(end.log_id, end.next_sequence)) is not None:
            known = after.previous
        return known == end.hash

    def _settle(self, draft: Draft) -> None:
        """Store what a draft has decided, and only then let it count."""
        self._commit(
            Change(
                states=draft.states,
                stored=draft.stored,
                early=draft.early,
                holes=draft.holes,
                moved=draft.moved,
                dropped=draft.dropped,
                duplicates=draft.duplicates,
                refused=draft.refused,
                questions=draft.questions,
            )
        )
        self._ledger.apply(draft, self._now_ms())
        for log_id in {log_id for log_id, _, _ in draft.dropped}:
            self._ledger.correct(log_id, self._store.aside(log_id))

    def _commit(self, change: Change) -> None:
        if not change.is_empty:
            pending = self._receipts
            self._store.commit(replace(change, receipts=pending), self._now_ms())
            self._receipts -= pending
            self._trouble = self._store.trouble

    def _write_receipts(self, logs: Iterable[bytes]) -> tuple[bytes, ...]:
        receipts = []
        for log_id in logs:
            state = self._ledger.states.get(log_id)
            if state is not None and state.head.next_sequence:
                receipts.append(self._receipt(log_id, state.head.next_sequence - 1, state.head.previous))
        return tuple(receipts)

    def _receipt(self, log_id: bytes, sequence: int, digest: bytes) -> bytes:
        envelope = cose.Envelope(self._signer, self._issuer, self._ledger.states[log_id].subject)
        self._receipts += 1
        return exchange.write_receipt(envelope, (log_id, sequence, digest), self._now_ms())

    def _busy(self, log_id: bytes, error: StorageError) -> Refused:
        self._busy_count += 1
        self._trouble = str(error)
        state = self._ledger.states.get(log_id)
        return Refused(log_id, Refusal.BUSY, 0 if state is None else state.head.next_sequence, self._trouble)


def _claimed(content: Batch | Early) -> bytes:
    """Return the key that the request says it is of."""
    try:
        return record.claimed_kid(content.records[0]) if content.records else NO_KID
    except (FormatError, TypeError):
        return NO_KID
