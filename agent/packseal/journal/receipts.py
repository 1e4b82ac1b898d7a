"""The sink's receipts that are kept beside the newest one, so that a proof of an old record stays short.

The newest receipt covers every record before it, but only through the chain: to prove a record of last year by it alone
takes all records since, and says only that the sink had it by today.
"""

import sqlite3

from packseal.core.exchange import Receipt

KEEP_EVERY = 64
"""Records from one kept receipt to the next: half an hour of one-minute windows. A receipt has 300 bytes, and
64 records some 100 times as much."""

TABLE = """
CREATE TABLE IF NOT EXISTS receipt (
    id INTEGER PRIMARY KEY,  -- that of the record it names
    raw BLOB NOT NULL
) STRICT
"""


def make(connection: sqlite3.Connection) -> None:
    """Make the table where there is none: a journal that an older program began has none."""
    connection.execute(TABLE)


def write(connection: sqlite3.Connection, row: int, start: int, receipt: Receipt) -> None:
    """Make it the newest of its log, whose number is `row`, unless there is a newer one. Arguments as for `keep`."""
    end = receipt.sequence + 1
    query = "UPDATE log SET delivered = ?, receipt = ? WHERE id = ? AND delivered < ?"
    if connection.execute(query, (end, receipt.raw, row, end)).rowcount:
        keep(connection, start, receipt)


def keep(connection: sqlite3.Connection, start: int, receipt: Receipt) -> None:
    """Keep a receipt unless one for little less is kept; `start` is the id of its log's record 0. In a transaction."""
    make(connection)
    at = start + receipt.sequence
    connection.execute(
        "INSERT INTO receipt (id, raw) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE id BETWEEN ? AND ?)",
        (at, receipt.raw, max(start, at - KEEP_EVERY + 1), at),
    )


def kept(connection: sqlite3.Connection, first: int, end: int) -> list[tuple[int, bytes]]:
    """Return the id of its record and the bytes of every receipt kept for those from `first` to before `end`."""
    if not _is_there(connection):
        return []
    return connection.execute(
        "SELECT id, raw FROM receipt WHERE id >= ? AND id < ? ORDER BY id", (first, end)
    ).fetchall()


def _is_there(connection: sqlite3.Connection) -> bool:
    """Whether this journal keeps any: one that was last written by an older program has no table for them."""
    found = connection.execute(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'receipt'"
    ).fetchone()
    return bool(found[0])
