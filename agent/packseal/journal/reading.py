"""Reading a journal: its logs, records, holes, receipts and sizes. `Journal` writes what is read here."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from packseal.core import holes
from packseal.core.bodies import Kind
from packseal.core.chain import Head, SealedRecord
from packseal.core.errors import StorageError
from packseal.core.holes import Hole
from packseal.core.record import parse
from packseal.journal import contradictions, database, receipts, removal
from packseal.journal.contradictions import Contradiction
from packseal.journal.removal import Named

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
    """What the journal holds of one log; wall times are None while it is empty.

    `first`: sequence number of the oldest record that is left. `removed`: what the log says of what it has removed; not
    what the sink has and the gateway has forgotten.
    """

    log: Log
    records: int
    delivered: int
    bytes: int
    oldest_wall_ms: int | None
    newest_wall_ms: int | None
    first: int = 0
    removed: Sequence[Named] = ()


class Place(NamedTuple):
    """A log's row number, and the range of record ids that are its own."""

    row: int
    start: int
    end: int


class Reader:
    """What can be asked of a journal. Every method raises StorageError when the disk or file fails."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: database.Lock | None) -> None:
        self._path = path
        self._connection = connection
        self._lock = lock
        self._version = database.version_of(connection)
        self._holes: dict[bytes, list[Hole]] = {}

    @property
    def path(self) -> Path:
        """Where the journal is."""
        return self._path

    def size(self) -> int:
        """Return how many bytes of records all logs hold; its cost does not grow with them."""
        ((size,),) = self._all("SELECT coalesce(sum(bytes), 0) FROM log")
        return int(size)

    def free_bytes(self) -> int:
        """Return how much of the file is free for new records."""
        ((pages,),), ((size,),) = self._all("PRAGMA freelist_count"), self._all("PRAGMA page_size")
        return int(pages) * int(size)

    def logs(self) -> list[Log]:
        """Return every log, oldest first."""
        rows = self._all("SELECT log_id, subject, kind FROM log ORDER BY id")
        return [Log(log_id, subject, LogKind(kind)) for log_id, subject, kind in rows]

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

    def entries(  # noqa: PLR0913 - three are flags
        self,
        log_id: bytes,
        start: int,
        end: int,
        limit_records: int,
        limit_bytes: int,
        *,
        urgent: bool = False,
        snapshots: bool = True,
        newest_first: bool = False,
    ) -> list[tuple[int, bytes]]:
        """Return number and bytes of records that are there from `start` to before `end`, ascending.

        Args:
            log_id: the log.
            start: sequence number.
            end: sequence number.
            limit_records: how many at most.
            limit_bytes: how much at most; the first one is returned also when it is larger alone.
            urgent: without telemetry and summaries.
            snapshots: False leaves these out too.
            newest_first: the limits count from the end; the order is the same.
        """
        place = self._place(log_id)
        source, order = "record", "DESC" if newest_first else "ASC"
        if urgent:
            source = f"record {database.USE_URGENT if self._version > 1 else ''}"
        wanted = f"AND {database.URGENT}" if urgent else ""
        wanted += "" if snapshots else f" AND kind <> {int(Kind.SNAPSHOT)}"
        query = f"SELECT id, raw FROM {source} WHERE id >= ? AND id < ? {wanted} ORDER BY id {order}"  # noqa: S608 - literals
        limits = (place.start + max(0, start), min(place.end, place.start + end))
        found: list[tuple[int, bytes]] = []
        size = 0
        with database.told(self._path):
            for number, raw in self._connection.execute(query, limits):
                size += len(raw)
                if len(found) == limit_records or (found and size > limit_bytes):
                    break
                found.append((number - place.start, raw))
        return found[::-1] if newest_first else found

    def holes(self, log_id: bytes) -> list[Hole]:
        """Return the first and last number of each stretch that the log's gap records name as removed, ascending."""
        if log_id not in self._holes:
            place = self._place(log_id)
            with database.told(self._path):
                found = removal.named(self._connection, place.start, place.end) if self._version > 1 else []
            if self._lock is None:
                return found  # another process may write more
            self._holes[log_id] = found
        return list(self._holes[log_id])

    def newest_snapshot(self, log_id: bytes) -> tuple[int, bytes] | None:
        """Return number and bytes of the newest snapshot, None where there is none."""
        place = self._place(log_id)
        source = f"record {database.USE_URGENT if self._version > 1 else ''}"
        query = (
            f"SELECT id, raw FROM {source} WHERE id >= ? AND id < ? AND {database.URGENT} "  # noqa: S608 - literals
            f"AND kind = {int(Kind.SNAPSHOT)} ORDER BY id DESC LIMIT 1"
        )
        for number, raw in self._all(query, place.start, place.end):
            return number - place.start, raw
        return None

    def hash_of(self, log_id: bytes, sequence: int) -> bytes | None:
        """Return a record's hash: where it is removed, by the word of the record after it, if that is there."""
        ours = self.record(log_id, sequence)
        if ours is not None:
            return ours.hash
        after = self.record(log_id, sequence + 1) if sequence >= 0 else None
        return None if after is None else parse(after.raw).header.previous

    def is_removed(self, log_id: bytes, sequence: int) -> bool:
        """Whether the record was there and was removed on purpose."""
        first = next(self.records(log_id), None)
        if first is None or sequence < 0:
            return False
        return sequence < first.sequence or holes.covers(self.holes(log_id), sequence, sequence)

    def delivered(self, log_id: bytes) -> int:
        """Return the sequence number of the first record that no receipt covers."""
        ((delivered,),) = self._all("SELECT delivered FROM log WHERE id = ?", self._place(log_id).row)
        return int(delivered)

    def begins(self, log_id: bytes) -> int:
        """Return the sequence number of the first record that was not forgotten."""
        place = self._place(log_id)
        if self._version == 1:
            return 0  # such a program forgot nothing
        ((begins,),) = self._all("SELECT begins FROM log WHERE id = ?", place.row)
        return int(begins)

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

    def stats(self) -> list[LogStats]:
        """Return what the journal holds of each log, oldest log first; its cost does not grow with the records."""
        return [self._stats_of(log) for log in self.logs()]

    def _stats_of(self, log: Log) -> LogStats:
        place = self._place(log.log_id)
        columns, delivered = "bytes, records" if self._version > 1 else "bytes, 0", self.delivered(log.log_id)
        # One of the two literals above.
        ((size, records),) = self._all(f"SELECT {columns} FROM log WHERE id = ?", place.row)  # noqa: S608
        limits = "WHERE id >= ? AND id < ? ORDER BY id"
        first = next(self._records(f"{limits} LIMIT 1", place.start, place.end), None)
        last = self.last(log.log_id)
        if first is None or last is None:
            return LogStats(log, 0, delivered, size, None, None)
        with database.told(self._path):
            removed = removal.told(self._connection, place.start, place.end) if self._version > 1 else ()
        count = records if self._version > 1 else last.sequence - first.sequence + 1
        return LogStats(log, count, delivered, size, first.wall_ms, last.wall_ms, first.sequence, removed)

    def _place(self, log_id: bytes) -> Place:
        for (row,) in self._all("SELECT id FROM log WHERE log_id = ?", log_id):
            return Place(row, row << SEQUENCE_BITS, (row + 1) << SEQUENCE_BITS)
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
