"""Removal: what a log no longer holds, and the table of what its gap records say of that. In a transaction of others.

A number may be removed when a gap record of the log names it, stored at the latest in the same transaction, or when the
sink has receipted it and nothing is left before it. The newest record is never removed: the chain goes on from it. A
gap record that is removed needs another one that names what it named.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packseal.core import holes
from packseal.core.bodies import Gap, GapCause
from packseal.core.errors import StorageError
from packseal.core.holes import Hole
from packseal.core.record import Record

TABLE = """
CREATE TABLE hole (
    id INTEGER PRIMARY KEY,  -- that of the gap record that names it
    cause INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    records INTEGER NOT NULL,
    from_wall_ms INTEGER NOT NULL,
    to_wall_ms INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Named:
    """What the gap records of one cause say of a log: how many of them, records gone, and of what time, UTC ms."""

    cause: GapCause
    gaps: int
    records: int
    from_wall_ms: int
    to_wall_ms: int


def note(connection: sqlite3.Connection, start: int, entries: Iterable[Record]) -> bool:
    """Remember what gap records among `entries` name; return whether any does. `start`: id of the log's record 0."""
    found = False
    for entry in entries:
        hole, body = holes.hole_of(entry), entry.body
        if hole is not None and isinstance(body, Gap):
            records = body.attributes["records"]
            values = (start + entry.header.sequence, int(body.cause), *hole, records)
            connection.execute(
                "INSERT OR REPLACE INTO hole VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*values, body.from_wall_ms, body.to_wall_ms),
            )
            found = True
    return found


def named(connection: sqlite3.Connection, start: int, end: int) -> list[Hole]:
    """Return the holes of the log whose records have the ids from `start` to before `end`."""
    return holes.merged(connection.execute("SELECT first, last FROM hole WHERE id >= ? AND id < ?", (start, end)))


def told(connection: sqlite3.Connection, start: int, end: int) -> list[Named]:
    """Return what the log says of what it has removed, by cause."""
    rows = connection.execute(
        "SELECT cause, count(*), sum(records), min(from_wall_ms), max(to_wall_ms) FROM hole "
        "WHERE id >= ? AND id < ? GROUP BY cause ORDER BY cause",
        (start, end),
    )
    return [Named(GapCause(cause), *rest) for cause, *rest in rows]


def remove(
    connection: sqlite3.Connection, start: int, delivered: int, newest: int, removed: Sequence[Hole]
) -> tuple[int, int]:
    """Remove records; return how many, and their bytes.

    Args:
        connection: within a transaction.
        start: id of the log's record 0.
        delivered: the first sequence number that no receipt covers.
        newest: the newest sequence number.
        removed: first and last number, both inclusive, of each stretch.

    Raises:
        StorageError: nobody would know of the loss.
    """
    stretches = holes.merged(removed)
    known = _left(connection, start, newest, stretches)
    records, size = 0, 0
    for first, last in stretches:
        if not 0 <= first <= last < newest:
            raise StorageError(f"records {first} to {last} cannot be removed: the newest is {newest}")
        limits = (start + first, start + last)
        if not _is_forgettable(connection, (start, delivered), first, last):
            gone = connection.execute("SELECT first, last FROM hole WHERE id BETWEEN ? AND ?", limits)
            for lost in ((first, last), *gone):
                if not holes.covers(known, *lost):
                    raise StorageError(f"records {lost[0]} to {lost[1]} cannot be removed: nobody would know of it")
        query = "SELECT count(*), coalesce(sum(length(raw)), 0) FROM record WHERE id BETWEEN ? AND ?"
        count, length = connection.execute(query, limits).fetchone()
        connection.execute("DELETE FROM record WHERE id BETWEEN ? AND ?", limits)
        connection.execute("DELETE FROM hole WHERE id BETWEEN ? AND ?", limits)
        records, size = records + count, size + length
    return records, size


def _left(connection: sqlite3.Connection, start: int, newest: int, stretches: Sequence[Hole]) -> list[Hole]:
    """Return what is named by gap records that stay."""
    rows = connection.execute("SELECT id, first, last FROM hole WHERE id >= ? AND id <= ?", (start, start + newest))
    return holes.merged((f, t) for at, f, t in rows if not holes.covers(stretches, at - start, at - start))


def forget_before(connection: sqlite3.Connection, start: int, first: int) -> None:
    """Forget holes and receipts of records before `first`, the oldest that is left: there is nothing to account for."""
    connection.execute("DELETE FROM hole WHERE id >= ? AND id < ?", (start, start + first))
    connection.execute("DELETE FROM receipt WHERE id >= ? AND id < ?", (start, start + first))


def _is_forgettable(connection: sqlite3.Connection, log: tuple[int, int], first: int, last: int) -> bool:
    """Whether the sink has these, and none is left before them: the log then simply begins later."""
    start, delivered = log
    query = "SELECT 1 FROM record WHERE id >= ? AND id < ? LIMIT 1"
    return last < delivered and connection.execute(query, (start, start + first)).fetchone() is None
