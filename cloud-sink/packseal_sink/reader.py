"""Read-only answers for the JSON API and the page, on a database connection of their own."""

import sqlite3
from collections.abc import Callable, Sequence

from packseal.core import cose, record
from packseal.core.bodies import Kind
from packseal.core.errors import InputError
from packseal.core.passport import Field
from packseal_sink import queries
from packseal_sink.database import Database
from packseal_sink.history import Histories, Series
from packseal_sink.lineage import chain_of
from packseal_sink.present import notable_view, snapshot_view, verify_again
from packseal_sink.signs import signs
from packseal_sink.store import Gateway, read_gateways
from packseal_sink.views import (
    Battery,
    Counts,
    Gateways,
    GatewayView,
    History,
    Hole,
    Notable,
    Point,
    RefusalView,
    Sign,
    SnapshotView,
    Tallies,
    utc_text,
)
from packseal_sink.writing import NOBODY, record_row

NOTABLE_LIMIT = 100
REFUSAL_LIMIT = 20

LOGS_SHOWN = 8
"""Logs of one history: a battery whose agent was set up anew more often than this shows its newest years."""

_NOTABLE = "SELECT raw FROM record WHERE kind > 2 AND kind < 6 AND id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
_GATEWAY_LOGS = """
SELECT gateway, count(*), sum((SELECT sum(count) FROM tally WHERE tally.log = log.id AND what LIKE 'records.%')),
    max(last_received_ms)
FROM log GROUP BY gateway
"""


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
            return [found.battery for found in queries.batteries(connection)]

    def battery(self, subject: str) -> Battery:
        """Return one battery; raises InputError when there is none."""
        with self._database.reading() as connection:
            return _find(connection, subject).battery

    def snapshot(self, subject: str) -> SnapshotView:
        """Return the newest snapshot, its signature checked again; raises InputError when there is none."""
        with self._database.reading() as connection:
            log, battery, _ = _find(connection, subject)
            if battery.snapshot is None:
                raise InputError(f"battery {subject} has sent no snapshot yet")
            raw, digest, received_ms, pem = connection.execute(
                "SELECT raw, record.hash, received_ms, pem FROM record, log JOIN gateway ON gateway.id = log.gateway"
                " WHERE record.id = ? AND log.id = ?",
                (record_row(log, battery.snapshot), log),
            ).fetchone()
        trouble = verify_again(raw, digest, cose.public_key_from_pem(pem.encode()))
        return snapshot_view(record.parse(raw), battery, received_ms, self._now_ms(), trouble)

    def history(self, subject: str, field: Field, limit: int, span_ms: int | None = None) -> History:
        """Return a field over time, over all logs that continue each other; raises InputError without such battery."""
        with self._database.reading() as connection:
            found = _find(connection, subject)
            logs = {row.row: row for row in found.rows}
            by_id = {row.log_id: row.row for row in found.rows}
            rows = chain_of(found.row, {row.row: row.previous_log for row in found.rows}, by_id)[:LOGS_SHOWN]
            share, until_ms, parts = max(2, limit // len(rows)), None, list[Series]()
            for row in rows:
                part = self._histories.read(
                    connection,
                    row,
                    field.code,
                    limit=share,
                    span_ms=span_ms,
                    until_ms=until_ms,
                    settled=logs[row].next_sequence,
                )
                until_ms = until_ms or (part.rows[-1][1] if part.rows else None)
                parts.append(part)
        stored, points = sum(part.stored for part in parts), _points(parts)
        return History(
            battery=subject,
            log_id=found.battery.newest.log_id,
            logs=[logs[row].log_id.hex() for row in reversed(rows)],
            field=field.key,
            title=field.value.title,
            unit=field.unit,
            decimals=field.decimals,
            stored=stored,
            downsampled=len(points) < stored,
            points=points,
        )

    def notable(self, subject: str, limit: int = NOTABLE_LIMIT) -> list[Notable]:
        """Return events, gaps and lifecycle entries, newest first; raises InputError when there is no such battery."""
        with self._database.reading() as connection:
            raws: list[tuple[bytes]] = []
            for row in _find(connection, subject).rows:
                place = (record_row(row.row, 0), record_row(row.row + 1, 0) - 1, limit - len(raws))
                raws += connection.execute(_NOTABLE, place)
        return [notable_view(record.parse(raw)) for (raw,) in raws]

    def holes(self, subject: str, limit: int = NOTABLE_LIMIT) -> list[Hole]:
        """Return what the gateway has removed, newest first; raises InputError when there is no such battery."""
        with self._database.reading() as connection:
            return queries.holes(connection, _find(connection, subject).rows, limit)

    def refusals(self, subject: str, limit: int = REFUSAL_LIMIT) -> list[RefusalView]:
        """Return what was refused of a battery, newest first; raises InputError when there is no such battery."""
        with self._database.reading() as connection:
            logs = [row.row for row in _find(connection, subject).rows]
            return queries.refusals(connection, logs=logs, gateway=None, limit=limit)

    def gateways(self) -> Gateways:
        """Return every gateway, and what those that are not enrolled sent."""
        with self._database.reading() as connection:
            refused = queries.refused_by_gateway(connection)
            logs = {row: rest for row, *rest in connection.execute(_GATEWAY_LOGS)}
            suspicious = [sign for found in signs(connection).values() for sign in found]
            return Gateways(
                gateways=[
                    _gateway_view(
                        entry,
                        logs.get(entry.row, [0, 0, None]),
                        refused.get(entry.row, {}),
                        [sign for sign in suspicious if sign.kid == entry.key.kid.hex()],
                    )
                    for entry in read_gateways(connection).values()
                ],
                unknown_refused=refused.get(NOBODY, {}),
                refusals=queries.refusals(connection, logs=None, gateway=NOBODY, limit=REFUSAL_LIMIT),
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
            questions=counts.get("questions", 0),
            refused={k.removeprefix("refused."): v for k, v in counts.items() if k.startswith("refused.")},
            batteries=batteries,
            gateways=gateways,
        )


def _points(parts: Sequence[Series]) -> list[Point]:
    """Return the points of several logs, which come newest first, in the order of time."""
    return [
        Point(log=number, sequence=sequence, time=utc_text(wall_ms), wall_ms=wall_ms, value=value)
        for number, part in enumerate(reversed(parts))
        for sequence, wall_ms, value in part.rows
    ]


def _find(connection: sqlite3.Connection, subject: str) -> queries.Found:
    found = queries.batteries(connection, subject)
    if not found:
        raise InputError(f"no battery {subject} has sent anything to this sink")
    return found[0]


def _gateway_view(entry: Gateway, logs: list[int | None], refused: Counts, suspicious: Sequence[Sign]) -> GatewayView:
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
        signs=suspicious,
    )
