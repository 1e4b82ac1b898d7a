"""Contradictions: logs that a signed receipt of the sink proves to be another history than this journal's.

A journal that was restored from an old copy, or a second gateway with the same key and journal: the sink holds a record
that is not ours, or one that comes after our last. Such a log is ended; a new one goes on (`packseal.journal.epochs`).
"""

import sqlite3
from dataclasses import dataclass

TABLE = """
CREATE TABLE IF NOT EXISTS contradiction (
    log INTEGER PRIMARY KEY,  -- log.id
    receipt BLOB NOT NULL,  -- the proof
    sequence INTEGER NOT NULL,  -- of the record that the receipt names
    hash BLOB NOT NULL,
    signed_ms INTEGER NOT NULL,  -- when the sink signed it
    noticed_ms INTEGER NOT NULL,
    end INTEGER NOT NULL,  -- where our log stood then
    shared INTEGER NOT NULL,  -- the records before it are proven to be at the sink
    successor BLOB  -- the log that goes on; NULL until it is begun
) STRICT
"""

REASONS = {True: "journal older than the sink", False: "log forked"}


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A log that was ended. `receipt` is the proof, signed at `signed_ms` for record `sequence` whose hash is `hash`.

    `noticed_ms`, `end`: when it was noticed, and the next sequence number of our log then. `shared`: our records before
    that number are proven to be at the sink. `successor`: the log that goes on, None until it is begun. Times are UTC.
    """

    log_id: bytes
    receipt: bytes
    sequence: int
    hash: bytes
    signed_ms: int
    noticed_ms: int
    end: int
    shared: int
    successor: bytes | None = None

    @property
    def is_rollback(self) -> bool:
        """Whether the sink has records after our last: the journal is older. Else two records have one number."""
        return self.sequence >= self.end

    @property
    def reason(self) -> str:
        """What the log that goes on says of it."""
        return REASONS[self.is_rollback]


def read(connection: sqlite3.Connection) -> list[Contradiction]:
    """Return them all, oldest log first."""
    if not _is_there(connection):
        return []
    rows = connection.execute(
        "SELECT log_id, c.receipt, sequence, hash, signed_ms, noticed_ms, end, shared, successor "
        "FROM contradiction c JOIN log ON log.id = c.log ORDER BY c.log"
    )
    return [Contradiction(*row) for row in rows]


def note(connection: sqlite3.Connection, found: Contradiction) -> None:
    """Keep a proof against a log, in place of an earlier one until another log goes on. In a transaction."""
    connection.execute(TABLE)
    connection.execute(
        "INSERT INTO contradiction (log, receipt, sequence, hash, signed_ms, noticed_ms, end, shared) "
        "SELECT id, ?, ?, ?, ?, ?, ?, ? FROM log WHERE log_id = ? ON CONFLICT (log) DO UPDATE SET "
        "(receipt, sequence, hash, signed_ms, noticed_ms, end, shared) = (excluded.receipt, excluded.sequence, "
        "excluded.hash, excluded.signed_ms, excluded.noticed_ms, excluded.end, excluded.shared) "
        "WHERE successor IS NULL",
        (
            found.receipt,
            found.sequence,
            found.hash,
            found.signed_ms,
            found.noticed_ms,
            found.end,
            found.shared,
            found.log_id,
        ),
    )


def succeeded(connection: sqlite3.Connection, log_id: bytes, successor: bytes) -> None:
    """Note which log goes on after this one. In a transaction."""
    connection.execute(
        "UPDATE contradiction SET successor = ? WHERE log = (SELECT id FROM log WHERE log_id = ?)", (successor, log_id)
    )


def _is_there(connection: sqlite3.Connection) -> bool:
    """Whether there is a table: it is made when first needed."""
    query = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'contradiction'"
    return bool(connection.execute(query).fetchone()[0])
