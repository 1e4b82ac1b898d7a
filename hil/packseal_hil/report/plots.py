"""Plots of a story: panels above each other over one time, with the faults shaded through all of them.

One unit is 1/72 inch, one pixel of the SVG. Text is drawn in the page's own font, whose size the page sets.
"""

import warnings
from collections.abc import Sequence
from io import BytesIO
from typing import Any, NamedTuple

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from packseal_hil.report.lanes import Bar, bars
from packseal_hil.report.series import Panel, described, progress, signals, thinned
from packseal_hil.report.svg import BAND, EDGE, INK, RULE, SERIES, SOFT, in_page
from packseal_hil.report.words import axis_number
from packseal_hil.story import Band, Story

WIDTH, LEFT, RIGHT = 620, 68, 12
ACROSS = WIDTH - LEFT - RIGHT
TOP, HEAD, PLOT, GAP, FOOT, ROW = 2, 26, 86, 14, 50, 27
LETTER = 10.5  # the width of a letter where it is largest: on a phone, at 19 units
SAMPLE = 26  # of a line in a legend
STYLES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
RECORDS = {  # drawn over each other: where all is well, only their edges differ
    "sealed": {"color": SOFT, "linestyle": "-", "linewidth": 5.0},
    "received": {"color": SERIES[1], "linestyle": "-", "linewidth": 2.6},
    "receipted": {"color": SERIES[2], "linestyle": (0, (3, 2)), "linewidth": 1.6},
}
LINE_WIDTH = 1.8
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "packseal", "text.parse_math": False, "text.color": INK}


class Plot(NamedTuple):
    """An SVG to be put into the page as it is; `crowded` names the lines that had no room for their names."""

    svg: Markup
    crowded: list[Panel]


def plots_of(story: Story, prefix: str) -> list[Plot]:
    """Draw what the story holds; `prefix` makes the ids unique in the page."""
    plots = []
    panels = progress(story.points) + signals([trace for trace in story.traces if not trace.hours])
    if panels or story.bands:
        plots.append(_plot(f"{prefix}-s", f"{story.title}: over time", panels, story.bands, story.took_s))
    panels = signals([trace for trace in story.traces if trace.hours])
    if panels:
        plots.append(_plot(f"{prefix}-h", f"{story.title}: the battery's own time", panels, None, 0))
    return plots


def _plot(name: str, title: str, panels: list[Panel], bands: Sequence[Band] | None, took_s: float) -> Plot:
    """`bands` is None where the axis is in hours of the battery."""
    end = max([took_s, *(max(line.x) for panel in panels for line in panel.lines)]) or 1.0
    axis = "hours of the battery's own time" if bands is None else "seconds since the beginning"
    lanes = bars(bands or [], end, LETTER * end / ACROSS)
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of letters that matplotlib's own font lacks: the page's font draws them
        drawn = _drawn(thinned(panels), lanes, end, axis)
    svg = in_page(drawn, name, title, described(panels, bands or []))
    return Plot(Markup(svg), [panel for panel in panels if _is_crowded(panel)])  # noqa: S704 parsed and written as XML


def _drawn(panels: list[Panel], lanes: list[Bar], end: float, axis: str) -> bytes:
    rows = 1 + max((bar.row for bar in lanes), default=-1)
    heights = [rows * ROW] * bool(rows) + [PLOT] * len(panels)
    height = TOP + sum(heights) + len(heights) * (HEAD + GAP) - GAP + FOOT
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    figure.patch.set_visible(False)
    top = float(TOP)
    axes = []
    for plot in heights:
        top += HEAD
        place = (LEFT / WIDTH, 1 - (top + plot) / height, ACROSS / WIDTH, plot / height)
        axes.append(_axes(figure.add_axes(place), end))
        top += plot + GAP
    if rows:
        _lane(axes[0], lanes, rows)
    for one, panel in zip(axes[bool(rows) :], panels, strict=True):
        _panel(one, panel, lanes)
    axes[-1].tick_params(labelbottom=True)
    axes[-1].text(1, -40 / heights[-1], axis, ha="right", color=SOFT, transform=axes[-1].transAxes)
    out = BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _axes(axes: Axes, end: float) -> Axes:
    """Leave only what tells something."""
    axes.patch.set_visible(False)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    for one in (axes.xaxis, axes.yaxis):
        one.set_major_formatter(FuncFormatter(lambda value, _: axis_number(value)))
    axes.tick_params(bottom=False, left=False, labelbottom=False, labelcolor=SOFT)
    return axes


def _lane(axes: Axes, lanes: Sequence[Bar], rows: int) -> None:
    _text(axes, 0, "Faults", "left")
    axes.spines["bottom"].set_visible(False)
    axes.set_ylim(rows, 0)
    axes.set_yticks([])
    for bar in lanes:
        axes.broken_barh([(bar.start, bar.stop - bar.start)], (bar.row + 0.08, 0.84), facecolor=BAND, edgecolor=EDGE)
        side, shift = ("right", -5) if bar.is_before else ("left", 5)
        place = (bar.label_at, bar.row + 0.68)
        axes.annotate(bar.label, place, (shift, 0), textcoords="offset points", ha=side, color=INK)


def _panel(axes: Axes, panel: Panel, lanes: Sequence[Bar]) -> None:
    _text(axes, 0, panel.title, "left")
    axes.yaxis.grid(visible=True, color=RULE, linewidth=0.8)
    for bar in lanes:
        axes.axvspan(bar.start, bar.stop, facecolor=BAND, edgecolor=EDGE, linewidth=0.7, zorder=0.5)
    legend = float(ACROSS)
    for order, line in reversed(list(enumerate(panel.lines))):
        look: dict[str, Any] = {
            "color": SERIES[order % len(SERIES)],
            "linestyle": STYLES[order % len(STYLES)],
            "linewidth": LINE_WIDTH,
            "marker": "o" if len(line.x) == 1 else "",
            "zorder": 2 + order,
        } | (RECORDS.get(line.title, {}) if line.is_step else {})
        axes.plot(line.x, line.y, drawstyle="steps-post" if line.is_step else "default", **look)
        if len(panel.lines) > 1 and not _is_crowded(panel):
            legend -= len(line.title) * LETTER
            _text(axes, legend, line.title, "left")
            legend -= SAMPLE
            ends, height = (legend / ACROSS, (legend + SAMPLE - 6) / ACROSS), 1 + 12 / PLOT
            axes.plot(ends, (height, height), transform=axes.transAxes, clip_on=False, **look)
            legend -= GAP
    axes.margins(y=0.1)


def _text(axes: Axes, at: float, text: str, side: str) -> None:
    """Write above the axes, `at` units from their left end."""
    height = axes.get_window_extent().height
    axes.text(at / ACROSS, 1 + 7 / height, text, ha=side, transform=axes.transAxes)


def _is_crowded(panel: Panel) -> bool:
    """Whether its lines' names do not fit beside its title."""
    names = sum(len(line.title) * LETTER + SAMPLE + GAP for line in panel.lines)
    return len(panel.lines) > 1 and len(panel.title) * LETTER + names > ACROSS
