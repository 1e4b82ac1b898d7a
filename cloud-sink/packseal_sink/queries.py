"""The SQL behind the reader: batteries with their logs, tallies and refusals. Call them inside one `reading` block."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from packseal.core.bodies import Kind, LifecycleCode
from packseal.core.exchange import Refusal
from packseal.core.passport import Field
from packseal.core.sample import EventCode
from packseal_sink.views import Battery, Counts, Log, RefusalView, utc_text
from packseal_sink.writing import record_row

_LOGS = """
SELECT log.id, log.log_id, log.subject, gateway.issuer, gateway.name, gateway.kid, log.next_sequence,
    log.last_received_ms, log.last_wall_ms, log.snapshot_sequence
FROM log JOIN gateway ON gateway.id = log.gateway
WHERE log.subject != gateway.issuer AND (:subject IS NULL OR log.subject = :subject)
ORDER BY log.last_received_ms DESC, log.id DESC
"""  # a log whose subject is its gateway is the gateway's own, not a battery's

_LINK_EVENTS = (
    EventCode.BUS_OFF,
    EventCode.BUS_ERROR_PASSIVE,
    EventCode.BUS_ERROR_WARNING,
    EventCode.BUS_SILENT,
    EventCode.BUS_RECOVERED,
    EventCode.LINK_LOST,
)
_AGENT_ENTRIES = (LifecycleCode.AGENT_STARTED, LifecycleCode.AGENT_STOPPED, LifecycleCode.SOURCE_ENDED)
_FINE = (EventCode.BUS_RECOVERED, LifecycleCode.AGENT_STARTED)
_HEALTH = f"""
SELECT kind, code, wall_ms FROM record
WHERE kind > 2 AND id BETWEEN ? AND ?
    AND (kind = {int(Kind.EVENT)} AND code IN ({",".join(str(int(c)) for c in _LINK_EVENTS)})
    OR kind = {int(Kind.LIFECYCLE)} AND code IN ({",".join(str(int(c)) for c in _AGENT_ENTRIES)}))
ORDER BY id DESC LIMIT 1
"""  # noqa: S608 - made of our own codes


class LogRow(NamedTuple):
    """A row of `_LOGS`."""

    row: int
    log_id: bytes
    subject: str
    issuer: str
    name: str
    kid: bytes
    next_sequence: int
    last_received_ms: int
    last_wall_ms: int
    snapshot_sequence: int | None


def batteries(connection: sqlite3.Connection, subject: str | None = None) -> list[tuple[int, Battery]]:
    """Return each battery, or the one named, with the row of its newest log."""
    refused = refused_by_log(connection)
    duplicates = dict(connection.execute("SELECT log, sum(count) FROM tally WHERE what = 'duplicates' GROUP BY log"))
    by_subject: dict[str, list[LogRow]] = defaultdict(list)
    for row in map(LogRow._make, connection.execute(_LOGS, {"subject": subject})):
        by_subject[row.subject].append(row)
    return [
        (
            rows[0].row,
            _battery(connection, rows[0], [_log(r, refused.get(r.row, {}), duplicates.get(r.row, 0)) for r in rows]),
        )
        for rows in by_subject.values()
    ]


def refused_by_log(connection: sqlite3.Connection) -> dict[int, Counts]:
    """Return how many records of each log were refused, by code; log 0 is none that is known."""
    rows = "SELECT log, what, sum(count) FROM tally WHERE what LIKE 'refused.%' GROUP BY log, what"
    return _by_first(connection.execute(rows))


def refused_by_gateway(connection: sqlite3.Connection) -> dict[int, Counts]:
    """Return how many records of each gateway's key were refused, by code; gateway 0 is none that is enrolled."""
    rows = "SELECT gateway, what, sum(count) FROM tally WHERE what LIKE 'refused.%' GROUP BY gateway, what"
    return _by_first(connection.execute(rows))


def refusals(connection: sqlite3.Connection, *, log: int | None, gateway: int | None, limit: int) -> list[RefusalView]:
    """Return what was refused, newest first, of one log or from one gateway; None is any."""
    rows = connection.execute(
        "SELECT at_ms, code, log_id, sequence, text FROM refusal"
        " WHERE (:log IS NULL OR log = :log) AND (:gateway IS NULL OR gateway = :gateway)"
        " ORDER BY id DESC LIMIT :limit",
        {"log": log, "gateway": gateway, "limit": limit},
    )
    return [
        RefusalView(at=utc_text(at), code=Refusal(code).name.lower(), log_id=log_id.hex(), sequence=sequence, text=text)
        for at, code, log_id, sequence, text in rows
    ]


def _by_first(rows: Iterable[tuple[int, str, int]]) -> dict[int, Counts]:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for first, what, count in rows:
        counts[first][what.removeprefix("refused.")] = count
    return dict(counts)


def _log(row: LogRow, refused: Counts, duplicates: int) -> Log:
    return Log(
        log_id=row.log_id.hex(),
        gateway=row.issuer,
        gateway_name=row.name,
        kid=row.kid.hex(),
        records=row.next_sequence,
        verified_up_to=row.next_sequence - 1,
        last_received=utc_text(row.last_received_ms),
        last_wall=utc_text(row.last_wall_ms),
        duplicates=duplicates,
        refused=refused,
    )


def _battery(connection: sqlite3.Connection, row: LogRow, logs: list[Log]) -> Battery:
    values: dict[int, float | None] = dict(
        connection.execute(
            "SELECT field, value FROM reading WHERE log = ? AND field IN (?, ?) AND sequence = ?",
            (row.row, Field.STATE_OF_CHARGE.code, Field.STATE_OF_HEALTH_BMS.code, row.snapshot_sequence),
        )
    )
    total: Counter[str] = Counter()
    for log in logs:
        total.update(log.refused)
    health, since_ms = _health(connection, row.row)
    return Battery(
        id=row.subject,
        health=health,
        health_since=None if since_ms is None else utc_text(since_ms),
        state_of_charge_pct=values.get(Field.STATE_OF_CHARGE.code),
        state_of_health_bms_pct=values.get(Field.STATE_OF_HEALTH_BMS.code),
        snapshot=row.snapshot_sequence,
        refused=total,
        logs=logs,
    )


def _health(connection: sqlite3.Connection, log: int) -> tuple[str, int | None]:
    found = connection.execute(_HEALTH, (record_row(log, 0), record_row(log + 1, 0) - 1)).fetchone()
    if found is None:
        return "ok", None
    kind, code, wall_ms = found
    state = EventCode(code) if kind == Kind.EVENT else LifecycleCode(code)
    return ("ok" if state in _FINE else state.name.lower()), wall_ms
