"""Tables as people write them, and every way to get one wrong."""

import gzip
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.errors import InputError
from packseal.demo import table

S = 10**9
PAUSE_NS = table.PAUSE_S * S
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "drive.csv"
        path.write_text(text)
        return path

    return write


def test_columns_in_any_order_and_others_ignored(write: Write) -> None:
    path = write("\ufeffsoc_pct, I_A ,note,v_v,t_s,temp_c\n80,-2.5,x,391.4,0,21\n,nan,y,391.3,1.5,NaN\n\n")
    assert list(table.rows(path)) == [
        table.Row(0, 391.4, -2.5, 21, 80),
        table.Row(1_500_000_000, 391.3, None, None, None),
    ]


def test_packed_and_plain_read_alike_whatever_the_name(write: Write, tmp_path: Path) -> None:
    text = "t_s,v_v,i_a\n0,3.3,-1\n1,3.2,1\n"
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(text.encode()))
    assert list(table.rows(packed)) == list(table.rows(write(text)))


def test_trips_follow_each_other_after_a_pause(write: Write) -> None:
    path = write("trip,t_s,v_v,i_a\nA,5,1,1\nA,7,1,1\nB,7,1,1\nB,9,1,1\nA,100,1,1\n")
    ends = [0, 2 * S, 2 * S + PAUSE_NS, 4 * S + PAUSE_NS, 4 * S + 2 * PAUSE_NS]
    assert [row.at_ns for row in table.rows(path)] == ends
    found = table.survey(path)
    assert (found.rows, found.trips, found.recorded_s, found.span_s) == (5, 3, 4, 4 + 2 * table.PAUSE_S)


def test_without_a_trip_column_a_falling_time_begins_a_trip(write: Write) -> None:
    path = write("t_s,v_v,i_a\n0,1,1\n10,1,1\n3,1,1\n4,1,1\n")
    assert [row.at_ns for row in table.rows(path)] == [0, 10 * S, 10 * S + PAUSE_NS, 11 * S + PAUSE_NS]


def test_the_usual_interval_is_the_median_within_trips(write: Write) -> None:
    assert table.survey(write("t_s,v_v,i_a\n0,1,1\n20,1,1\n40,1,1\n500,1,1\n0,1,1\n")).period_s == 20
    assert table.survey(write("t_s,v_v,i_a\n7,1,1\n")).period_s == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is empty: expected a header with t_s, v_v, i_a"),
        ("t_s,v_v,i_a\n", "no rows"),
        ("0,391,2\n1,391,2\n", r"line 1: t_s, v_v, i_a missing"),
        ("t_s,v_v,amps\n0,1,1\n", r"line 1: i_a missing: expected a header"),
        ("t_s,v_v,i_a,v_v\n0,1,1,1\n", "line 1: v_v is there twice"),
        ("t_s,v_v,i_a\n0,1,1\n1,x,1\n", "line 3: v_v must be a number, nan or empty, not 'x'"),
        ("t_s,v_v,i_a\n0,1,inf\n", "line 2: i_a must be a number, nan or empty, not 'inf'"),
        ("t_s,v_v,i_a\nnan,1,1\n", "line 2: t_s must be a number, not 'nan'"),
        ("t_s,v_v,i_a\n0,1,1\n\n0,1,1\n", "line 4: t_s must rise within a trip, but 0 follows 0"),
        ("trip,t_s,v_v,i_a\nA,5,1,1\nA,4,1,1\n", "line 3: t_s must rise within a trip, but 4 follows 5"),
        ("t_s,v_v,i_a\n0,1\n", "line 2: has 2 cells; the header needs 3"),
        ("t_s,v_v,i_a\n0,1,1\n1e12,1,1\n", "line 3: t_s is in seconds"),
        ('t_s,v_v,i_a\n0,"1\n', "line 2"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(write: Write, text: str, complaint: str) -> None:
    path = write(text)
    with pytest.raises(InputError, match=complaint) as caught:
        table.survey(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"t_s,v_v,i_a\n0,1,1\n" * 50)[:-9], b"\x1f\x8bnonsense", b"\xff\xfe,\n"],
    ids=["cut", "nonsense", "no text"],
)
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "damaged.csv.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"damaged\.csv\.gz"):
        table.survey(path)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            table.survey(path)


numbers = st.floats(-1e6, 1e6)
cells = st.one_of(st.none(), numbers)


@given(
    st.lists(st.lists(st.tuples(st.floats(0.001, 1e4), cells, cells), min_size=1, max_size=8), min_size=1, max_size=5)
)
def test_any_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, trips: list[list[tuple[float, float | None, float | None]]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    lines, expected, at_s = ["trip,t_s,v_v,i_a"], [], 0.0
    for number, trip in enumerate(trips):
        t_s = 0.0
        for index, (dt, volts, amperes) in enumerate(trip):
            t_s += dt if index else 0
            expected.append((at_s + t_s, volts, amperes))
            text = ["" if value is None else repr(value) for value in (volts, amperes)]
            lines.append(f"{number},{t_s!r},{','.join(text)}")
        at_s += t_s + table.PAUSE_S
    path.write_text("\n".join(lines))
    found = list(table.rows(path))
    assert [(r.voltage_v, r.current_a) for r in found] == [(v, a) for _, v, a in expected]
    assert all(math.isclose(r.at_ns / 1e9, at, abs_tol=1e-6) for r, (at, _, _) in zip(found, expected, strict=True))
    assert table.survey(path).trips == len(trips)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "text.csv"
    path.write_text(f"t_s,v_v,i_a\n{text}")
    try:
        outcome = str(table.survey(path))
    except InputError as error:
        outcome = str(error)
    assert "text.csv" in outcome or "rows=" in outcome
