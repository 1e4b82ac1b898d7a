"""The table that people read, the same as JSON, and a bar that says how far it is."""

import dataclasses
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.row import Row, Spread

HEAD = ("measured", "unit", "ours", "peer", "ratio (quartiles)", "gate", "")
BAR_COLUMNS = 24


def show(rows: Sequence[Row]) -> str:
    """Return the table, what each row means below it, and what went wrong."""
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    texts.insert(1, "  ".join("─" * width for width in widths))
    notes = [f"{row.name}: {row.skipped or row.note}" for row in rows if row.skipped or row.note]
    troubles = [f"{row.name} FAILED: {row.trouble}" for row in rows if row.trouble]
    return "\n".join([*texts, "", *notes, *troubles])


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows and the machine they were taken on."""
    machine = {"machine": platform.machine(), "cpus": os.cpu_count(), "python": platform.python_version()}
    made: list[dict[str, Any]] = []
    for row in rows:
        entry = dataclasses.asdict(row) | {"verdict": row.verdict}
        made.append({key: value for key, value in entry.items() if value not in (None, "")})
    return json.dumps({"machine": machine, "rows": made}, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """Write them to a file."""
    path.write_text(as_json(rows), "utf-8")


def bar(name: str, place: int, places: int) -> Callable[[float], None]:
    """Return what draws the bar for one measurement out of `places`; on a terminal only."""
    if not sys.stderr.isatty():
        return lambda _: None

    def draw(part: float) -> None:
        done = round(BAR_COLUMNS * (place + part) / places)
        sys.stderr.write(f"\r{'█' * done}{'░' * (BAR_COLUMNS - done)} {name}\x1b[K")
        sys.stderr.flush()

    return draw


def clear_bar() -> None:
    """Take the bar away."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _cells(row: Row) -> tuple[str, ...]:
    gate = "" if row.gate is None else str(row.gate)
    ratio = row.ratio
    quartiles = "" if ratio is None else f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
    return row.name, row.unit, _middle(row.ours), _middle(row.peer), quartiles, gate, row.verdict


def _middle(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.median:,.4g}" if spread.median < 1000 else f"{spread.median:,.0f}"
