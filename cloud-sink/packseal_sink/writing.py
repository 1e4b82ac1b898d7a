"""The SQL that one change is written with. Call it inside one transaction."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packseal.core.bodies import Body, Event, Gap, Kind, Lifecycle
from packseal.core.passport import Field, Snapshot
from packseal.core.record import GENESIS, Record
from packseal_sink.draft import SEQUENCE_BITS
from packseal_sink.ledger import LogState, Note

MAX_WALL_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: later times are filed under it, so that a mad clock cannot overflow a column or a date."""

MAX_INTEGER = (1 << 63) - 1
REFUSALS_KEPT = 50
"""The newest refusals kept in full, for each log and code; all are counted."""

NOBODY = 0
_CODES = {known: known.code for known in Field}


@dataclass(frozen=True, slots=True)
class Change:
    """What one request leaves behind.

    `states` are the logs that have grown or are new, `stored` the records that went into them, `early` those held
    beside them, `holes` those of both that name removed records, `moved` the logs into which early records went,
    `dropped` (log, first, end) early records given up, `receipts` those issued since the last change, `questions` how
    often a gateway asked how far its history is this one.
    """

    states: Mapping[bytes, LogState] = field(default_factory=dict)
    stored: Sequence[Record] = ()
    early: Sequence[Record] = ()
    holes: Sequence[Record] = ()
    moved: Iterable[bytes] = ()
    dropped: Sequence[tuple[bytes, int, int]] = ()
    duplicates: Mapping[bytes, int] = field(default_factory=dict)
    refused: Sequence[Note] = ()
    receipts: int = 0
    questions: Mapping[bytes, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.states or self.stored or self.duplicates or self.refused or self.questions)


def write(connection: sqlite3.Connection, change: Change, known: Mapping[bytes, int], now_ms: int) -> dict[bytes, int]:
    """Write `change` and return the logs' rows: `known` and new ones."""
    rows = {**known, **_begin_logs(connection, change.states.values(), known)}
    for log_id, first, end in change.dropped:  # others may take their place
        _drop(connection, rows[log_id], first, end)
    _write_records(connection, change.early, rows, now_ms)
    _hold(connection, change.early, rows)
    _write_records(connection, change.stored, rows, now_ms)
    _name_holes(connection, change.holes, rows)
    _write_logs(connection, change, rows, now_ms)
    _write_boots(connection, [*change.early, *change.stored], rows)
    _write_tallies(connection, change, rows)
    _write_refusals(connection, change.refused, rows, now_ms)
    return rows


def record_row(log_row: int, sequence: int) -> int:
    """Return the row id of a record; a log's records are neighbours."""
    return log_row << SEQUENCE_BITS | sequence


def bounded_ms(wall_ms: int) -> int:
    """Return `wall_ms` brought into what a column and a date can hold."""
    return min(max(wall_ms, 0), MAX_WALL_MS)


def _begin_logs(
    connection: sqlite3.Connection, states: Iterable[LogState], known: Mapping[bytes, int]
) -> dict[bytes, int]:
    fresh: dict[bytes, int] = {}
    for state in states:
        if state.log_id not in known:
            cursor = connection.execute(
                "INSERT INTO log (log_id, gateway, subject, next_sequence, hash, last_received_ms, last_wall_ms,"
                " last_sequence) SELECT ?, id, ?, 0, ?, 0, 0, -1 FROM gateway WHERE kid = ?",
                (state.log_id, state.subject, GENESIS, state.kid),
            )
            fresh[state.log_id] = cursor.lastrowid or NOBODY
    return fresh


def _write_logs(connection: sqlite3.Connection, change: Change, rows: Mapping[bytes, int], now_ms: int) -> None:
    connection.executemany(
        "UPDATE log SET next_sequence = ?, hash = ? WHERE id = ?",
        ((s.head.next_sequence, s.head.previous, rows[s.log_id]) for s in change.states.values()),
    )
    for log_id in change.moved:
        reached = change.states[log_id].head.next_sequence
        connection.execute("DELETE FROM early WHERE log = ? AND sequence < ?", (rows[log_id], reached))
    last: dict[bytes, Record] = {}
    snapshots: dict[bytes, int] = {}
    for entry in (*change.early, *change.stored):
        log_id, sequence = entry.header.log_id, entry.header.sequence
        if log_id not in last or sequence > last[log_id].header.sequence:
            last[log_id] = entry
        if entry.kind is Kind.SNAPSHOT:
            snapshots[log_id] = max(sequence, snapshots.get(log_id, 0))
        if sequence == 0:
            _begun(connection, entry, rows[log_id])
    for log_id, entry in last.items():
        place = (now_ms, entry.header.sequence, bounded_ms(entry.header.wall_ms), snapshots.get(log_id), rows[log_id])
        connection.execute(_NEWEST, place)


