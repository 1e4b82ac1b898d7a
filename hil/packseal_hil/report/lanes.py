"""Faults as labelled bars above a plot: which row each gets, so that neither bars nor labels touch."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from packseal_hil.report.words import plain
from packseal_hil.story import Band

LONGEST_LABEL = 34


class Bar(NamedTuple):
    """A fault from `start` to `stop`; its label begins at `label_at`, or ends there where `is_before`."""

    label: str
    start: float
    stop: float
    row: int
    label_at: float
    is_before: bool


def bars(bands: Sequence[Band], end: float, letter: float) -> list[Bar]:
    """Give each band the lowest free row.

    Args:
        bands: the faults.
        end: the end of the axis.
        letter: the width of a letter, in the axis's unit. A label stands in its bar if it fits, else beside it.
    """
    rows: list[list[tuple[float, float]]] = []
    made = []
    for band in sorted(bands, key=lambda band: (band.from_s, band.to_s)):
        start, stop = _within(band, end)
        label = _cut(plain(band.title))
        width = (len(label) + 2) * letter
        is_before = stop - start < width and stop + width > end
        at = start if is_before or stop - start >= width else stop
        low, high = min(start, at - width * is_before), max(stop, at + width * (not is_before))
        row = next((n for n, row in enumerate(rows) if all(high < a or low > b for a, b in row)), len(rows))
        rows[row : row + 1] = [[*(rows[row] if row < len(rows) else []), (low, high)]]
        made.append(Bar(label, start, stop, row, at, is_before))
    return made


def _within(band: Band, end: float) -> tuple[float, float]:
    start, stop = (at if math.isfinite(at) else end for at in (band.from_s, band.to_s))
    start = min(max(0.0, start), end)
    return start, min(max(start, stop), end)


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
