"""Lines of a plot, thinned so that a page stays small and no spike is lost."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from packseal_hil.report.words import number, plain
from packseal_hil.story import Band, Point, Trace

POINTS_OF_A_PLOT = 2600  # all lines together; a point takes about 14 bytes of SVG, so 36 kB
MOST_OF_A_LINE = 600  # about one for each unit of the plot's width

QUANTITIES = {"A": "Current", "V": "Voltage", "°C": "Temperature", "W": "Power", "kW": "Power", "Ω": "Resistance"}


class Line(NamedTuple):
    """One line: its name, x, y, and whether a value holds until the next one."""

    title: str
    x: Sequence[float]
    y: Sequence[float]
    is_step: bool = False


class Panel(NamedTuple):
    """Lines of one unit above each other."""

    title: str
    lines: list[Line]


def progress(points: Sequence[Point]) -> list[Panel]:
    """Records and samples over time."""
    if not points:
        return []
    at = [point.at_s for point in points]
    records = [
        Line("sealed", at, [point.sealed for point in points], is_step=True),
        Line("received", at, [point.received for point in points], is_step=True),
        Line("receipted", at, [point.receipted for point in points], is_step=True),
    ]
    samples = Line("samples", at, [point.samples for point in points], is_step=True)
    return [Panel("Records", records), Panel("Samples taken", [samples])]


def signals(traces: Sequence[Trace]) -> list[Panel]:
    """One panel for each unit, in the order of the traces."""
    panels: dict[str, list[Line]] = {}
    for trace in traces:
        kept = [(x, y) for x, y in zip(trace.at, trace.value, strict=False) if math.isfinite(x) and math.isfinite(y)]
        if kept:
            x, y = zip(*kept, strict=True)
            panels.setdefault(plain(trace.unit), []).append(Line(plain(trace.title), x, y))
    return [
        Panel(f"{lines[0].title}, {unit}" if len(lines) == 1 else _of_many(unit), lines)
        for unit, lines in panels.items()
    ]


def _of_many(unit: str) -> str:
    return f"{QUANTITIES[unit]}, {unit}" if unit in QUANTITIES else f"In {unit}"


def thinned(panels: Sequence[Panel]) -> list[Panel]:
    """Share the points of one plot among its lines."""
    count = sum(len(panel.lines) for panel in panels)
    most = min(MOST_OF_A_LINE, POINTS_OF_A_PLOT // max(1, count))
    return [Panel(panel.title, [thin(line, most) for line in panel.lines]) for panel in panels]


def thin(line: Line, most: int) -> Line:
    """Keep at most `most` points: the lowest and the highest of each stretch, and both ends."""
    most = max(6, most // 2 if line.is_step else most)  # a step is two points of the drawn path
    count = len(line.x)
    if count <= most:
        return line
    stretches = (most - 2) // 2
    kept = {0, count - 1}
    for n in range(stretches):
        stretch = range(n * count // stretches, (n + 1) * count // stretches)
        kept |= {min(stretch, key=line.y.__getitem__), max(stretch, key=line.y.__getitem__)}
    order = sorted(kept)
    return line._replace(x=[line.x[i] for i in order], y=[line.y[i] for i in order])


def described(panels: Sequence[Panel], bands: Sequence[Band]) -> str:
    """Say in words what a plot shows."""
    said = [f"Fault: {plain(band.title)}, from {band.from_s:.0f} s to {band.to_s:.0f} s." for band in bands]
    for panel in panels:
        ranges = [f"{line.title} from {number(min(line.y))} to {number(max(line.y))}" for line in panel.lines]
        said.append(f"{panel.title}: {', '.join(ranges)}.")
    return " ".join(said)
