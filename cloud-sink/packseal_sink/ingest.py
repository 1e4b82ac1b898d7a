"""The sink's side of the exchange: one request in, one reply out. HTTPS and MQTT both call `Ingest.handle`."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from packseal.core import cose, exchange
from packseal.core.errors import FormatError, StorageError
from packseal.core.exchange import LogEnd, Position, Refusal, Refused, Reply, Request
from packseal_sink.gatekeeper import TEXT_LIMIT, Gatekeeper
from packseal_sink.ledger import Draft, Ledger, WaitingRoom
from packseal_sink.store import Change, Store

NO_LOG = NO_KID = b""


@dataclass(frozen=True, slots=True)
class Condition:
    """What only the running sink knows.

    `receipts` were issued since the database last counted them; `busy` answers were given since the start because the
    database could not be written, and `trouble` says why while that lasts.
    """

    receipts: int = 0
    busy: int = 0
    trouble: str = ""


class Ingest:
    """Verifies, stores and receipts.

    Args:
        store: where records are kept.
        signer: the sink's key.
        issuer: the sink's URI, which its receipts carry.
        now_ms: returns the UTC time in milliseconds.
        room: the waiting room; a default one when None.

    Raises:
        StorageError: the store cannot be read.
    """

    def __init__(
        self,
        store: Store,
        signer: cose.Signer,
        issuer: str,
        now_ms: Callable[[], int],
        room: WaitingRoom | None = None,
    ) -> None:
        self._store = store
        self._signer = signer
        self._issuer = issuer
        self._now_ms = now_ms
        self._ledger = Ledger(store.states(), room or WaitingRoom())
        self._gatekeeper = Gatekeeper(store.gateways, store.version)
        self._lock = threading.Lock()
        self._receipts = 0
        self._busy_count = 0
        self._trouble = ""

    @property
    def condition(self) -> Condition:
        """What the database does not say."""
        return Condition(self._receipts, self._busy_count, self._trouble)

    def handle(self, request: bytes) -> bytes:
        """Return the reply to any bytes at all; raises nothing that a request could cause."""
        content: Request | FormatError
        try:
            content = exchange.decode_request(request)
        except FormatError as error:
            content = error
        with self._lock:
            try:
                reply = self._answer(content)
            except StorageError as error:
                reply = Reply(refused=(self._busy(NO_LOG, error),))
        return exchange.encode_reply(reply)

    def _answer(self, content: Request | FormatError) -> Reply:
        if isinstance(content, FormatError):
            refused = Refused(NO_LOG, Refusal.BAD_FORMAT, 0, str(content)[:TEXT_LIMIT])
            self._commit(Change(refused=((refused, NO_KID),)))
            return Reply(refused=(refused,))
        return self._position(content.ends) if isinstance(content, Position) else self._batch(content.records)

    def _batch(self, records: Iterable[bytes]) -> Reply:
        now_ms = self._now_ms()
        self._ledger.room.expire(now_ms)
        self._gatekeeper.refresh()
        draft = Draft(self._ledger, self._store.hash_at)
        for raw in records:
            entry = self._gatekeeper.admit(raw)
            if isinstance(entry, tuple):
                draft.refuse(*entry)
                if not entry[0].log_id:
                    break  # bytes that are no record: what follows them is not worth the work
            else:
                draft.take(entry)
        try:
            self._commit(Change(draft.states, draft.stored, draft.duplicates, draft.refused))
        except StorageError as error:
            # Nothing of this batch is stored, so nothing of it may count: the ledger stays as it was.
            return Reply(refused=tuple(self._busy(log_id, error) for log_id in draft.touched))
        self._ledger.apply(draft, now_ms)
        return Reply(self._write_receipts(draft.touched), tuple(refused for refused, _ in draft.refused))

    def _position(self, ends: Iterable[LogEnd]) -> Reply:
        refused: list[tuple[Refused, bytes]] = []
        named: dict[bytes, None] = {}
        shared: list[LogEnd] = []
        for end in ends:
            named[end.log_id] = None
            # It sends again from where the sink stands, so what waited is not needed.
            self._ledger.room.drop(end.log_id)
            problem = self._ledger.compare(end, self._store.hash_at)
            if problem is not None:
                refused.append((problem, self._ledger.states[end.log_id].kid))
                if problem.code is Refusal.ROLLBACK and end.next_sequence > 0:
                    shared.append(end)
        self._commit(Change(refused=refused))
        # Before the newest, for a reader keeps the last: by these a gateway finds out how far its history is ours.
        receipts = [self._receipt(end.log_id, end.next_sequence - 1, end.hash) for end in shared]
        return Reply((*receipts, *self._write_receipts(named)), tuple(problem for problem, _ in refused))

    def _commit(self, change: Change) -> None:
        if not change.is_empty:
            pending = self._receipts
            self._store.commit(replace(change, receipts=pending), self._now_ms())
            self._receipts -= pending
            self._trouble = ""

    def _write_receipts(self, logs: Iterable[bytes]) -> tuple[bytes, ...]:
        receipts = []
        for log_id in logs:
            state = self._ledger.states.get(log_id)
            if state is not None:
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
