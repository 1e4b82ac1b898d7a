"""The tables of the sink's database, and how an older file gets them."""

import sqlite3

from packseal.core import record
from packseal.core.bodies import Lifecycle
from packseal.core.errors import FormatError

SCHEMA_VERSION = 2

_ADDED = """
CREATE TABLE early (  -- records in `record` that the chain has not reached
    log INTEGER NOT NULL REFERENCES log,
    sequence INTEGER NOT NULL,
    previous BLOB NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (log, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE hole (
    id INTEGER PRIMARY KEY,  -- of the gap record
    first INTEGER NOT NULL,  -- both inclusive
    last INTEGER NOT NULL,
    records INTEGER NOT NULL,
    cause INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE boot (  -- the lowest and highest record of each boot of the gateway that a log was written in
    log INTEGER NOT NULL REFERENCES log,
    boot_id BLOB NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (log, boot_id)
) STRICT, WITHOUT ROWID;
"""

SCHEMA = (
    """
CREATE TABLE gateway (
    id INTEGER PRIMARY KEY,
    kid BLOB NOT NULL UNIQUE,
    pem TEXT NOT NULL,
    issuer TEXT NOT NULL,
    name TEXT NOT NULL,
    added_ms INTEGER NOT NULL,
    removed_ms INTEGER  -- its records stay, new ones are refused
) STRICT;
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    log_id BLOB NOT NULL UNIQUE,
    gateway INTEGER NOT NULL REFERENCES gateway,
    subject TEXT NOT NULL,
    next_sequence INTEGER NOT NULL,
    hash BLOB NOT NULL,
    last_received_ms INTEGER NOT NULL,
    last_wall_ms INTEGER NOT NULL,
    snapshot_sequence INTEGER,  -- the newest, held early or not
    last_sequence INTEGER NOT NULL DEFAULT -1,  -- of all that is stored, held early or not
    previous_log BLOB  -- the log that this one's first record says it continues
) STRICT;
CREATE INDEX log_by_subject ON log (subject);
CREATE TABLE record (
    id INTEGER PRIMARY KEY,  -- log.id << 40 | sequence: a log is one stretch of the B-tree
    kind INTEGER NOT NULL,
    code INTEGER,  -- of an event, gap or lifecycle entry
    wall_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    hash BLOB NOT NULL,
    raw BLOB NOT NULL
) STRICT;
CREATE INDEX notable_record ON record (id, kind, code) WHERE kind > 2;  -- events, gaps and lifecycle entries
CREATE TABLE reading (
    log INTEGER NOT NULL REFERENCES log,
    field INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    value REAL,
    missing INTEGER,
    originator INTEGER NOT NULL,
    method INTEGER NOT NULL,
    last_update_ms INTEGER NOT NULL,
    uncertainty REAL,
    coverage REAL,
    PRIMARY KEY (log, field, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE tally (
    gateway INTEGER NOT NULL,  -- 0: no enrolled one
    log INTEGER NOT NULL,  -- 0: no known one
    what TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (gateway, log, what)
) STRICT, WITHOUT ROWID;
CREATE TABLE refusal (
    id INTEGER PRIMARY KEY,
    gateway INTEGER NOT NULL,
    log INTEGER NOT NULL,
    log_id BLOB NOT NULL,
    code INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    text TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    hash BLOB  -- of the gateway's record, where it is known to be signed or named by its position
) STRICT;
CREATE INDEX refusal_by_log ON refusal (log, code, id);
"""
    + _ADDED
)

_TO_2 = (
    """
ALTER TABLE log ADD COLUMN last_sequence INTEGER NOT NULL DEFAULT -1;
ALTER TABLE log ADD COLUMN previous_log BLOB;
ALTER TABLE refusal ADD COLUMN hash BLOB;
UPDATE log SET last_sequence = next_sequence - 1;
"""
    + _ADDED
)


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring a database of schema `version` to the present one, within the caller's transaction."""
    if version < 2:  # noqa: PLR2004
        for statement in _TO_2.split(";\n"):
            connection.execute(statement)
        first_records = "SELECT log.id, raw FROM log JOIN record ON record.id = log.id << 40"
        for row, raw in connection.execute(first_records).fetchall():
            connection.execute("UPDATE log SET previous_log = ? WHERE id = ?", (_previous_log(raw), row))


def _previous_log(raw: bytes) -> bytes | None:
    try:
        body = record.parse(raw).body
    except FormatError:
        return None  # changed behind the sink's back: the page says so
    said = body.attributes.get("previous_log") if isinstance(body, Lifecycle) else None
    return said if isinstance(said, bytes) else None
