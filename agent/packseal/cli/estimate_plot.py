"""Capacity over time as a picture: SVG written here, PNG by matplotlib where it is installed."""

from collections.abc import Sequence
from pathlib import Path

from packseal.cli import whole_file
from packseal.cli.estimate_run import Report, Told
from packseal.core.errors import InputError

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
    days = [t.t_s / DAY_S for t in shown]
    mean = [t.capacity_ah or 0.0 for t in shown]
    axes.fill_between(
        days,
        [m - 1.96 * (t.sd_ah or 0.0) for m, t in zip(mean, shown, strict=True)],
        [m + 1.96 * (t.sd_ah or 0.0) for m, t in zip(mean, shown, strict=True)],
        alpha=0.2,
        label="95 % interval",
    )
    axes.plot(days, mean, label="estimate")
    for grade, colour in COLOURS.items():
        of = [t for t in shown if t.session.grade.name == grade]
        if of:
            x, y = [t.t_s / DAY_S for t in of], [t.session.capacity_ah or 0.0 for t in of]
            axes.plot(x, y, ".", color=colour, markersize=4, label=f"session, grade {grade}")
    axes.set(xlabel="days", ylabel="capacity in Ah")
    axes.legend()
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    plt.close(figure)


def _svg(shown: Sequence[Told]) -> str:
    days = [t.t_s / DAY_S for t in shown]
    ends = [(t.capacity_ah or 0.0) + k * 1.96 * (t.sd_ah or 0.0) for t in shown for k in (-1, 1)]
    low, high = min(ends), max(ends)
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    first, span_d, span_ah = days[0], (days[-1] - days[0]) or 1.0, (high - low) or 1.0

    def at(day: float, ah: float) -> str:
        y = min(max(TOP + tall * (high - ah) / span_ah, TOP), TOP + tall)
        return f"{LEFT + wide * (day - first) / span_d:.1f},{y:.1f}"

    upper = [at(d, (t.capacity_ah or 0.0) + 1.96 * (t.sd_ah or 0.0)) for d, t in zip(days, shown, strict=True)]
    lower = [at(d, (t.capacity_ah or 0.0) - 1.96 * (t.sd_ah or 0.0)) for d, t in zip(days, shown, strict=True)]
    line = " ".join(at(d, t.capacity_ah or 0.0) for d, t in zip(days, shown, strict=True))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<polygon points="{" ".join([*upper, *reversed(lower)])}" fill="#cccccc"/>',
        f'<polyline points="{line}" fill="none" stroke="black" stroke-width="1.5"/>',
    ]
    for day, told in zip(days, shown, strict=True):
        x, y = at(day, told.session.capacity_ah or 0.0).split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="2" fill="{COLOURS.get(told.session.grade.name, "grey")}"/>')
    for n in range(STEPS + 1):
        x, y = at(first + n * span_d / STEPS, low + n * span_ah / STEPS).split(",")
        parts.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{low + n * span_ah / STEPS:.3g}</text>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 28}" text-anchor="middle">{first + n * span_d / STEPS:.3g}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">days</text>')
    legend = "capacity in Ah: estimate with 95 % interval; sessions A green, B blue, C brown"
    parts.append(f'<text x="{LEFT}" y="22">{legend}</text></svg>\n')
    return "\n".join(parts)
