"""Journal: every log of this gateway, its meter state and the newest receipts, in one SQLite file.

Synchronous, and used by one thread at a time. A record that `append` has returned for survives a power cut.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from packseal.core.chain import Head, SealedRecord
from packseal.core.errors import StorageError, VerifyError
from packseal.core.exchange import Receipt
from packseal.core.holes import Hole
from packseal.core.record import record_hash
from packseal.journal import database, following, receipts, regaining, removal
from packseal.journal.reading import SEQUENCE_BITS, Log, LogKind, LogStats, Place, Reader
from packseal.journal.regaining import Identity

__all__ = ["SEQUENCE_BITS", "Journal", "Log", "LogKind", "LogStats"]


class Journal(Reader):
    """The durable log. Make it with `open` or `open_to_read`, end it with `close` or a `with` block.

    Every method raises StorageError when the disk or file fails; nothing is then changed, and the next call may
    succeed. `trouble` is what the operator must know although nothing has failed so far; "" where there is none.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: database.Lock | None) -> None:
        super().__init__(path, connection, lock)
        self._held = Identity.of(path)
        self._is_in_doubt = False
        self._ends: dict[bytes, Head] = {}  # what was acknowledged since it was opened
        self._waiting: dict[bytes, Receipt] = {}  # newer than what is stored, to be written with the next append
        self._waits_since_s = 0.0
        self.trouble = ""

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
            journal._held = Identity.of(path)  # SQLite has made the write-ahead log by now
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
        with suppress(StorageError):  # the sink repeats them
            self.settle()
        self._waiting.clear()
        self._connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def begin_log(self, subject: str, log_id: bytes, kind: LogKind = LogKind.BATTERY) -> None:
        """Make an empty log; does nothing when it is there already with the same subject and kind."""
        self._regain()
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
        self._regain()
        place = self._place(log_id)
        with self._transaction():
            entries = following.parsed(log_id, self.head(log_id), records)
            self._connection.executemany(
                "INSERT INTO record (id, kind, wall_ms, hash, raw) VALUES (?, ?, ?, ?, ?)",
                [(place.start + r.sequence, int(r.kind), r.wall_ms, r.hash, r.raw) for r in records],
            )
            self._grow(place, len(records), sum(len(r.raw) for r in records))
            self._write_receipts()
            if removal.note(self._connection, place.start, entries):
                self._holes.pop(log_id, None)
            if removed:
                self._remove(log_id, place, removed)
            if state is not None:
                values = (state, hashlib.sha256(state).digest(), place.row)
                self._connection.execute("UPDATE log SET state = ?, state_hash = ? WHERE id = ?", values)
        if not self._connection.in_transaction:
            self._note_end(log_id, records)
            self._waiting.clear()

    def acknowledge(self, receipt: Receipt) -> None:
        """Keep a verified receipt; an older one than we have is ignored, and one for a record that we have removed.

        It is written with the next append, `settle` or `close`, where it costs least of the disk; a crash before costs
        nothing, as the sink repeats it.

        Raises:
            VerifyError: it speaks of a record that is not ours.
        """
        self._regain()
        ours = self.hash_of(receipt.log_id, receipt.sequence)
        if ours is None and self.is_removed(receipt.log_id, receipt.sequence):
            return  # nobody can tell; the next receipt covers it
        if ours != receipt.hash:
            raise VerifyError(
                f"the receipt for record {receipt.sequence} of log {receipt.log_id.hex()} names a record that this "
                "journal does not hold"
            )
        if receipt.sequence >= self.delivered(receipt.log_id):
            self._waits_since_s = self._waits_since_s if self._waiting else time.monotonic()
            self._waiting[receipt.log_id] = receipt
            stored = super().delivered(receipt.log_id)
            if not stored or receipt.sequence - stored >= receipts.KEEP_EVERY:
                self.settle()

    def delivered(self, log_id: bytes) -> int:
        """Return the sequence number of the first record that no receipt covers."""
        waiting = self._waiting.get(log_id)
        return super().delivered(log_id) if waiting is None else waiting.sequence + 1

    def receipt(self, log_id: bytes) -> bytes | None:
        """Return the newest receipt as it was signed."""
        waiting = self._waiting.get(log_id)
        return super().receipt(log_id) if waiting is None else waiting.raw

    def settle(self, after_s: float = 0.0) -> None:
        """Write the receipts that have waited so long for an append; raises StorageError."""
        if not self._waiting or time.monotonic() - self._waits_since_s < after_s or self._connection.in_transaction:
            return
        self._regain()
        # Not synced: a power cut here forgets them, and the sink repeats them when it is next asked.
        with self._doubting(), database.unsynced_transaction(self._connection, self._path):
            self._write_receipts()
        self._waiting.clear()

    def _write_receipts(self) -> None:
        for log_id, receipt in self._waiting.items():
            place = self._place(log_id)
            receipts.write(self._connection, place.row, place.start, receipt)

    @contextmanager
    def together(self) -> Iterator[sqlite3.Connection]:
        """Make one transaction of all that the block does through this journal or the connection that it is given."""
        self._regain()
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

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._connection.in_transaction:  # within `together`, which ends it
            yield
            return
        try:
            with self._doubting(), database.transaction(self._connection, self._path):
                yield
        except BaseException:
            self._holes.clear()  # they may be of what was just undone
            raise

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self._is_in_doubt = self._is_in_doubt or database.casts_doubt(error)
            raise

    def _note_end(self, log_id: bytes, records: Sequence[SealedRecord]) -> None:
        """Remember what was acknowledged as stored."""
        if records:
            self._ends[log_id] = Head(records[-1].sequence + 1, records[-1].hash)
        self.trouble = regaining.fold(self._connection, self._path, database.WAL_KEEP_BYTES)

    def _regain(self) -> None:
        """Take hold of the file again where its disk has failed or it was moved; StorageError while that fails."""
        if self._lock is None or self._connection.in_transaction:
            return
        now = Identity.of(self._path)
        if now == self._held and not self._is_in_doubt:
            return
        self._is_in_doubt = True
        if now.database is None:
            raise StorageError(
                f"{self._path} is not there any more: bring it back, or stop the agent and start it anew; what was "
                "stored is sent all the same"
            )
        if now.database == self._held.database:
            regaining.write_again(self._path)
            regaining.fold_in(self._connection)
        elif not self._lock.is_current():
            lock = database.Lock(self._path)
            self._lock.release()
            self._lock = lock
        self._take_over(database.open_to_write(self._path))
        self._held, self._is_in_doubt = Identity.of(self._path), False

    def _take_over(self, fresh: sqlite3.Connection) -> None:
        try:
            self._check_same(Reader(self._path, fresh, self._lock))
        except StorageError:
            fresh.close()
            raise
        self._holes.clear()
        self._connection, old = fresh, self._connection
        # SQLite neither folds in nor removes the write-ahead log of a file that is not at its path any more.
        old.close()

    def _check_same(self, found: Reader) -> None:
        known = {log.log_id for log in found.logs()}
        if not all(log_id in known and found.head(log_id) == end for log_id, end in self._ends.items()):
            raise StorageError(
                f"{self._path} is not the journal that was open: put that one back, or stop the agent and start it anew"
            )
