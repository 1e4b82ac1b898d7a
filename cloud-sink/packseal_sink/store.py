"""What the sink keeps: gateways, logs, records, readings, tallies and refusals. One batch is one transaction."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packseal.core import cose
from packseal.core.bodies import Body, Event, Gap, Kind, Lifecycle
from packseal.core.chain import Head
from packseal.core.errors import InputError
from packseal.core.exchange import Refused
from packseal.core.passport import Snapshot
from packseal.core.record import Record
from packseal_sink.database import Database
from packseal_sink.ledger import LogState

SEQUENCE_BITS = 40
MAX_WALL_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z: later times are filed under it, so that a mad clock cannot overflow a column or a date."""

MAX_INTEGER = (1 << 63) - 1
REFUSALS_KEPT = 50
"""The newest refusals kept in full, for each log and code; all are counted."""

NOBODY = 0


@dataclass(frozen=True, slots=True)
class Gateway:
    """An enrolled gateway key."""

    row: int
    key: cose.PublicKey
    issuer: str
    name: str
    added_ms: int
    removed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What one request leaves behind. `receipts` are those issued since the last change."""

    states: Mapping[bytes, LogState] = field(default_factory=dict)
    stored: Sequence[Record] = ()
    duplicates: Mapping[bytes, int] = field(default_factory=dict)
    refused: Sequence[tuple[Refused, bytes]] = ()
    receipts: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.stored or self.duplicates or self.refused)


class Store:
    """Writes the sink's database. For one thread; readers use connections of their own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.reading() as connection:
            self._rows: dict[bytes, int] = dict(connection.execute("SELECT log_id, id FROM log"))

    def gateways(self) -> dict[bytes, Gateway]:
        """Return every gateway that is or was enrolled, by kid; raises StorageError."""
        with self._database.reading() as connection:
            return read_gateways(connection)

    def version(self) -> int:
        """Return a number that changes when another connection has changed the database; raises StorageError."""
        return self._database.version()

    def add_gateway(self, pem: bytes, issuer: str, name: str, now_ms: int) -> Gateway:
        """Enrol a gateway key, or one again that was removed.

        Raises:
            InputError: not a public key of ours, or enrolled already.
            StorageError: it cannot be written.
        """
        key = cose.public_key_from_pem(pem)
        with self._database.transaction() as connection:
            known = connection.execute("SELECT issuer, removed_ms FROM gateway WHERE kid = ?", (key.kid,)).fetchone()
            if known is not None and known[1] is None:
                raise InputError(f"gateway key {key.kid.hex()[:16]} is enrolled already")
            if known is not None and known[0] != issuer:
                raise InputError(
                    f"gateway key {key.kid.hex()[:16]} was enrolled as {known[0]}: use that id or a new key"
                )
            (row,) = connection.execute(
                "INSERT INTO gateway (kid, pem, issuer, name, added_ms) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (kid) DO UPDATE SET name = excluded.name, removed_ms = NULL RETURNING id",
                (key.kid, pem.decode("ascii", "replace"), issuer, name, now_ms),
            ).fetchone()
            return Gateway(row, key, issuer, name, now_ms)

    def remove_gateway(self, kid: str, now_ms: int) -> Gateway:
        """Refuse a gateway's records from now on; those stored stay.

        Args:
            kid: how its key's thumbprint begins, in hexadecimal.
            now_ms: UTC milliseconds.

        Raises:
            InputError: none or several enrolled keys begin like this.
            StorageError: it cannot be written.
        """
        with self._database.transaction() as connection:
            found = [
                gateway
                for known, gateway in read_gateways(connection).items()
                if gateway.removed_ms is None and known.hex().startswith(kid.lower())
            ]
            if len(found) != 1:
                raise InputError(
                    f"{len(found)} enrolled gateway keys begin with {kid!r}: see packseal-sink gateway list"
                )
            connection.execute("UPDATE gateway SET removed_ms = ? WHERE id = ?", (now_ms, found[0].row))
            return found[0]

    def states(self) -> dict[bytes, LogState]:
        """Return where every log stands; raises StorageError."""
        query = "SELECT log_id, kid, subject, next_sequence, hash FROM log JOIN gateway ON gateway.id = log.gateway"
        with self._database.reading() as connection:
            rows = connection.execute(query).fetchall()
        return {row[0]: LogState(row[0], row[1], row[2], Head(row[3], row[4])) for row in rows}

    def hash_at(self, log_id: bytes, sequence: int) -> bytes | None:
        """Return the hash of a stored record; raises StorageError."""
        row = self._rows.get(log_id)
        if row is None or sequence >> SEQUENCE_BITS:
            return None
        with self._database.reading() as connection:
            found = connection.execute("SELECT hash FROM record WHERE id = ?", (record_row(row, sequence),)).fetchone()
        return None if found is None else bytes(found[0])

    def commit(self, change: Change, now_ms: int) -> None:
        """Write `change` durably, or nothing of it; raises StorageError."""
        with self._database.transaction() as connection:
            fresh = _write_logs(connection, change, self._rows, now_ms)
            rows = self._rows | fresh
            _write_records(connection, change.stored, rows, now_ms)
            _write_tallies(connection, change, rows)
            _write_refusals(connection, change.refused, rows, now_ms)
        self._rows = rows


