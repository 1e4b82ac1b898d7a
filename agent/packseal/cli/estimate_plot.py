"""Capacity over time as a picture: SVG written here, PNG by matplotlib where it is installed."""

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.cli import whole_file
from packseal.cli.estimate_run import Report, Told
from packseal.core.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 420, 70, 40, 20, 50
COLOURS = {"A": "#1b7837", "B": "#2166ac", "C": "#b35806"}
DAY_S = 86400.0
STEPS = 5


def write(report: Report, path: Path) -> None:
    """Write the picture; raises InputError where there is nothing to show or no program for it."""
    shown = [t for t in report.sessions if t.capacity_ah is not None and not t.session.reason]
    if not shown:
        raise InputError("no session told the capacity, so there is nothing to plot; --sessions says why")
    if path.suffix == ".svg":
        whole_file.write(path, [_svg(shown).encode()])
    else:
        _png(shown, path)


def _png(shown: Sequence[Told], path: Path) -> None:
    try:
        import matplotlib as mpl  # noqa: PLC0415 - loaded where it is needed
    except ImportError as error:
        raise InputError("a PNG needs matplotlib: pip install matplotlib, or name the file .svg") from error
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    _draw(axes, shown)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    plt.close(figure)


def _draw(axes: "Axes", shown: Sequence[Told]) -> None:
    days = [t.t_s / DAY_S for t in shown]
    mean = [t.capacity_ah or 0.0 for t in shown]
    axes.fill_between(
        days,
        [m - 1.96 * (t.sd_ah or 0.0) for m, t in zip(mean, shown, strict=True)],
        [m + 1.96 * (t.sd_ah or 0.0) for m, t in zip(mean, shown, strict=True)],
        color="#4393c3",
        alpha=0.25,
        label="95 % interval",
    )
    axes.plot(days, mean, color="black", linewidth=1.2, label="estimate")
    for grade, colour in COLOURS.items():
        of = [t for t in shown if t.session.grade.name == grade]
        if of:
            x, y = [t.t_s / DAY_S for t in of], [t.session.capacity_ah or 0.0 for t in of]
            axes.plot(x, y, ".", color=colour, markersize=4, label=f"session, grade {grade}")
    axes.set(xlabel="days", ylabel="capacity in Ah")
    axes.grid(color="#dddddd")
    axes.legend()


def _svg(shown: Sequence[Told]) -> str:
    days = [t.t_s / DAY_S for t in shown]
    ends = [_end(t, k) for t in shown for k in (-1.96, 1.96)]
    across, up = ticks(min(days), max(days)), ticks(min(ends), max(ends))
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(day: float) -> float:
        return LEFT + wide * (day - across[0]) / (across[-1] - across[0])

    def y(ah: float) -> float:
        return min(max(TOP + tall * (up[-1] - ah) / (up[-1] - up[0]), TOP), TOP + tall)

    def line(sigmas: float) -> list[str]:
        return [f"{x(d):.1f},{y(_end(t, sigmas)):.1f}" for d, t in zip(days, shown, strict=True)]

    band = " ".join([*line(1.96), *reversed(line(-1.96))])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        *(_line(LEFT, y(ah), LEFT + wide, y(ah)) + _text(LEFT - 8, y(ah) + 4, "end", f"{ah:g}") for ah in up),
        *(_line(x(d), TOP, x(d), TOP + tall) + _text(x(d), TOP + tall + 18, "middle", f"{d:g}") for d in across),
        f'<polygon points="{band}" fill="#4393c3" fill-opacity="0.25"/>',
        f'<polyline points="{" ".join(line(0.0))}" fill="none" stroke="black" stroke-width="1.5"/>',
        *(_dot(x(d), y(t.session.capacity_ah or 0.0), _colour(t)) for d, t in zip(days, shown, strict=True)),
        _text(LEFT + wide / 2, HEIGHT - 8, "middle", "days"),
        *_legend(shown),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _end(told: Told, sigmas: float) -> float:
    return (told.capacity_ah or 0.0) + sigmas * (told.sd_ah or 0.0)


def _colour(told: Told) -> str:
    return COLOURS.get(told.session.grade.name, "grey")


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _legend(shown: Sequence[Told]) -> list[str]:
    grades = sorted({t.session.grade.name for t in shown} & set(COLOURS))
    parts = [f'<text x="{LEFT}" y="24">capacity in Ah, with its 95 % interval</text>']
    for n, grade in enumerate(grades):
        at = LEFT + 280 + 160 * n
        parts.append(f'<circle cx="{at}" cy="20" r="4" fill="{COLOURS[grade]}"/>')
        parts.append(f'<text x="{at + 10}" y="24">session, grade {grade}</text>')
    return parts


def ticks(low: float, high: float) -> list[float]:
    """Return round values, equally far apart, about STEPS of them, from at or below `low` to at or above `high`."""
    span = (high - low) or max(abs(high), 1.0) / 10
    power = 10.0 ** floor(log10(span / STEPS))
    step = next(k * power for k in (1, 2, 5, 10) if k * power * STEPS >= span * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]
