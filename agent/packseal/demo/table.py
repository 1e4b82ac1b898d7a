"""Table: the recorded drives that a replay plays, read row by row from csv or csv.gz.

A header names the columns in any order: `t_s`, `v_v`, `i_a` (charging positive), and if there `trip`, `temp_c`,
`soc_pct`; others are ignored. An empty cell or `nan` is a value that was not recorded. Time rises within a trip. A new
trip begins where the trip column changes or, without one, where `t_s` falls; trips follow each other after a pause.
"""

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from packseal.core.errors import InputError
from packseal.core.sample import NS_PER_S

PAUSE_S = 3600
"""Between two trips: longer than any gap limit, so that nothing is integrated over it."""

LONGEST_WAIT_S = 10
"""Nobody watches an hour of nothing."""

MAX_SPAN_S = 50 * 365 * 86_400
"""The last row is the present, and the first must lie after 1970."""

NEEDED = ("t_s", "v_v", "i_a")
OPTIONAL = ("trip", "temp_c", "soc_pct")
HEADER = f"a header with {', '.join(NEEDED)} and, where known, {', '.join(OPTIONAL)}"
GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952 §2.3.1
INTERVALS_KEPT = 10_000


class Row(NamedTuple):
    """One line of the table. `at_ns` counts from the first row, pauses included; None is "not recorded"."""

    at_ns: int
    voltage_v: float | None
    current_a: float | None
    temperature_c: float | None
    soc_pct: float | None


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass over a whole table found.

    `recorded_s` is the time within trips, `span_s` the time from the first to the last row with the pauses, `played_s`
    what of it a replay at speed 1 waits for, `period_s` the median interval within trips. `columns` are those there.
    """

    rows: int
    trips: int
    recorded_s: float
    span_s: float
    played_s: float
    period_s: float
    columns: frozenset[str]


class _Columns(NamedTuple):
    """Where each column stands; None where the table has none."""

    t_s: int
    v_v: int
    i_a: int
    trip: int | None
    temp_c: int | None
    soc_pct: int | None
    width: int


def survey(path: Path) -> Survey:
    """Read the whole table once and check it.

    Raises:
        InputError: naming file, line and what is expected.
    """
    rows = trips = last_ns = recorded_ns = played_ns = 0
    intervals: list[int] = []
    for row, starts in _rows(path):
        step_ns, last_ns = row.at_ns - last_ns, row.at_ns
        rows, trips, played_ns = rows + 1, trips + starts, played_ns + playing_ns(step_ns)
        if not starts:
            recorded_ns += step_ns
            if len(intervals) < INTERVALS_KEPT:
                intervals.append(step_ns)
    if not rows:
        raise InputError(f"{path} has a header but no rows")
    period_ns = sorted(intervals)[len(intervals) // 2] if intervals else 0
    recorded_s, span_s, played_s, period_s = (ns / NS_PER_S for ns in (recorded_ns, last_ns, played_ns, period_ns))
    return Survey(rows, trips, recorded_s, span_s, played_s, period_s, _columns_of(path))


def playing_ns(step_ns: int) -> int:
    """Return how long a replay at speed 1 takes for a step of the recording: a pause or gap is cut short."""
    return min(step_ns, LONGEST_WAIT_S * NS_PER_S)


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows in order, without holding the table in memory; raises InputError as `survey` does."""
    return (row for row, _ in _rows(path))


def _columns_of(path: Path) -> frozenset[str]:
    with _open(path) as file:
        cells = next(row for row in csv.reader(file) if row)
    return frozenset(cell.strip().lower() for cell in cells) & {*NEEDED, *OPTIONAL}


def _rows(path: Path) -> Iterator[tuple[Row, bool]]:
    """Yield each row and whether it begins a trip."""
    trip: str | None = None
    base_ns, first_ns, last_ns = 0, 0, -1
    started = False
    for line, columns, cells in _lines(path):
        t_ns = round(_number(path, line, "t_s", cells[columns.t_s]) * NS_PER_S)
        name = cells[columns.trip] if columns.trip is not None else None
        starts = not started or (name != trip if columns.trip is not None else t_ns < last_ns)
        if starts:
            base_ns = base_ns + last_ns - first_ns + PAUSE_S * NS_PER_S if started else 0
            first_ns, trip, started = t_ns, name, True
        elif t_ns <= last_ns:
            raise InputError(
                f"{path}, line {line}: t_s must rise within a trip, but {t_ns / NS_PER_S:g} follows "
                f"{last_ns / NS_PER_S:g}"
            )
        last_ns = t_ns
        at_ns = base_ns + t_ns - first_ns
        if at_ns > MAX_SPAN_S * NS_PER_S:
            raise InputError(f"{path}, line {line}: t_s is in seconds, and a table spans at most 50 years")
        yield Row(at_ns, *_values(path, line, columns, cells)), starts


def _values(path: Path, line: int, columns: _Columns, cells: list[str]) -> Iterator[float | None]:
    for name in ("v_v", "i_a", "temp_c", "soc_pct"):
        place = getattr(columns, name)
        text = cells[place].strip() if place is not None else ""
        if not text or text.lower() == "nan":
            yield None
        else:
            yield _number(path, line, name, text)


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        allowed = "a number" if name == "t_s" else "a number, nan or empty"
        raise InputError(f"{path}, line {line}: {name} must be {allowed}, not {text[:40]!r}")
    return value


def _lines(path: Path) -> Iterator[tuple[int, _Columns, list[str]]]:
    with _open(path) as file:
        reader = csv.reader(file)
        columns: _Columns | None = None
        for cells in reader:
            if not cells:
                continue
            if columns is None:
                columns = _header(path, reader.line_num, cells)
            elif len(cells) < columns.width:
                raise InputError(
                    f"{path}, line {reader.line_num}: has {len(cells)} cells; the header needs {columns.width}"
                )
            else:
                yield reader.line_num, columns, cells
        if columns is None:
            raise InputError(f"{path} is empty: expected {HEADER}")


def _header(path: Path, line: int, cells: list[str]) -> _Columns:
    names = [cell.strip().lower() for cell in cells]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise InputError(f"{path}, line {line}: {', '.join(missing)} missing: expected {HEADER}")
    twice = [name for name in (*NEEDED, *OPTIONAL) if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}, line {line}: {twice[0]} is there twice: expected {HEADER}")
    place = {name: names.index(name) for name in (*NEEDED, *OPTIONAL) if name in names}
    return _Columns(
        *(place["t_s"], place["v_v"], place["i_a"]),
        *(place.get("trip"), place.get("temp_c"), place.get("soc_pct")),
        max(place.values()) + 1,
    )


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    """Open for reading, unpacked where it is gzip; failures while the block reads become InputError."""
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == GZIP_MAGIC
        opener = gzip.open if packed else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path} is cut off or damaged: {error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no csv text in UTF-8: {error}") from error
