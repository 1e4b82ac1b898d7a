"""A field over time, thinned so that the lowest and the highest value of every stretch stay.

Stored records never change, so a stretch that is over is looked at once and then remembered.
"""

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

DEFAULT_POINTS, MAX_POINTS = 500, 5000
SERIES_KEPT = 512
"""Thinned series remembered: 30 batteries with 17 fields, each of some ten kilobytes."""

_ROWS = "FROM reading WHERE log = :log AND field = :field AND sequence BETWEEN :low AND :high AND value IS NOT NULL"
_NEWEST = "SELECT sequence, wall_ms FROM reading WHERE log = :log AND field = :field ORDER BY sequence DESC LIMIT 1"
_OLDER = (
    "SELECT sequence FROM reading WHERE log = :log AND field = :field AND wall_ms < :since"
    " ORDER BY sequence DESC LIMIT 1"
)
# With one min() or max(), SQLite takes the other columns from its row (https://sqlite.org/lang_select.html §2.5)
_EXTREME = f"SELECT sequence, wall_ms, {{}}(value) {_ROWS} GROUP BY sequence / :width"
_COUNT = f"SELECT count(*) {_ROWS}"
_ALL = f"SELECT sequence, wall_ms, value {_ROWS} ORDER BY sequence"
_END = f"SELECT sequence, wall_ms, value {_ROWS} ORDER BY sequence {{}} LIMIT 1"

Row = tuple[int, int, float]
"""Sequence number, wall time in ms, value."""


@dataclass(frozen=True, slots=True)
class Series:
    """Values in the order of the log; `stored` is how many there are before thinning."""

    rows: list[Row]
    stored: int


@dataclass(slots=True)
class _Over:
    """The extremes and the number of all values below sequence `end`."""

    end: int = 0
    rows: dict[int, Row] = field(default_factory=dict)
    stored: int = 0


class Histories:
    """Reads series, and remembers the stretches of whole ones that are over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over: OrderedDict[tuple[int, int, int], _Over] = OrderedDict()

    def read(
        self,
        connection: sqlite3.Connection,
        log: int,
        code: int,
        *,
        limit: int,
        span_ms: int | None = None,
        until_ms: int | None = None,
        settled: int | None = None,
    ) -> Series:
        """Return a field's values, at most `limit`.

        Args:
            connection: the sink's database.
            log: the log's row.
            code: the field's code.
            limit: how many values at most, the first and the last among them.
            span_ms: only from the newest back to the first that is older than this; None for all.
            until_ms: where the span ends; None for the newest.
            settled: records below this sequence number have all come; None for all that are there.
        """
        place = {"log": log, "field": code, "low": 0, "high": -1}
        newest = connection.execute(_NEWEST, place).fetchone()
        if newest is None:
            return Series([], 0)
        place["high"] = newest[0]
        if span_ms is not None:
            # Walks from the newest backwards, so its work is that of the span and not of the whole log.
            older = connection.execute(_OLDER, {**place, "since": (until_ms or newest[1]) - span_ms}).fetchone()
            place["low"] = 0 if older is None else older[0] + 1
        return self._thinned(connection, place, limit, settled, keep=span_ms is None)

    def _thinned(
        self, connection: sqlite3.Connection, place: dict[str, int], limit: int, settled: int | None, *, keep: bool
    ) -> Series:
        width = _width(place["high"] - place["low"] + 1, limit)
        with self._lock:
            over = self._recall((place["log"], place["field"], width)) if keep else _Over()
            rest = {**place, "low": max(place["low"], over.end), "width": width}
            stored = over.stored + connection.execute(_COUNT, rest).fetchone()[0]
            if stored <= limit:
                return Series(connection.execute(_ALL, place).fetchall(), stored)
            if keep:
                _advance(connection, over, rest, place["high"] + 1 if settled is None else settled)
            found = over.rows | _extremes(connection, {**rest, "low": max(rest["low"], over.end)})
        ends = (connection.execute(_END.format(way), place).fetchone() for way in ("ASC", "DESC"))
        found |= _by_sequence(ends)
        return Series([found[sequence] for sequence in sorted(found)], stored)

    def _recall(self, key: tuple[int, int, int]) -> _Over:
        over = self._over.setdefault(key, _Over())
        self._over.move_to_end(key)
        if len(self._over) > SERIES_KEPT:
            self._over.popitem(last=False)
        return over


def _width(sequences: int, limit: int) -> int:
    """Return a power of two, so that stretches stay the same ones while the log grows, that leaves at most `limit`."""
    stretches = max(1, (limit - 2) // 2 - 1)  # less the two ends, and one for a stretch that begins before the first
    return 1 << max(0, (-(-sequences // stretches) - 1).bit_length())


def _advance(connection: sqlite3.Connection, over: _Over, rest: dict[str, int], settled: int) -> None:
    """Take into `over` the stretches that no record can join any more."""
    end = min(rest["high"] + 1, settled) // rest["width"] * rest["width"]
    if end > over.end:
        done = {**rest, "low": over.end, "high": end - 1}
        over.rows |= _extremes(connection, done)
        over.stored += connection.execute(_COUNT, done).fetchone()[0]
        over.end = end


def _extremes(connection: sqlite3.Connection, place: dict[str, int]) -> dict[int, Row]:
    lowest, highest = (connection.execute(_EXTREME.format(f), place) for f in ("min", "max"))
    return _by_sequence(lowest) | _by_sequence(highest)


def _by_sequence(rows: Iterable[Row]) -> dict[int, Row]:
    return {row[0]: row for row in rows}
