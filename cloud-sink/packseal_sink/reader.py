"""Read-only answers for the JSON API and the page, on a database connection of their own."""

import sqlite3
from collections.abc import Callable

from packseal.core import cose, record
from packseal.core.bodies import Kind
from packseal.core.errors import InputError
from packseal.core.passport import Field
from packseal_sink import queries
from packseal_sink.database import Database
from packseal_sink.history import Histories
from packseal_sink.present import notable_view, snapshot_view, verify_again
from packseal_sink.store import Gateway, read_gateways
from packseal_sink.views import (
    Battery,
    Counts,
    Gateways,
    GatewayView,
    History,
    Notable,
    Point,
    RefusalView,
    SnapshotView,
    Tallies,
    utc_text,
)
from packseal_sink.writing import NOBODY, record_row

NOTABLE_LIMIT = 100
REFUSAL_LIMIT = 20

_GATEWAY_LOGS = "SELECT gateway, count(*), sum(next_sequence), max(last_received_ms) FROM log GROUP BY gateway"


class Reader:
    """Answers questions about what is stored. Every method may raise StorageError.

    Args:
        database: a read-only connection of its own.
        now_ms: returns the UTC time in milliseconds.
    """

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms
        self._histories = Histories()

    def version(self) -> int:
        """Return a number that changes whenever another connection has changed the database."""
        return self._database.version()

    def batteries(self) -> list[Battery]:
        """Return every battery, the one heard last first."""
        with self._database.reading() as connection:
            return [battery for _, battery in queries.batteries(connection)]

    def battery(self, subject: str) -> Battery:
        """Return one battery; raises InputError when there is none."""
        with self._database.reading() as connection:
            return _find(connection, subject)[1]

    def snapshot(self, subject: str) -> SnapshotView:
        """Return the newest snapshot, its signature checked again; raises InputError when there is none."""
        with self._database.reading() as connection:
            log, battery = _find(connection, subject)
            if battery.snapshot is None:
                raise InputError(f"battery {subject} has sent no snapshot yet")
            raw, digest, received_ms, pem = connection.execute(
                "SELECT raw, record.hash, received_ms, pem FROM record, log JOIN gateway ON gateway.id = log.gateway"
                " WHERE record.id = ? AND log.id = ?",
                (record_row(log, battery.snapshot), log),
            ).fetchone()
        trouble = verify_again(raw, digest, cose.public_key_from_pem(pem.encode()))
        return snapshot_view(record.parse(raw), battery.newest, received_ms, self._now_ms(), trouble)

    def history(self, subject: str, field: Field, limit: int, span_ms: int | None = None) -> History:
        """Return a field over time; raises InputError when there is no such battery."""
        with self._database.reading() as connection:
            log, battery = _find(connection, subject)
            series = self._histories.read(connection, log, field.code, limit=limit, span_ms=span_ms)
        return History(
            battery=subject,
            log_id=battery.newest.log_id,
            field=field.key,
            title=field.value.title,
            unit=field.unit,
            decimals=field.decimals,
            stored=series.stored,
            downsampled=len(series.rows) < series.stored,
            points=[
                Point(sequence=sequence, time=utc_text(wall_ms), wall_ms=wall_ms, value=value)
                for sequence, wall_ms, value in series.rows
            ],
        )

    def notable(self, subject: str, limit: int = NOTABLE_LIMIT) -> list[Notable]:
        """Return events, gaps and lifecycle entries, newest first; raises InputError when there is no such battery."""
        with self._database.reading() as connection:
            log, _ = _find(connection, subject)
            rows = connection.execute(
                "SELECT raw FROM record WHERE kind > 2 AND kind < 6 AND id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?",
                (record_row(log, 0), record_row(log + 1, 0) - 1, limit),
            ).fetchall()
        return [notable_view(record.parse(raw)) for (raw,) in rows]

    def refusals(self, subject: str, limit: int = REFUSAL_LIMIT) -> list[RefusalView]:
        """Return what was refused of a battery, newest first; raises InputError when there is no such battery."""
        with self._database.reading() as connection:
            log, _ = _find(connection, subject)
            return queries.refusals(connection, log=log, gateway=None, limit=limit)

    def gateways(self) -> Gateways:
        """Return every gateway, and what those that are not enrolled sent."""
        with self._database.reading() as connection:
            refused = queries.refused_by_gateway(connection)
            logs = {row: rest for row, *rest in connection.execute(_GATEWAY_LOGS)}
            return Gateways(
                gateways=[
                    _gateway_view(entry, logs.get(entry.row, [0, 0, None]), refused.get(entry.row, {}))
                    for entry in read_gateways(connection).values()
                ],
                unknown_refused=refused.get(NOBODY, {}),
                refusals=queries.refusals(connection, log=None, gateway=NOBODY, limit=REFUSAL_LIMIT),
            )

    def tallies(self) -> Tallies:
        """Return all counts."""
        with self._database.reading() as connection:
            counts = dict(connection.execute("SELECT what, sum(count) FROM tally GROUP BY what"))
            batteries = len(queries.batteries(connection))
            gateways = connection.execute("SELECT count(*) FROM gateway WHERE removed_ms IS NULL").fetchone()[0]
        records = {kind.name.lower(): counts.get(f"records.{kind.name.lower()}", 0) for kind in Kind}
        return Tallies(
            records=records,
            verified=sum(records.values()),
            bytes=counts.get("bytes", 0),
            receipts=counts.get("receipts", 0),
            duplicates=counts.get("duplicates", 0),
            refused={k.removeprefix("refused."): v for k, v in counts.items() if k.startswith("refused.")},
            batteries=batteries,
            gateways=gateways,
        )


def _find(connection: sqlite3.Connection, subject: str) -> tuple[int, Battery]:
    found = queries.batteries(connection, subject)
    if not found:
        raise InputError(f"no battery {subject} has sent anything to this sink")
    return found[0]


def _gateway_view(entry: Gateway, logs: list[int | None], refused: Counts) -> GatewayView:
    count, records, received_ms = logs
    return GatewayView(
        id=entry.issuer,
        name=entry.name,
        kid=entry.key.kid.hex(),
        algorithm=entry.key.algorithm.name,
        added=utc_text(entry.added_ms),
        removed=None if entry.removed_ms is None else utc_text(entry.removed_ms),
        logs=count or 0,
        records=records or 0,
        last_received=None if received_ms is None else utc_text(received_ms),
        refused=refused,
    )
