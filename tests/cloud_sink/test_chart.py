"""Charts and words of the page: coordinates stay in the frame, numbers say no more than is known."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from packseal.core.exchange import Refusal
from packseal.core.passport import Method, Missing
from packseal_sink.web import words
from packseal_sink.web.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, bar_plot, line_chart

VALUES = st.floats(-1e7, 1e7)
TIMES = st.integers(0, 253_402_300_799_999)


@given(st.lists(st.tuples(TIMES, VALUES), min_size=1, max_size=60), st.lists(st.tuples(TIMES, TIMES), max_size=3))
@example([(253_402_300_799_500, 0.0)], [])
def test_every_value_is_drawn_inside_the_frame(points: list[tuple[int, float]], gaps: list[tuple[int, int]]) -> None:
    chart = line_chart(points, gaps)
    drawn = [tuple(map(float, pair.split())) for line in chart.lines for pair in re.split("[ML]", line)[1:]]
    assert len(drawn) + len(chart.dots) == len(points)
    for x, y in (*drawn, *chart.dots, chart.last):
        assert LEFT - 0.1 <= x <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    assert 2 <= len(chart.y_ticks) <= 12
    assert len(chart.x_ticks) <= 6
    assert all(TOP - 0.1 <= tick.at <= HEIGHT - BOTTOM + 0.1 for tick in chart.y_ticks)
    assert len({tick.label for tick in chart.y_ticks}) == len(chart.y_ticks)


def test_a_line_breaks_where_values_are_missing_or_the_clock_went_back() -> None:
    minute = 60_000
    steady = [(i * minute, float(i)) for i in range(10)]
    assert len(line_chart(steady).lines) == 1
    assert len(line_chart([*steady, (30 * minute, 1.0), (31 * minute, 1.0)]).lines) == 2
    assert len(line_chart([*steady, (5 * minute, 1.0)]).dots) == 1


def test_a_higher_value_is_drawn_higher_and_a_later_one_further_right() -> None:
    chart = line_chart([(0, -5.0), (1000, 5.0)])
    (x1, y1), (x2, y2) = (tuple(map(float, p.split())) for p in re.split("[ML]", chart.lines[0])[1:])
    assert x1 < x2
    assert y1 > y2


@pytest.mark.parametrize(
    ("end_s", "labels"),
    [
        (3600, ["00:00", "00:15", "00:30", "00:45", "01:00"]),
        (20, ["00:00:00", "00:00:05", "00:00:10", "00:00:15", "00:00:20"]),
        (5 * 86_400, ["Jan 01", "Jan 02", "Jan 03", "Jan 04", "Jan 05", "Jan 06"]),
    ],
)
def test_time_ticks_are_round_and_in_utc(end_s: int, labels: list[str]) -> None:
    assert [tick.label for tick in line_chart([(0, 1.0), (end_s * 1000, 2.0)]).x_ticks] == labels


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=400))
def test_every_cell_has_a_bar_and_the_extremes_are_marked(cells: list[float]) -> None:
    plot = bar_plot(cells, "V", 3)
    assert len(plot.bars) == len(cells)
    assert all(0 <= bar.height <= HEIGHT and bar.width > 0 for bar in plot.bars)
    assert {c for c, bar in zip(cells, plot.bars, strict=True) if bar.extreme == "low"} == {min(cells)}
    heights = dict(zip(cells, (bar.height for bar in plot.bars), strict=True))
    assert heights[max(cells)] == max(heights.values())


@pytest.mark.parametrize(
    ("value", "decimals", "uncertainty", "text"),
    [
        (-49.8, 1, None, "\N{MINUS SIGN}49.8"),
        (1234.5678, 4, None, "1\N{NARROW NO-BREAK SPACE}234.5678"),
        (26.3531, 3, 0.26, "26.35"),
        (26.3531, 3, 26.0, "26"),
        (26.3531, 3, 0.000001, "26.353"),
        (0.0, 0, 0.0, "0"),
    ],
)
def test_numbers_have_the_digits_that_their_uncertainty_allows(
    value: float, decimals: int, uncertainty: float | None, text: str
) -> None:
    assert words.number(value, decimals, uncertainty) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "now"), (0.9, "now"), (59, "59 s"), (61, "1 min"), (7300, "2 h"), (200_000, "2 d")]
)
def test_ages_are_in_their_largest_unit(seconds: float, text: str) -> None:
    assert words.age(seconds) == text


def test_every_code_has_its_words() -> None:
    assert set(words.MISSING) == {code.name.lower() for code in Missing}
    assert set(words.METHOD) == {code.name.lower() for code in Method}
    assert set(words.REFUSAL) == {code.name.lower() for code in Refusal}