_NEWEST = """
UPDATE log SET last_received_ms = ?1,
    last_wall_ms = CASE WHEN ?2 >= last_sequence THEN ?3 ELSE last_wall_ms END,
    last_sequence = max(?2, last_sequence),
    snapshot_sequence = coalesce(max(?4, coalesce(snapshot_sequence, -1)), snapshot_sequence)
WHERE id = ?5
"""


def _begun(connection: sqlite3.Connection, entry: Record, row: int) -> None:
    """File the log that this one says it continues."""
    previous = entry.body.attributes.get("previous_log") if isinstance(entry.body, Lifecycle) else None
    if isinstance(previous, bytes):
        connection.execute("UPDATE log SET previous_log = ? WHERE id = ?", (previous, row))


def _hold(connection: sqlite3.Connection, early: Iterable[Record], rows: Mapping[bytes, int]) -> None:
    connection.executemany(
        "INSERT INTO early (log, sequence, previous, size) VALUES (?, ?, ?, ?)",
        ((rows[e.header.log_id], e.header.sequence, e.header.previous, len(e.raw)) for e in early),
    )


def _drop(connection: sqlite3.Connection, log: int, first: int, end: int) -> None:
    """Forget early records that the chain has proved wrong, and what was made of them."""
    place = {"log": log, "first": first, "end": end, "low": record_row(log, first), "high": record_row(log, end) - 1}
    place |= {"begin": record_row(log, 0), "over": record_row(log + 1, 0) - 1}
    for kind, count, size in connection.execute(
        "SELECT kind, count(*), sum(length(raw)) FROM record WHERE id BETWEEN :low AND :high GROUP BY kind", place
    ).fetchall():
        for what, number in ((f"records.{Kind(kind).name.lower()}", count), ("bytes", size)):
            connection.execute(
                "UPDATE tally SET count = count - ? WHERE gateway = 0 AND log = ? AND what = ?", (number, log, what)
            )
    for statement in _DROP:
        connection.execute(statement, place)


_DROP = (
    "DELETE FROM record WHERE id BETWEEN :low AND :high",
    "DELETE FROM hole WHERE id BETWEEN :low AND :high",
    "DELETE FROM early WHERE log = :log AND sequence >= :first AND sequence < :end",
    "DELETE FROM reading WHERE log = :log AND sequence >= :first AND sequence < :end",
    """UPDATE log SET (last_sequence, last_wall_ms) = (SELECT id & 0xFFFFFFFFFF, wall_ms FROM record
    WHERE id BETWEEN :begin AND :over ORDER BY id DESC LIMIT 1) WHERE id = :log
    AND EXISTS (SELECT 1 FROM record WHERE id BETWEEN :begin AND :over)""",
    """UPDATE log SET snapshot_sequence = (SELECT id & 0xFFFFFFFFFF FROM record WHERE id BETWEEN :begin AND :over
    AND kind = 1 ORDER BY id DESC LIMIT 1) WHERE id = :log AND snapshot_sequence BETWEEN :first AND :end - 1""",
)


def _name_holes(connection: sqlite3.Connection, holes: Iterable[Record], rows: Mapping[bytes, int]) -> None:
    for entry in holes:
        if not isinstance(entry.body, Gap):
            continue
        first, last, records = (int(entry.body.attributes[name]) for name in ("first", "last", "records"))
        connection.execute(
            "INSERT INTO hole (id, first, last, records, cause, from_ms, to_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                record_row(rows[entry.header.log_id], entry.header.sequence),
                first,
                last,
                records,
                int(entry.body.cause),
                bounded_ms(entry.body.from_wall_ms),
                bounded_ms(entry.body.to_wall_ms),
            ),
        )


def _write_boots(connection: sqlite3.Connection, entries: Iterable[Record], rows: Mapping[bytes, int]) -> None:
    spans: dict[tuple[int, bytes], tuple[int, int]] = {}
    for entry in entries:
        key, sequence = (rows[entry.header.log_id], entry.header.boot_id), entry.header.sequence
        first, last = spans.get(key, (sequence, sequence))
        spans[key] = min(first, sequence), max(last, sequence)
    connection.executemany(
        "INSERT INTO boot (log, boot_id, first, last) VALUES (?, ?, ?, ?) ON CONFLICT (log, boot_id)"
        " DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last)",
        ((log, boot, first, last) for (log, boot), (first, last) in spans.items()),
    )


