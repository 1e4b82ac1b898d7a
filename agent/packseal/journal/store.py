"""Journal: every log of this gateway, its meter state and the newest receipts, in one SQLite file.

Synchronous, and used by one thread at a time. A record that `append` has returned for survives a power cut.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from packseal.core import chain
from packseal.core.bodies import Kind
from packseal.core.chain import Head, SealedRecord
from packseal.core.errors import FormatError, StorageError, VerifyError
from packseal.core.exchange import Receipt
from packseal.core.record import parse, record_hash
from packseal.journal import contradictions, database, receipts
from packseal.journal.contradictions import Contradiction

SEQUENCE_BITS = 40  # 35,000 years of a record per second


class LogKind(IntEnum):
    """Whose log it is."""

    BATTERY = 1
    GATEWAY = 2


@dataclass(frozen=True, slots=True)
class Log:
    """One log of the journal."""

    log_id: bytes
    subject: str
    kind: LogKind


@dataclass(frozen=True, slots=True)
class LogStats:
    """What the journal holds of one log; wall times are None while it is empty."""

    log: Log
    records: int
    delivered: int
    bytes: int
    oldest_wall_ms: int | None
    newest_wall_ms: int | None


class _Place(NamedTuple):
    """A log's row number, and the range of record ids that are its own."""

    row: int
    start: int
    end: int


