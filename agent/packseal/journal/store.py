"""Journal: every log of this gateway, its meter state and the newest receipts, in one SQLite file.

Synchronous, and used by one thread at a time. A record that `append` has returned for survives a power cut.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from packseal.core import chain
from packseal.core.chain import Head, SealedRecord
from packseal.core.errors import FormatError, StorageError, VerifyError
from packseal.core.exchange import Receipt
from packseal.core.holes import Hole
from packseal.core.record import Record, parse, record_hash
from packseal.journal import database, receipts, removal
from packseal.journal.reading import SEQUENCE_BITS, Log, LogKind, LogStats, Place, Reader

__all__ = ["SEQUENCE_BITS", "Journal", "Log", "LogKind", "LogStats"]


class Journal(Reader):
    """The durable log. Make it with `open` or `open_to_read`, end it with `close` or a `with` block.

    Every method raises StorageError when the disk or file fails; nothing is then changed, and the next call may
    succeed.
    """

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

    def append(
        self,
        log_id: bytes,
        records: Sequence[SealedRecord],
        state: bytes | None = None,
        removed: Sequence[Hole] = (),
    ) -> None:
        """Store records and the meter state that goes with them, and remove others: all of it or nothing.

        Returns when it is on the disk.

        Args:
            log_id: the log.
            records: the next ones.
            state: None leaves it as it is.
            removed: first and last sequence number, both inclusive, of stretches that are removed. A gap record of this
                log, which may be among `records`, names them, or they are receipted and nothing is left before them.

        Raises:
            StorageError: also when a record is not the very next of this log, or nobody would know of a loss.
        """
        place = self._place(log_id)
        with self._transaction():
            entries = self._check_follows(log_id, records)
            self._connection.executemany(
                "INSERT INTO record (id, kind, wall_ms, hash, raw) VALUES (?, ?, ?, ?, ?)",
                [(place.start + r.sequence, int(r.kind), r.wall_ms, r.hash, r.raw) for r in records],
            )
            self._grow(place, len(records), sum(len(r.raw) for r in records))
            if removal.note(self._connection, place.start, entries):
                self._holes.pop(log_id, None)
            if removed:
                self._remove(log_id, place, removed)
            if state is not None:
                values = (state, hashlib.sha256(state).digest(), place.row)
                self._connection.execute("UPDATE log SET state = ?, state_hash = ? WHERE id = ?", values)

    def acknowledge(self, receipt: Receipt) -> None:
        """Keep a verified receipt; an older one than we have is ignored, and one for a record that we have removed.

        Raises:
            VerifyError: it speaks of a record that is not ours.
        """
        place = self._place(receipt.log_id)
        ours = self.hash_of(receipt.log_id, receipt.sequence)
        if ours is None and self.is_removed(receipt.log_id, receipt.sequence):
            return  # nobody can tell; the next receipt covers it
        if ours != receipt.hash:
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

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """Make one transaction of all that the block does through this journal or the connection that it is given."""
        with self._transaction():
            yield self._connection

    def _grow(self, place: Place, records: int, size: int) -> None:
        query = "UPDATE log SET records = records + ?, bytes = bytes + ? WHERE id = ?"
        self._connection.execute(query, (records, size, place.row))

    def _remove(self, log_id: bytes, place: Place, removed: Sequence[Hole]) -> None:
        newest = self.head(log_id).next_sequence - 1
        delivered = self.delivered(log_id)
        records, size = removal.remove(self._connection, place.start, delivered, newest, sorted(removed))
        self._grow(place, -records, -size)
        first = next(self.records(log_id)).sequence
        if first > min(start for start, _ in removed):
            receipts.make(self._connection)
            removal.forget_before(self._connection, place.start, first)
            self._connection.execute("UPDATE log SET begins = ? WHERE id = ?", (first, place.row))
        self._holes.pop(log_id, None)

    def _check_ends(self) -> None:
        """Refuse a file whose newest record, the one the chain goes on from, is damaged."""
        for log in self.logs():
            last = self.last(log.log_id)
            if last is not None and record_hash(last.raw) != last.hash:
                raise StorageError(
                    f"{self._path} is damaged: record {last.sequence} of log {log.log_id.hex()} is not what was "
                    "stored; packseal journal repair saves what is sound"
                )

    def _check_follows(self, log_id: bytes, records: Sequence[SealedRecord]) -> list[Record]:
        head = self.head(log_id)
        entries = []
        for sealed in records:
            try:
                entry = parse(sealed.raw)
                head = chain.advance(head, entry)
                entries.append(entry)
            except (FormatError, VerifyError) as error:
                raise StorageError(f"not stored in log {log_id.hex()}: {error}") from error
            if (entry.header.log_id, head) != (log_id, Head(sealed.sequence + 1, sealed.hash)):
                raise StorageError(f"not stored in log {log_id.hex()}: record {sealed.sequence} is not what it says")
        return entries

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:  # within `together`, which ends it
            yield
            return
        try:
            with database.transaction(self._connection, self._path):
                yield
        except BaseException:
            self._holes.clear()  # they may be of what was just undone
            raise
