"""Thinning keeps the extremes, and what is remembered never differs from what is stored."""

import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from packseal_sink.history import Histories, Row
from packseal_sink.schema import SCHEMA

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=400)


def database() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    connection.executescript(SCHEMA)
    return connection


def add(connection: sqlite3.Connection, values: list[float | None], start: int) -> list[Row]:
    rows = [(2 * i + 1, 60_000 * i, value) for i, value in enumerate(values, start)]
    connection.executemany("INSERT INTO reading VALUES (1, 1, ?, ?, ?, NULL, 1, 1, 0, NULL, NULL)", rows)
    return [(sequence, wall_ms, value) for sequence, wall_ms, value in rows if value is not None]


@settings(deadline=None, max_examples=60)
@given(parts=st.lists(VALUES, min_size=1, max_size=4), limit=st.integers(8, 60))
def test_a_growing_series_keeps_ends_and_extremes_within_the_limit(parts: list[list[float | None]], limit: int) -> None:
    connection, histories, stored = database(), Histories(), list[Row]()
    for part in parts:
        stored += add(connection, part, _count(connection))
        got = histories.read(connection, 1, 1, limit=limit)
        assert got.stored == len(stored)
        assert len(got.rows) <= limit
        assert set(got.rows) <= set(stored)
        assert got.rows == sorted(got.rows)
        if stored:
            assert (got.rows[0], got.rows[-1]) == (stored[0], stored[-1])
            values = [value for _, _, value in stored]
            shown = [value for _, _, value in got.rows]
            assert (min(shown), max(shown)) == (min(values), max(values))
        assert got == Histories().read(connection, 1, 1, limit=limit)
    connection.close()


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM reading").fetchone()[0])


@settings(deadline=None, max_examples=40)
@given(values=VALUES, span_min=st.integers(1, 500))
def test_a_span_ends_at_the_newest_value(values: list[float | None], span_min: int) -> None:
    connection = database()
    stored = add(connection, values, 0)
    newest_ms = 60_000 * (len(values) - 1)
    got = Histories().read(connection, 1, 1, limit=1000, span_ms=span_min * 60_000)
    assert got.rows == [row for row in stored if row[1] >= newest_ms - span_min * 60_000]
    connection.close()
