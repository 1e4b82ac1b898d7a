"""A field over time, thinned in SQL so that the lowest and the highest value of every stretch stay."""

import sqlite3
from dataclasses import dataclass

DEFAULT_POINTS, MAX_POINTS = 500, 5000

_ROWS = "FROM reading WHERE log = :log AND field = :field AND sequence BETWEEN :low AND :high AND value IS NOT NULL"
# With one min() or max(), SQLite takes the other columns from its row (https://sqlite.org/lang_select.html §2.5)
_EXTREME = f"SELECT sequence, wall_ms, {{}}(value) {_ROWS} GROUP BY (sequence - :low) / :width"

Row = tuple[int, int, float]
"""Sequence number, wall time in ms, value."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values in the order of the log; `stored` is how many there are before thinning."""

    rows: list[Row]
    stored: int


def read_series(
    connection: sqlite3.Connection, log: int, field: int, *, limit: int, span_ms: int | None = None
) -> Series:
    """Return a field's values, at most about `limit`.

    Args:
        connection: the sink's database.
        log: the log's row.
        field: the field's code.
        limit: how many values at most, two of which are the first and the last.
        span_ms: only from the newest back to the first that is older than this; None for all.
    """
    place: dict[str, int] = {"log": log, "field": field, "low": 0, "high": _newest(connection, log, field)}
    if span_ms is not None:
        place["low"] = _start(connection, place, span_ms)
    stored = int(connection.execute(f"SELECT count(*) {_ROWS}", place).fetchone()[0])
    if stored <= limit:
        rows = connection.execute(f"SELECT sequence, wall_ms, value {_ROWS} ORDER BY sequence", place)
        return Series(rows.fetchall(), stored)
    ends = [
        connection.execute(f"SELECT sequence, wall_ms, value {_ROWS} ORDER BY sequence {way} LIMIT 1", place).fetchone()
        for way in ("ASC", "DESC")
    ]
    stretches = max(1, (limit - 2) // 2)
    place["low"] = ends[0][0]
    place["width"] = -(-(ends[1][0] - ends[0][0] + 1) // stretches)
    found: dict[int, Row] = {row[0]: row for row in ends}
    for extreme in ("min", "max"):
        found.update((row[0], row) for row in connection.execute(_EXTREME.format(extreme), place))
    return Series([found[sequence] for sequence in sorted(found)], stored)


def _newest(connection: sqlite3.Connection, log: int, field: int) -> int:
    row = connection.execute("SELECT max(sequence) FROM reading WHERE log = ? AND field = ?", (log, field)).fetchone()
    return -1 if row[0] is None else int(row[0])


def _start(connection: sqlite3.Connection, place: dict[str, int], span_ms: int) -> int:
    # Walks from the newest backwards, so its work is that of the span and not of the whole log.
    newest = connection.execute(
        "SELECT wall_ms FROM reading WHERE log = :log AND field = :field AND sequence = :high", place
    ).fetchone()
    if newest is None:
        return 0
    older = connection.execute(
        "SELECT sequence FROM reading WHERE log = :log AND field = :field AND wall_ms < :since"
        " ORDER BY sequence DESC LIMIT 1",
        {**place, "since": newest[0] - span_ms},
    ).fetchone()
    return 0 if older is None else int(older[0]) + 1
