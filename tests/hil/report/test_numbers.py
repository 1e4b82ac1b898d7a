"""Numbers in words, lines thinned, bars in rows, and the folder of a run."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hil.report import sample

from packseal_hil.report.folder import Folder, Run
from packseal_hil.report.lanes import bars
from packseal_hil.report.series import Line, thin
from packseal_hil.report.words import axis_number, figures, number, seconds
from packseal_hil.rig.protocols import RigError
from packseal_hil.story import Band, Comparison, Trace

LIMIT_S = 120


@pytest.mark.parametrize(
    ("value", "uncertainty", "text"),
    [
        (61.0, 0.5, "61.00"),
        (184.871, 0.093, "184.871"),
        (99.96, 0.0996, "99.96"),
        (-0.0001, 0.0001, "\N{MINUS SIGN}0.00010"),
        (1234567, None, "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"),
        (0, None, "0"),
        (0, 0, "0"),
        (float("inf"), 1, "inf"),
        (2262.0, None, "2\N{NARROW NO-BREAK SPACE}262"),
    ],
)
def test_a_number_has_as_many_digits_as_its_uncertainty_allows(
    value: float, uncertainty: float | None, text: str
) -> None:
    assert number(value, uncertainty) == text


def test_a_figure_is_taken_apart() -> None:
    told = figures({"boot_s": 11.84, "frames_per_s": 188, "cuts_losing_records": 40})
    assert [tuple(figure) for figure in told] == [
        ("boot", "11.84", "s"),
        ("frames", "188", "per s"),
        ("cuts losing records", "40", ""),
    ]


def test_times_and_axes_are_short() -> None:
    minus = "\N{MINUS SIGN}"
    thin_space = "\N{NARROW NO-BREAK SPACE}"
    assert [seconds(s).replace(thin_space, " ") for s in (0, 59.96, 88, 7300)] == [
        "0.0 s",
        "1 min 0 s",
        "1 min 28 s",
        "2 h 1 min",
    ]
    assert [axis_number(v) for v in (0, -12.5, 9999, 12_000, 2.5e6)] == [
        "0",
        f"{minus}12.5",
        "9999",
        "12k",
        "2.5M",
    ]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=900), st.integers(6, 200), st.booleans())
def test_thinning_keeps_both_ends_and_every_spike(values: list[float], most: int, is_step: bool) -> None:  # noqa: FBT001
    line = Line("x", list(range(len(values))), values, is_step)
    kept = thin(line, most)
    assert len(kept.x) <= max(6, most)
    assert (kept.x[0], kept.x[-1]) == (line.x[0], line.x[-1])
    assert (min(kept.y), max(kept.y)) == (min(line.y), max(line.y))
    assert all(line.y[int(x)] == y for x, y in zip(kept.x, kept.y, strict=True))


@given(st.lists(st.tuples(st.floats(-10, 110), st.floats(0, 50), st.text("abc ", max_size=40)), max_size=12))
def test_no_bar_or_label_touches_another(given_bands: list[tuple[float, float, str]]) -> None:
    letter = 1.5
    made = bars([Band(title, start, start + length) for start, length, title in given_bands], 100, letter)
    assert len(made) == len(given_bands)
    for bar in made:
        assert 0 <= bar.start <= bar.stop <= 100
    spans = [
        (bar.row, *_span(bar.label_at, bar.is_before, len(bar.label) * letter, bar.start, bar.stop)) for bar in made
    ]
    for n, (row, low, high) in enumerate(spans):
        assert not any(row == other[0] and low <= other[2] and other[1] <= high for other in spans[:n])


def _span(at: float, is_before: bool, width: float, start: float, stop: float) -> tuple[float, float]:  # noqa: FBT001
    return min(start, at - width * is_before), max(stop, at + width * (not is_before))


def test_a_page_can_be_made_again_from_the_files(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.begin()
    for story in sample.stories():
        folder.keep(story)
    folder.end(sample.rest())
    command = [sys.executable, "-m", "packseal_hil.report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert done.stdout.strip() == str(tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert "1 of 6 scenarios failed" in page
    assert "swtpm is not installed" in page


def test_what_is_no_run_is_said_in_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "packseal_hil.report", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path} holds no folder `stories`: name the folder that --report was given\n"


def test_a_run_that_was_killed_still_has_its_stories(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.begin()
    folder.keep(sample.bus_off())
    assert [story.name for story in Folder(tmp_path).stories()] == ["bus-off"]
    assert Folder(tmp_path).run() == Run()


def test_a_number_that_json_does_not_know_is_left_out(tmp_path: Path) -> None:
    nan = float("nan")
    story = sample.compressed_day()
    story.traces = [Trace("Pack current", "A", [0, 1, 2], [1, nan, 3])]
    story.comparisons = [Comparison("a", "1", nan, 1), Comparison("b", "1", 1, nan, float("inf"))]
    story.figures = {"boot_s": nan, "frames_per_s": 3}
    folder = Folder(tmp_path)
    folder.begin()
    folder.keep(story)
    (kept,) = folder.stories()
    assert (kept.traces[0].at, kept.traces[0].value) == ([0, 2], [1, 3])
    assert kept.comparisons == [Comparison("b", "1", 1, None)]
    assert kept.figures == {"frames_per_s": 3}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.begin()
    (tmp_path / "stories" / "001-x.json").write_text('{"name": 3}')
    with pytest.raises(RigError, match=r"001-x\.json is not what a run writes"):
        folder.stories()