def read_gateways(connection: sqlite3.Connection) -> dict[bytes, Gateway]:
    """Return every gateway that is or was enrolled, by kid."""
    rows = connection.execute("SELECT id, kid, pem, issuer, name, added_ms, removed_ms FROM gateway ORDER BY id")
    return {
        kid: Gateway(row, cose.public_key_from_pem(pem.encode()), issuer, name, added_ms, removed_ms)
        for row, kid, pem, issuer, name, added_ms, removed_ms in rows
    }


def record_row(log_row: int, sequence: int) -> int:
    """Return the row id of a record; a log's records are neighbours."""
    return log_row << SEQUENCE_BITS | sequence


def bounded_ms(wall_ms: int) -> int:
    """Return `wall_ms` brought into what a column and a date can hold."""
    return min(max(wall_ms, 0), MAX_WALL_MS)


def _write_logs(
    connection: sqlite3.Connection, change: Change, rows: Mapping[bytes, int], now_ms: int
) -> dict[bytes, int]:
    fresh: dict[bytes, int] = {}
    for state in change.states.values():
        if state.log_id not in rows:
            cursor = connection.execute(
                "INSERT INTO log (log_id, gateway, subject, next_sequence, hash, last_received_ms, last_wall_ms)"
                " SELECT ?, id, ?, 0, x'', 0, 0 FROM gateway WHERE kid = ?",
                (state.log_id, state.subject, state.kid),
            )
            fresh[state.log_id] = cursor.lastrowid or NOBODY
    newest: dict[bytes, tuple[int, int | None]] = {}
    for entry in change.stored:
        log_id, header = entry.header.log_id, entry.header
        snapshot = header.sequence if entry.kind is Kind.SNAPSHOT else newest.get(log_id, (0, None))[1]
        newest[log_id] = (bounded_ms(header.wall_ms), snapshot)
    for log_id, (wall_ms, snapshot) in newest.items():
        head = change.states[log_id].head
        connection.execute(
            "UPDATE log SET next_sequence = ?, hash = ?, last_received_ms = ?, last_wall_ms = ?,"
            " snapshot_sequence = coalesce(?, snapshot_sequence) WHERE log_id = ?",
            (head.next_sequence, head.previous, now_ms, wall_ms, snapshot, log_id),
        )
    return fresh


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
        (row for entry in stored for row in _reading_rows(entry, rows[entry.header.log_id])),
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
    for reading in entry.body.readings:
        yield (
            log_row,
            reading.field.code,
            entry.header.sequence,
            bounded_ms(entry.header.wall_ms),
            reading.value,
            None if reading.missing is None else int(reading.missing),
            int(reading.originator),
            int(reading.method),
            bounded_ms(reading.last_update_ms),
            reading.uncertainty,
            reading.coverage,
        )


def _write_tallies(connection: sqlite3.Connection, change: Change, rows: Mapping[bytes, int]) -> None:
    tallies: dict[tuple[bytes, str], int] = {}
    for entry in change.stored:
        for what, count in ((f"records.{entry.kind.name.lower()}", 1), ("bytes", len(entry.raw))):
            place = (entry.header.log_id, what)
            tallies[place] = tallies.get(place, 0) + count
    lines = [(NOBODY, rows[log_id], what, count) for (log_id, what), count in tallies.items()]
    lines += [(NOBODY, rows.get(log_id, NOBODY), "duplicates", count) for log_id, count in change.duplicates.items()]
    for refused, kid in change.refused:
        gateway = _gateway_row(connection, kid)
        lines.append((gateway, rows.get(refused.log_id, NOBODY), f"refused.{refused.code.name.lower()}", 1))
    if change.receipts:
        lines.append((NOBODY, NOBODY, "receipts", change.receipts))
    connection.executemany(
        "INSERT INTO tally (gateway, log, what, count) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
        lines,
    )


def _write_refusals(
    connection: sqlite3.Connection, refused: Iterable[tuple[Refused, bytes]], rows: Mapping[bytes, int], now_ms: int
) -> None:
    for entry, kid in refused:
        log = rows.get(entry.log_id, NOBODY)
        connection.execute(
            "INSERT INTO refusal (gateway, log, log_id, code, sequence, text, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                _gateway_row(connection, kid),
                log,
                entry.log_id,
                int(entry.code),
                min(entry.sequence, MAX_INTEGER),
                entry.text,
                now_ms,
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
