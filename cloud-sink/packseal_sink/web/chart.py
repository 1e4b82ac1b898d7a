"""Geometry of the charts: from values to coordinates, ticks and labels. Pure; the template draws it."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 24
Y_TICKS, X_TICKS = 4, 5
BREAK = 5
"""A line is broken where the next value is this many times later than is usual."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S = 253_402_300_799
"""The last second of the year 9999, the last that RFC 3339 and `datetime` can write."""

_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_DAY_S = 86400
_TIME_FORMS = ((_DAY_S, "%b %d"), (_DAY_S // 4, "%d, %H:%M"), (60, "%H:%M"), (0, "%H:%M:%S"))
"""From which step in seconds a tick is labelled how."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, in the drawing's units, and its label."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A line chart. `lines` are SVG paths, `dots` single values, `gaps` the left and right of what is not recorded."""

    lines: Sequence[str]
    dots: Sequence[tuple[float, float]]
    gaps: Sequence[tuple[float, float]]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    last: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: left, top, width, height in the drawing's units, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    label: str
    extreme: str


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar plot."""

    bars: Sequence[Bar]
    y_ticks: Sequence[Tick]


Point = tuple[int, float]
"""Wall time in ms, value."""


def line_chart(points: Sequence[Point], gaps: Iterable[tuple[int, int]] = ()) -> Chart:
    """Return the chart of at least one point, in the order of the log; `gaps` are ms from and to."""
    times = [time for time, _ in points]
    start, end = min(times), max(times)
    if start == end:
        start, end = start - 500, end + 500
    low, high, step = _y_range(min(v for _, v in points), max(v for _, v in points))

    def x(time_ms: float) -> float:
        return round(LEFT + (time_ms - start) / (end - start) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    pieces = [[(x(time), y(value)) for time, value in piece] for piece in _pieces(points)]
    return Chart(
        lines=["M" + "L".join(f"{a} {b}" for a, b in piece) for piece in pieces if len(piece) > 1],
        dots=[piece[0] for piece in pieces if len(piece) == 1],
        gaps=[(x(max(a, start)), x(min(b, end))) for a, b in gaps if a < end and b > start],
        x_ticks=[Tick(x(time), label) for time, label in _time_ticks(start, end)],
        y_ticks=_y_ticks(low, high, step, y),
        last=pieces[-1][-1],
    )


def bar_plot(values: Sequence[float | None], unit: str, decimals: int) -> Bars:
    """Return a bar for each value that is known. The axis begins below the lowest, so that differences can be seen."""
    known = [value for value in values if value is not None]
    low, high, step = _y_range(min(known), max(known))
    low = max(0.0, low - step)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    slot = (WIDTH - LEFT - RIGHT) / len(values)
    bars = [
        Bar(
            x=round(LEFT + slot * (i + 0.1), 2),
            y=y(value),
            width=round(slot * 0.8, 2),
            height=round(HEIGHT - BOTTOM - y(value), 1),
            label=f"{i + 1}: {value:.{decimals}f} {unit}",
            extreme="high" if value == max(known) > min(known) else "low" if value == min(known) else "",
        )
        for i, value in enumerate(values)
        if value is not None
    ]
    return Bars(bars, _y_ticks(low, high, step, y))


def _pieces(points: Sequence[Point]) -> list[list[Point]]:
    """Cut where values are missing or the wall clock stepped back."""
    steps = [b[0] - a[0] for a, b in pairwise(points)]
    usual = statistics.median(steps) if steps else 0
    pieces = [[points[0]]]
    for step, point in zip(steps, points[1:], strict=True):
        if step < 0 or (usual > 0 and step > BREAK * usual):
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _y_range(low: float, high: float) -> tuple[float, float, float]:
    """Return bounds on whole steps of 1, 2 or 5 times a power of ten, and the step."""
    if high - low <= abs(high) * 1e-9:
        margin = abs(high) * 0.01 or 1.0
        low, high = (low if low == 0 else low - margin), high + margin
    raw = (high - low) / Y_TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _y_ticks(low: float, high: float, step: float, y: Callable[[float], float]) -> list[Tick]:
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    count = round((high - low) / step)
    values = (low + i * step for i in range(count + 1))
    return [Tick(y(value), f"{value + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")) for value in values]


def _time_ticks(start_ms: int, end_ms: int) -> list[tuple[float, str]]:
    span_s = (end_ms - start_ms) / 1000
    fitting = (s for s in _TIME_STEPS_S if span_s / s <= X_TICKS)
    step = next(fitting, math.ceil(span_s / X_TICKS / _DAY_S) * _DAY_S)
    form = next(form for least_s, form in _TIME_FORMS if step >= least_s)
    first = math.ceil(start_ms / 1000 / step)
    return [
        (t * step * 1000, (_EPOCH + timedelta(seconds=t * step)).strftime(form))
        for t in range(first, min(end_ms // 1000, _LAST_S) // step + 1)
    ]