def _write_records(
    connection: sqlite3.Connection, stored: Sequence[Record], rows: Mapping[bytes, int], now_ms: int
) -> None:
    connection.executemany(
        "INSERT INTO record (id, kind, code, wall_ms, received_ms, hash, raw) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            (
                record_row(rows[entry.header.log_id], entry.header.sequence),
                int(entry.kind),
                _code(entry.body),
                bounded_ms(entry.header.wall_ms),
                now_ms,
                entry.hash,
                entry.raw,
            )
            for entry in stored
        ),
    )
    connection.executemany(
        "INSERT INTO reading (log, field, sequence, wall_ms, value, missing, originator, method, last_update_ms,"
        " uncertainty, coverage) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        sorted(row for entry in stored for row in _reading_rows(entry, rows[entry.header.log_id])),
    )


def _code(body: Body) -> int | None:
    match body:
        case Event() | Lifecycle():
            return int(body.code)
        case Gap():
            return int(body.cause)
        case _:
            return None


def _reading_rows(entry: Record, log_row: int) -> Iterable[tuple[int | float | None, ...]]:
    if not isinstance(entry.body, Snapshot):
        return
    sequence, wall_ms = entry.header.sequence, bounded_ms(entry.header.wall_ms)
    for reading in entry.body.readings:
        updated_ms = reading.last_update_ms
        yield (
            log_row,
            _CODES[reading.field],
            sequence,
            wall_ms,
            reading.value,
            None if reading.missing is None else int(reading.missing),
            int(reading.originator),
            int(reading.method),
            updated_ms if 0 <= updated_ms <= MAX_WALL_MS else bounded_ms(updated_ms),
            reading.uncertainty,
            reading.coverage,
        )


def _write_tallies(connection: sqlite3.Connection, change: Change, rows: Mapping[bytes, int]) -> None:
    tallies: dict[tuple[bytes, str], int] = {}
    for entry in (*change.early, *change.stored):
        for what, count in ((f"records.{entry.kind.name.lower()}", 1), ("bytes", len(entry.raw))):
            place = (entry.header.log_id, what)
            tallies[place] = tallies.get(place, 0) + count
    lines = [(NOBODY, rows[log_id], what, count) for (log_id, what), count in tallies.items()]
    lines += [(NOBODY, rows.get(log_id, NOBODY), "duplicates", count) for log_id, count in change.duplicates.items()]
    lines += [(NOBODY, rows.get(log_id, NOBODY), "questions", count) for log_id, count in change.questions.items()]
    for note in change.refused:
        gateway, log = _gateway_row(connection, note.kid), rows.get(note.refused.log_id, NOBODY)
        lines.append((gateway, log, f"refused.{note.refused.code.name.lower()}", 1))
    if change.receipts:
        lines.append((NOBODY, NOBODY, "receipts", change.receipts))
    connection.executemany(
        "INSERT INTO tally (gateway, log, what, count) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
        lines,
    )


def _write_refusals(
    connection: sqlite3.Connection, notes: Iterable[Note], rows: Mapping[bytes, int], now_ms: int
) -> None:
    for note in notes:
        entry, log = note.refused, rows.get(note.refused.log_id, NOBODY)
        connection.execute(
            "INSERT INTO refusal (gateway, log, log_id, code, sequence, text, at_ms, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                _gateway_row(connection, note.kid),
                log,
                entry.log_id,
                int(entry.code),
                min(entry.sequence, MAX_INTEGER),
                entry.text,
                now_ms,
                note.hash or None,
            ),
        )
        connection.execute(
            "DELETE FROM refusal WHERE log = :log AND code = :code AND id <= (SELECT id FROM refusal"
            " WHERE log = :log AND code = :code ORDER BY id DESC LIMIT 1 OFFSET :kept)",
            {"log": log, "code": int(entry.code), "kept": REFUSALS_KEPT},
        )


def _gateway_row(connection: sqlite3.Connection, kid: bytes) -> int:
    found = connection.execute("SELECT id FROM gateway WHERE kid = ?", (kid,)).fetchone()
    return NOBODY if found is None else int(found[0])
