import gzip
import importlib.util
import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from packseal.cli import estimate_plot, main

DECLARED = 'chemistry = "nmc"\nrated_capacity_ah = 10\ncell_voltage_max_v = 4.2\ncell_voltage_min_v = 3.0\n'


def rows(sign: float = 1.0, step_s: float = 20.0) -> list[str]:
    """A 9 Ah cell with a straight curve from 3.0 to 4.2 V, cycled at 4.5 A, three hours away after each charge."""
    text, t_s, charge_ah = ["t_s,v_v,i_a,temp_c"], 0.0, 4.0
    for _ in range(3):
        for amps, end_ah in ((4.5, 9.0), (0.0, None), (-4.5, 0.0), (0.0, None)):
            for _ in range(1000):
                t_s += step_s
                charge_ah += amps * step_s / 3600
                text.append(f"{t_s},{3 + 1.2 * charge_ah / 9 + 0.002 * amps:.4f},{sign * amps},25")
                if end_ah is None or (charge_ah - end_ah) * amps >= 0:
                    break
            t_s += 10_800 if end_ah == 9.0 else 0
    return text


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    path = tmp_path / "declared.toml"
    path.write_text(DECLARED)
    return path


def written(tmp_path: Path, text: list[str]) -> str:
    path = tmp_path / "log.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write("\n".join(text) + "\n")
    return str(path)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["charging positive", "the wrong way round"])
def test_a_log_with_gaps_gives_the_capacity_and_says_of_a_turned_current(
    tmp_path: Path, declared: Path, sign: float, capsys: pytest.CaptureFixture[str]
) -> None:
    log = written(tmp_path, rows(sign))
    plot = tmp_path / "capacity.svg"
    assert main(["estimate", log, "--declared", str(declared), "--json", "--sessions", "--plot", str(plot)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fields"]["remaining_capacity"]["value"] == pytest.approx(9.0, abs=0.1)
    assert found["current_sign_reversed"] is (sign < 0)
    assert {s["grade"] for s in found["sessions"] if s["updated"]} == {"A"}
    assert all(s["reason"] for s in found["sessions"] if not s["updated"])
    assert plot.read_text().startswith("<svg")


def test_the_picture_has_round_ticks_and_shows_the_interval_and_the_grades(tmp_path: Path, declared: Path) -> None:
    plot = tmp_path / "capacity.svg"
    assert main(["estimate", written(tmp_path, rows()), "--declared", str(declared), "--plot", str(plot)]) == 0
    root = ET.fromstring(plot.read_text())
    kinds = [element.tag.rpartition("}")[2] for element in root]
    assert {"polygon", "polyline", "circle"} <= set(kinds)
    words = [element.text or "" for element in root if element.tag.endswith("text")]
    assert "session, grade A" in words
    numbers = [word for word in words if word.replace(".", "").isdigit()]
    assert len(numbers) >= 6
    assert max(len(word.replace(".", "").strip("0")) for word in numbers) <= 3


@pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib, which draws PNG, is not installed"
)
def test_a_png_is_a_png_and_as_large_as_it_should_be(tmp_path: Path, declared: Path) -> None:
    plot = tmp_path / "capacity.png"
    assert main(["estimate", written(tmp_path, rows()), "--declared", str(declared), "--plot", str(plot)]) == 0
    data = plot.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20]) > 900
    assert len(data) > 10_000


@pytest.mark.parametrize(("low", "high"), [(0.0, 136.7), (2.31, 2.98), (1.0, 1.0), (0.0, 0.0), (-3.0, 4.0), (5e3, 9e4)])
def test_ticks_are_round_and_reach_over_both_ends(low: float, high: float) -> None:
    marks = estimate_plot.ticks(low, high)
    assert marks[0] <= low
    assert marks[-1] >= high
    assert 2 <= len(marks) <= 8
    steps = {f"{b - a:.3g}" for a, b in pairwise(marks)}
    assert len(steps) == 1
    assert steps.pop().strip("0.").split("e")[0].rstrip("0.") in {"1", "2", "5"}


