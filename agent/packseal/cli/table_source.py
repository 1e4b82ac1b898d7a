"""A table of samples from a csv, csv.gz or parquet file: columns t_s, v_v, i_a[, temp_c][, soc_pct][, soh_pct].

In a csv file columns are separated by commas; or by semicolons or tabs, and then a number may have a decimal comma.
"""

import csv
import gzip
import importlib
import io
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise
from math import isfinite, nan
from pathlib import Path
from typing import Any

from packseal.cli.present import safe
from packseal.core.errors import InputError

NEEDED = ("t_s", "v_v", "i_a")
ALLOWED = (*NEEDED, "temp_c", "soc_pct", "soh_pct")
EMPTY = ("", "nan", "na", "null", "none")
LONGEST_PERIOD_S = 300.0
BACK_S, APART_S = 60.0, 7200.0
"""Time that goes back by so much begins another recording, taken to follow so much later; by less, it is disorder."""
MOST_RESTARTS, LEAST_ROWS = 10, 20
"""More recordings than that, with fewer rows in each, are a table in the wrong order."""
STEADY = 0.1
SHARE = 0.95


@dataclass(slots=True)
class Table:
    """Columns of equal length, NaN for what a row does not say. `skipped` rows lacked time, voltage or current.

    `t_s` always rises: of recordings one after the other, each of which counts anew, it goes on (`restarts`).
    """

    columns: dict[str, array[float]] = field(default_factory=dict)
    skipped: int = 0
    unordered: int = 0
    restarts: int = 0
    moved_s: float = 0.0

    def __len__(self) -> int:
        return len(self.columns["t_s"])

    def rows(self) -> Iterator[tuple[float, ...]]:
        """Return the rows as tuples in the order of ALLOWED, NaN for a column that is not there."""
        absent = array("d", [nan]) * len(self)
        return zip(*(self.columns.get(name, absent) for name in ALLOWED), strict=True)

    def period_s(self) -> float:
        """Return the sample period: the longer steps of a current that stays as it is, flowing or not; at most 5 min.

        The median of all steps would call a slow charge between fast drives, or a rest after them, one long gap.
        """
        times, amps = self.columns["t_s"], self.columns["i_a"]
        least_a = 0.02 * max(map(abs, amps))
        every: list[float] = []
        loaded: list[float] = []
        resting: list[float] = []
        for (a, b), (i, j) in zip(pairwise(times), pairwise(amps), strict=True):
            if b <= a:
                continue
            every.append(b - a)
            if abs(i) <= least_a >= abs(j):
                resting.append(b - a)
            elif abs(j - i) <= STEADY * abs(i):
                loaded.append(b - a)
        longest = max(_at(every, 0.5), _at(loaded, SHARE), _usual(resting))
        return min(longest, LONGEST_PERIOD_S) or 1.0


def _at(steps: list[float], share: float) -> float:
    """Return the step that this share of them does not exceed, 0 without any."""
    return sorted(steps)[int(share * (len(steps) - 1))] if steps else 0.0


def _usual(steps: list[float]) -> float:
    """Return the step in which half of the time lies that steps of at most LONGEST_PERIOD_S cover, 0 without any."""
    short = sorted(step for step in steps if step <= LONGEST_PERIOD_S)
    left = sum(short) / 2
    for step in short:
        left -= step
        if left <= 0:
            return step
    return 0.0


def read(path: Path) -> Table:
    """Return the table in a file.

    Raises:
        InputError: it cannot be read, lacks a column, or a row holds what is no number; names the line.
    """
    if path.suffix in (".parquet", ".pq"):
        return _parquet(path)
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as file
        ):
            return _csv(path, file)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text; a table is csv, csv.gz or parquet") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is no whole gzip file: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _csv(path: Path, file: Iterable[str] | io.TextIOBase) -> Table:
    lines = iter(file)
    head = next(lines, "")
    # What spreadsheets write where the comma is the decimal sign.
    mark = next((mark for mark in ";\t" if mark in head and "," not in head), ",")
    reader = csv.reader(chain([head] if head else [], lines), delimiter=mark)
    number = _number if mark == "," else _with_decimal_comma
    try:
        names = [name.strip() for name in next(reader, [])]
        places = _places(path, names)
        table = Table({name: array("d") for name in places})
        for cells in reader:
            if not cells:
                continue
            try:
                values = {n: number(cells[i]) for n, i in places.items()}
            except IndexError:
                raise InputError(f"{path}, line {reader.line_num}: {len(cells)} of {len(names)} columns") from None
            except ValueError:
                raise InputError(_bad(path, reader.line_num, cells, places, number)) from None
            _add(table, values)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from error
    return _whole(path, table)


def _places(path: Path, names: list[str]) -> dict[str, int]:
    lacking = [name for name in NEEDED if name not in names]
    if lacking:
        there = ", ".join(safe(name, 40) for name in names[:12]) or "none"
        raise InputError(f"{path}: there is no column {lacking[0]}; needed are {', '.join(NEEDED)}, found were {there}")
    return {name: names.index(name) for name in ALLOWED if name in names}


def _number(text: str) -> float:
    text = text.strip()
    return nan if text.lower() in EMPTY else float(text)


def _with_decimal_comma(text: str) -> float:
    return _number(text.replace(",", "."))


def _bad(path: Path, line: int, cells: list[str], places: dict[str, int], number: Callable[[str], float]) -> str:
    for name, place in places.items():
        try:
            number(cells[place])
        except ValueError:
            return f"{path}, line {line}: {name} is {safe(cells[place], 40)!r}, which is no number{_hint(cells[place])}"
    return f"{path}, line {line}: not a row of numbers"


def _hint(cell: str) -> str:
    return "; write a decimal point, or separate the columns by semicolons" if "," in cell else ""


def _add(table: Table, values: dict[str, float]) -> None:
    if not all(isfinite(values[name]) for name in NEEDED):
        table.skipped += 1
        return
    times = table.columns["t_s"]
    t_s = values["t_s"] + table.moved_s
    if times and t_s <= times[-1]:
        if t_s > times[-1] - BACK_S:
            table.unordered += 1
            return
        table.restarts += 1
        table.moved_s += times[-1] + APART_S - t_s
        t_s = times[-1] + APART_S
    for name, value in values.items():
        table.columns[name].append(value if isfinite(value) else nan)
    times[-1] = t_s


def _parquet(path: Path) -> Table:
    try:
        # Not among packseal's own dependencies: it is 100 MB, and csv.gz carries the same.
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError(f"{path}: reading parquet needs pyarrow: pip install pyarrow, or write csv.gz") from error
    try:
        whole: Any = parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    places = _places(path, list(whole.schema.names))
    said = [whole.column(name).to_pylist() for name in places]
    table = Table({name: array("d") for name in places})
    for number, cells in enumerate(zip(*said, strict=True), 1):
        try:
            values = {n: nan if c is None else float(c) for n, c in zip(places, cells, strict=True)}
        except (TypeError, ValueError):
            raise InputError(f"{path}, row {number}: {safe(str(cells))} are not all numbers") from None
        _add(table, values)
    return _whole(path, table)


def _whole(path: Path, table: Table) -> Table:
    if len(table) == 0:
        raise InputError(f"{path} has no row with time, voltage and current")
    if table.restarts > max(MOST_RESTARTS, len(table) / LEAST_ROWS):
        raise InputError(f"{path}: t_s goes back {table.restarts} times in {len(table)} rows: sort the table by time")
    return table
