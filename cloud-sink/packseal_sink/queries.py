"""The SQL behind the reader: batteries with their logs, tallies and refusals. Call them inside one `reading` block."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from packseal.core.bodies import GapCause, Kind, LifecycleCode
from packseal.core.exchange import Refusal
from packseal.core.passport import Field
from packseal.core.sample import EventCode
from packseal_sink.lineage import continuation
from packseal_sink.signs import signs
from packseal_sink.views import Battery, Counts, Hole, Log, RefusalView, Sign, utc_text
from packseal_sink.writing import record_row

_LOGS = """
SELECT log.id, log.log_id, log.subject, gateway.issuer, gateway.name, gateway.kid, log.next_sequence,
    log.last_received_ms, log.last_wall_ms, log.snapshot_sequence, log.last_sequence, log.previous_log
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
WHERE kind > 2 AND kind < 6 AND id BETWEEN ? AND ?
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
    last_sequence: int
    previous_log: bytes | None


class Found(NamedTuple):
    """A battery, with the rows of the log that its values are from, and of all its logs, the newest first."""

    row: int
    battery: Battery
    rows: Sequence[LogRow]


def batteries(connection: sqlite3.Connection, subject: str | None = None) -> list[Found]:
    """Return each battery, or the one named."""
    counts, suspicious = _Counted(connection), signs(connection, subject)
    by_subject: dict[str, list[LogRow]] = defaultdict(list)
    for row in map(LogRow._make, connection.execute(_LOGS, {"subject": subject})):
        by_subject[row.subject].append(row)
    found = []
    for battery, rows in by_subject.items():
        continued = {row.previous_log for row in rows}
        rows.sort(key=lambda row: row.log_id in continued)  # else as they were: the one heard last first
        present = next((row for row in rows if row.snapshot_sequence is not None), rows[0])
        views = [_log(connection, row, {r.log_id: r.row for r in rows}, counts) for row in rows]
        found.append(Found(present.row, _battery(connection, present, views, suspicious.get(battery, ())), rows))
    return found


class _Counted:
    """How many records of each log there are of what."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.refused = refused_by_log(connection)
        self.duplicates = dict(connection.execute(_TALLIED, {"what": "duplicates"}))
        self.records = dict(connection.execute(_TALLIED, {"what": "records.%"}))
        self.early = dict(connection.execute("SELECT log, count(*) FROM early GROUP BY log"))
        self.removed = dict(connection.execute("SELECT id >> 40, sum(records) FROM hole GROUP BY id >> 40"))


_TALLIED = "SELECT log, sum(count) FROM tally WHERE what LIKE :what GROUP BY log"


def refused_by_log(connection: sqlite3.Connection) -> dict[int, Counts]:
    """Return how many records of each log were refused, by code; log 0 is none that is known."""
    rows = "SELECT log, what, sum(count) FROM tally WHERE what LIKE 'refused.%' GROUP BY log, what"
    return _by_first(connection.execute(rows))


def refused_by_gateway(connection: sqlite3.Connection) -> dict[int, Counts]:
    """Return how many records of each gateway's key were refused, by code; gateway 0 is none that is enrolled."""
    rows = "SELECT gateway, what, sum(count) FROM tally WHERE what LIKE 'refused.%' GROUP BY gateway, what"
    return _by_first(connection.execute(rows))


def refusals(
    connection: sqlite3.Connection, *, logs: Iterable[int] | None, gateway: int | None, limit: int
) -> list[RefusalView]:
    """Return what was refused, newest first, of some logs or from one gateway; None is any."""
    rows = connection.execute(
        "SELECT at_ms, code, log_id, sequence, text FROM refusal"
        " WHERE (:logs IS NULL OR log IN (SELECT value FROM json_each(:logs)))"
        " AND (:gateway IS NULL OR gateway = :gateway) ORDER BY id DESC LIMIT :limit",
        {"logs": None if logs is None else json.dumps(list(logs)), "gateway": gateway, "limit": limit},
    )
    return [
        RefusalView(at=utc_text(at), code=Refusal(code).name.lower(), log_id=log_id.hex(), sequence=sequence, text=text)
        for at, code, log_id, sequence, text in rows
    ]


def holes(connection: sqlite3.Connection, rows: Iterable[LogRow], limit: int) -> list[Hole]:
    """Return what gap records of these logs name as removed, the newest record of the first log first."""
    query = (
        "SELECT id, cause, first, last, records, from_ms, to_ms FROM hole WHERE id BETWEEN ? AND ?"
        " ORDER BY id DESC LIMIT ?"
    )
    return [
        Hole(
            log_id=row.log_id.hex(),
            sequence=number - record_row(row.row, 0),
            cause=GapCause(cause).name.lower(),
            first=first,
            last=last,
            records=records,
            from_time=utc_text(start),
            to_time=utc_text(end),
        )
        for row in rows
        for number, cause, first, last, records, start, end in connection.execute(
            query, (record_row(row.row, 0), record_row(row.row + 1, 0) - 1, limit)
        )
    ][:limit]


def _by_first(rows: Iterable[tuple[int, str, int]]) -> dict[int, Counts]:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for first, what, count in rows:
        counts[first][what.removeprefix("refused.")] = count
    return dict(counts)


def _log(connection: sqlite3.Connection, row: LogRow, logs: Mapping[bytes, int], counts: _Counted) -> Log:
    return Log(
        log_id=row.log_id.hex(),
        gateway=row.issuer,
        gateway_name=row.name,
        kid=row.kid.hex(),
        records=counts.records.get(row.row, 0),
        verified_up_to=row.next_sequence - 1,
        held_early=counts.early.get(row.row, 0),
        removed=counts.removed.get(row.row, 0),
        continues=None if row.previous_log is None else continuation(connection, row.row, logs),
        last_received=utc_text(row.last_received_ms),
        last_wall=utc_text(row.last_wall_ms),
        duplicates=counts.duplicates.get(row.row, 0),
        refused=counts.refused.get(row.row, {}),
    )


def _to_come(connection: sqlite3.Connection, row: LogRow) -> int:
    """Return how many records before the newest snapshot have neither come nor are named as removed."""
    start, end = row.next_sequence, row.snapshot_sequence or 0
    if end <= start:
        return 0
    held = "SELECT count(*) FROM early WHERE log = ? AND sequence >= ? AND sequence < ?"
    (early,) = connection.execute(held, (row.row, start, end)).fetchone()
    named = (
        "SELECT coalesce(sum(min(records, min(last, ?) - max(first, ?) + 1)), 0) FROM hole"
        " WHERE id BETWEEN ? AND ? AND first < ? AND last >= ?"
    )
    places = (record_row(row.row, 0), record_row(row.row + 1, 0) - 1)
    (removed,) = connection.execute(named, (end - 1, start, *places, end, start)).fetchone()
    return int(max(0, end - start - early - removed))


def _battery(connection: sqlite3.Connection, row: LogRow, logs: list[Log], suspicious: Sequence[Sign]) -> Battery:
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
        to_come=_to_come(connection, row),
        refused=total,
        signs=suspicious,
        present_log=row.log_id.hex(),
        logs=logs,
    )


def _health(connection: sqlite3.Connection, log: int) -> tuple[str, int | None]:
    found = connection.execute(_HEALTH, (record_row(log, 0), record_row(log + 1, 0) - 1)).fetchone()
    if found is None:
        return "ok", None
    kind, code, wall_ms = found
    state = EventCode(code) if kind == Kind.EVENT else LifecycleCode(code)
    return ("ok" if state in _FINE else state.name.lower()), wall_ms