def test_rests_that_are_written_once_a_minute_are_no_gaps(
    tmp_path: Path, declared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines, now_s = ["t_s,v_v,i_a"], 0
    for _ in range(20):
        lines += [f"{now_s + k},3.7,-1.0" for k in range(1, 121)]
        lines += [f"{now_s + 120 + 60 * k},3.8,0.0" for k in range(1, 31)]
        now_s += 120 + 1800
    assert main(["estimate", written(tmp_path, lines), "--declared", str(declared), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["period_s"] == 60


@pytest.mark.parametrize("name", ["absent.csv", "broken.parquet", "broken.csv.gz"])
def test_a_table_that_cannot_be_read_is_said_in_one_sentence(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "broken" in name:
        (tmp_path / name).write_bytes(b"this is none")
    assert main(["estimate", str(tmp_path / name)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert name in said.err


def test_every_session_has_a_line(tmp_path: Path, declared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", written(tmp_path, rows()), "--declared", str(declared), "--sessions"]) == 0
    text = capsys.readouterr().out
    assert "full-empty" in text
    assert "Remaining capacity" in text
    assert "taken for one cell" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (["t_s,v_v", "1,2"], "no column i_a"),
        (["t_s,v_v,i_a", "1,3.7,0", "2,3.7,much"], "line 3: i_a is 'much'"),
        (["t_s,v_v,i_a", "1,3.7"], "line 2: 2 of 3 columns"),
        (["t_s,v_v,i_a"], "no row with time"),
    ],
    ids=["column", "number", "short", "empty"],
)
def test_what_is_wrong_with_a_table_is_said(
    tmp_path: Path, text: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", written(tmp_path, text), "--set", "rated_capacity_ah=10"]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("mark", [";", "\t"], ids=["semicolons", "tabs"])
def test_a_spreadsheets_table_with_decimal_commas_says_the_same(
    tmp_path: Path, declared: Path, mark: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for name, lines in (
        ("point", rows()[:2000]),
        ("comma", [line.replace(",", mark).replace(".", ",") for line in rows()[:2000]]),
    ):
        (tmp_path / name).mkdir()
        assert main(["estimate", written(tmp_path / name, lines), "--declared", str(declared), "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]


def test_a_decimal_comma_between_commas_is_said_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", written(tmp_path, ["t_s,v_v,i_a", '0,"36,5","1,2"'])]) == 1
    assert "line 2: v_v is '36,5', which is no number; write a decimal point" in capsys.readouterr().err


def test_recordings_one_after_the_other_are_all_read_and_what_lies_between_is_not_counted(
    tmp_path: Path, declared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *one = rows()
    assert main(["estimate", written(tmp_path, [head, *one]), "--declared", str(declared), "--json"]) == 0
    once = json.loads(capsys.readouterr().out)
    assert main(["estimate", written(tmp_path, [head, *one, *one, *one]), "--declared", str(declared), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["notes"] == [
        *once["notes"],
        "t_s begins anew 2 times: each is taken for a recording two hours after the last",
    ]
    given = [each["fields"]["capacity_discharged"]["value"] for each in (once, found)]
    assert given[1] == pytest.approx(3 * given[0], rel=1e-6)


def test_rows_in_disorder_are_left_out_and_a_table_in_the_wrong_order_is_refused(
    tmp_path: Path, declared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *one = rows()
    swapped = [head, *one[:100], one[101], one[100], *one[102:]]
    assert main(["estimate", written(tmp_path, swapped), "--declared", str(declared)]) == 0
    assert "1 rows not later than the one before were left out" in capsys.readouterr().out
    assert main(["estimate", written(tmp_path, [head, *reversed(one[::4])]), "--declared", str(declared)]) == 1
    assert "sort the table by time" in capsys.readouterr().err