class Journal:
    """The durable log. Make it with `open` or `open_to_read`, end it with `close` or a `with` block.

    Every method raises StorageError when the disk or file fails; nothing is then changed, and the next call may
    succeed.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: database.Lock | None) -> None:
        self._path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the journal at `path`, or make it; the only process that may write until it is closed.

        Raises:
            StorageError: in use, damaged, not a journal, or not writable; the text says what to do.
        """
        lock = database.Lock(path)
        try:
            journal = cls(path, database.open_to_write(path), lock)
        except StorageError:
            lock.release()
            raise
        try:
            journal._check_ends()
        except StorageError:
            journal.close()
            raise
        return journal

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """Open an existing journal to look at it, also while an agent writes it; raises StorageError."""
        return cls(path, database.open_to_read(path), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice. A crash instead of this costs nothing but the next start's recovery."""
        self._connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def begin_log(self, subject: str, log_id: bytes, kind: LogKind = LogKind.BATTERY) -> None:
        """Make an empty log; does nothing when it is there already with the same subject and kind."""
        with self._transaction():
            known = {log.log_id: log for log in self.logs()}.get(log_id)
            if known is None:
                values = (log_id, subject, int(kind))
                self._connection.execute("INSERT INTO log (log_id, subject, kind) VALUES (?, ?, ?)", values)
            elif known != Log(log_id, subject, kind):
                raise StorageError(f"log {log_id.hex()} already belongs to {known.subject}: take another log id")

    def logs(self) -> list[Log]:
        """Return every log, oldest first."""
        rows = self._all("SELECT log_id, subject, kind FROM log ORDER BY id")
        return [Log(log_id, subject, LogKind(kind)) for log_id, subject, kind in rows]

    def append(self, log_id: bytes, records: Sequence[SealedRecord], state: bytes | None = None) -> None:
        """Store records and the meter state that goes with them, both or neither; None leaves the state as it is.

        Returns when they are on the disk.

        Raises:
            StorageError: also when a record is not the very next of this log.
        """
        place = self._place(log_id)
        with self._transaction():
            self._check_follows(log_id, records)
            self._connection.executemany(
                "INSERT INTO record (id, kind, wall_ms, hash, raw) VALUES (?, ?, ?, ?, ?)",
                [(place.start + r.sequence, int(r.kind), r.wall_ms, r.hash, r.raw) for r in records],
            )
            size = sum(len(r.raw) for r in records)
            self._connection.execute("UPDATE log SET bytes = bytes + ? WHERE id = ?", (size, place.row))
            if state is not None:
                values = (state, hashlib.sha256(state).digest(), place.row)
                self._connection.execute("UPDATE log SET state = ?, state_hash = ? WHERE id = ?", values)

    def head(self, log_id: bytes) -> Head:
        """Return where the log stands."""
        last = self.last(log_id)
        return Head() if last is None else Head(last.sequence + 1, last.hash)

    def state(self, log_id: bytes) -> bytes | None:
        """Return the meter state of the newest append that had one; raises StorageError when it is damaged."""
        place = self._place(log_id)
        ((state, digest),) = self._all("SELECT state, state_hash FROM log WHERE id = ?", place.row)
        if state is None:
            return None
        if hashlib.sha256(state).digest() != digest:
            raise StorageError(
                f"{self._path}: the meter state of log {log_id.hex()} is damaged: stop the agent; "
                "packseal journal repair saves what is sound"
            )
        return bytes(state)

    def last(self, log_id: bytes) -> SealedRecord | None:
        """Return the newest record, None when the log is empty."""
        place = self._place(log_id)
        found = self._records("WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT 1", place.start, place.end)
        return next(found, None)

    def record(self, log_id: bytes, sequence: int) -> SealedRecord | None:
        """Return one record, None when it is not there."""
        place = self._place(log_id)
        if not 0 <= sequence < 1 << SEQUENCE_BITS:
            return None
        return next(self._records("WHERE id = ?", place.start + sequence), None)

    def records(self, log_id: bytes, start: int = 0) -> Iterator[SealedRecord]:
        """Yield the records from sequence number `start` on, in order."""
        place = self._place(log_id)
        return self._records("WHERE id >= ? AND id < ? ORDER BY id", place.start + start, place.end)

    def read(self, log_id: bytes, start: int, limit_records: int, limit_bytes: int) -> list[bytes]:
        """Return raw records from `start` on, within both limits; the first one also when it is larger alone."""
        batch: list[bytes] = []
        size = 0
        for entry in self.records(log_id, start):
            size += len(entry.raw)
            if len(batch) == limit_records or (batch and size > limit_bytes):
                break
            batch.append(entry.raw)
        return batch

    def acknowledge(self, receipt: Receipt) -> None:
        """Keep a verified receipt; an older one than we have is ignored.

        Raises:
            VerifyError: it speaks of a record that is not ours.
        """
        place = self._place(receipt.log_id)
        ours = self.record(receipt.log_id, receipt.sequence)
        if ours is None or ours.hash != receipt.hash:
            raise VerifyError(
                f"the receipt for record {receipt.sequence} of log {receipt.log_id.hex()} names a record that this "
                "journal does not hold"
            )
        # Not synced: a power cut here forgets the receipt, and the sink repeats it when it is next asked.
        with database.unsynced_transaction(self._connection, self._path):
            newer = self._connection.execute(
                "UPDATE log SET delivered = ?, receipt = ? WHERE id = ? AND delivered < ?",
                (receipt.sequence + 1, receipt.raw, place.row, receipt.sequence + 1),
            )
            if newer.rowcount:
                receipts.keep(self._connection, place.start, receipt)

    def delivered(self, log_id: bytes) -> int:
        """Return the sequence number of the first record that no receipt covers."""
        ((delivered,),) = self._all("SELECT delivered FROM log WHERE id = ?", self._place(log_id).row)
        return int(delivered)

    def receipt(self, log_id: bytes) -> bytes | None:
        """Return the newest receipt as it was signed."""
        ((raw,),) = self._all("SELECT receipt FROM log WHERE id = ?", self._place(log_id).row)
        return None if raw is None else bytes(raw)

    def receipts(self, log_id: bytes, sequence: int = 0) -> list[tuple[int, bytes]]:
        """Return the receipts kept that cover record `sequence`, oldest first, with the number of the record named."""
        place, newest, end = self._place(log_id), self.receipt(log_id), self.delivered(log_id)
        with database.told(self._path):
            found = receipts.kept(self._connection, place.start + sequence, place.start + end)
        named = {at - place.start: raw for at, raw in found}
        if newest is not None and sequence < end:
            named[end - 1] = newest
        return sorted(named.items())

    def contradictions(self) -> list[Contradiction]:
        """Return the logs that a receipt of the sink contradicts, oldest first."""
        with database.told(self._path):
            return contradictions.read(self._connection)

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """Make one transaction of all that the block does through this journal or the connection that it is given."""
        with self._transaction():
            yield self._connection

    def stats(self) -> list[LogStats]:
        """Return what the journal holds of each log, oldest log first; its cost does not grow with the records."""
        return [self._stats_of(log) for log in self.logs()]

    def _stats_of(self, log: Log) -> LogStats:
        place = self._place(log.log_id)
        ((delivered, size),) = self._all("SELECT delivered, bytes FROM log WHERE id = ?", place.row)
        limits = "WHERE id >= ? AND id < ? ORDER BY id"
        first = next(self._records(f"{limits} LIMIT 1", place.start, place.end), None)
        last = self.last(log.log_id)
        if first is None or last is None:
            return LogStats(log, 0, delivered, size, None, None)
        return LogStats(log, last.sequence - first.sequence + 1, delivered, size, first.wall_ms, last.wall_ms)

    def _check_ends(self) -> None:
        """Refuse a file whose newest record, the one the chain goes on from, is damaged."""
        for log in self.logs():
            last = self.last(log.log_id)
            if last is not None and record_hash(last.raw) != last.hash:
                raise StorageError(
                    f"{self._path} is damaged: record {last.sequence} of log {log.log_id.hex()} is not what was "
                    "stored; packseal journal repair saves what is sound"
                )

    def _check_follows(self, log_id: bytes, records: Sequence[SealedRecord]) -> None:
        head = self.head(log_id)
        for sealed in records:
            try:
                entry = parse(sealed.raw)
                head = chain.advance(head, entry)
            except (FormatError, VerifyError) as error:
                raise StorageError(f"not stored in log {log_id.hex()}: {error}") from error
            if (entry.header.log_id, head) != (log_id, Head(sealed.sequence + 1, sealed.hash)):
                raise StorageError(f"not stored in log {log_id.hex()}: record {sealed.sequence} is not what it says")

    def _place(self, log_id: bytes) -> _Place:
        for (row,) in self._all("SELECT id FROM log WHERE log_id = ?", log_id):
            return _Place(row, row << SEQUENCE_BITS, (row + 1) << SEQUENCE_BITS)
        raise StorageError(f"{self._path} has no log {log_id.hex()}")

    def _records(self, where: str, *values: int) -> Iterator[SealedRecord]:
        mask = (1 << SEQUENCE_BITS) - 1
        try:
            # `where` is one of this module's own literals.
            for row in self._connection.execute(f"SELECT id, kind, wall_ms, hash, raw FROM record {where}", values):  # noqa: S608
                number, kind, wall_ms, digest, raw = row
                yield SealedRecord(raw, digest, number & mask, Kind(kind), wall_ms)
        except sqlite3.Error as error:
            raise database.storage_error(self._path, error) from error
        except ValueError as error:
            raise StorageError(f"{self._path} is damaged: {error}; packseal journal repair saves the rest") from error

    def _all(self, query: str, *values: int | bytes) -> list[tuple[Any, ...]]:
        with database.told(self._path):
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:  # within `together`, which ends it
            yield
            return
        with database.transaction(self._connection, self._path):
            yield
