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
    snapshot_sequence INTEGER
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
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX refusal_by_log ON refusal (log, code, id);
