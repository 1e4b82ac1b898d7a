"""Recorded tables through frames, agent, broker and sink: the sink's counters are those of a direct integration."""

import logging
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end import tables
from tests.end_to_end.tables import Direct, Line

log = logging.getLogger(__name__)

COUNTERS = ("sealed", "received", "verified", "receipted")
DECLARED = """
category = "ev"
rated_capacity_ah = 50
temperature_min_c = 5
temperature_max_c = 20
"""

needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin") is None,
    reason="mosquitto is not installed: apt install mosquitto",
)


def made() -> list[Line]:
    """Return two trips with both signs, gaps within a trip, and values that are not there or cannot be."""
    lines = []
    for trip, start, count in (("out", 0, 400), ("home", 50, 300)):
        t_s = float(start)
        for n in range(count):
            t_s += 1 if n % 97 else 25  # every 97th interval is a gap
            t_s += 0.25 * (n % 3 == 0)
            current = 80.0 * ((n // 40) % 3 - 1) + n % 7 - 1.5
            line = Line(trip, t_s, 360.0 - n % 11, current, 3.0 + n // 5 * 7 % 22)
            lines.append(spoilt(line, n))
    return lines


def spoilt(line: Line, n: int) -> Line:
    if n % 61 == 5:
        return line._replace(current_a=None)
    if n % 67 == 6:
        return line._replace(voltage_v=None)
    return line._replace(temperature_c=None) if n % 71 == 7 else line


def written(lines: list[Line], path: Path) -> Path:
    """Write lines as a table in which "not usable" is in turn an empty cell, nan, and a number out of range."""
    rows = ["note,soc_pct,temp_c,i_a,v_v,t_s,trip"]
    for n, line in enumerate(lines):
        unusable = {"v": ("", "nan", "9999"), "i": ("", "NaN", "-123456"), "t": ("nan", "", "500")}
        values = {"v": line.voltage_v, "i": line.current_a, "t": line.temperature_c}
        cell = {k: repr(v) if v is not None else unusable[k][n % 3] for k, v in values.items()}
        rows.append(f"x,{50 + n % 3},{cell['t']},{cell['i']},{cell['v']},{line.t_s!r},{line.trip}")
    path.write_text("\n".join(rows) + "\n")
    return path


def value(report: dict[str, Any], name: str) -> float:
    (battery,) = report["batteries"]
    found = battery["fields"][name]["value"]
    assert isinstance(found, float | int), battery["fields"][name]
    return found


def check_delivery(report: dict[str, Any]) -> None:
    records = report["records"]
    assert len({records[name] for name in COUNTERS}) == 1
    assert records["sealed"] > 0
    assert report["sink"]["tallies"]["verified"] == records["sealed"]
    assert report["sink"]["tallies"]["refused"] == {}
    assert report["frames"]["played"] == report["frames"]["taken"]
    assert report["batteries"][0]["verification"] == "verified"


def check_counters(report: dict[str, Any], direct: Direct, relative: float) -> None:
    assert value(report, "capacity_throughput") == pytest.approx(direct.throughput_ah, rel=relative, abs=1e-3)
    assert value(report, "capacity_charged") == pytest.approx(direct.charged_ah, rel=relative, abs=1e-3)
    assert value(report, "capacity_discharged") == pytest.approx(direct.discharged_ah, rel=relative, abs=1e-3)
    assert value(report, "energy_throughput") == pytest.approx(direct.energy_kwh, rel=relative, abs=1e-4)
    for name in tables.EXTREMES:
        assert value(report, name) == pytest.approx(direct.minutes[name], abs=6e-5)  # a record keeps four decimals


@pytest.mark.parametrize("uplink", [pytest.param("mqtt", marks=needs_mosquitto), "http"])
def test_a_table_with_every_flaw_gives_what_a_direct_integration_gives(tmp_path: Path, uplink: str) -> None:
    lines = made()
    table = written(lines, tmp_path / "made.csv")
    declared = tmp_path / "declared.toml"
    declared.write_text(DECLARED)
    words = ("--replay", table, "--declared", declared, "--uplink", uplink, "--dir", tmp_path / "d", "--window", "30")
    report = tables.demo(*words, report=tmp_path / "report.json")
    check_delivery(report)
    direct = Direct(hot_c=20, cold_c=5, charging_above_a=1).integrate(lines)
    assert min(direct.charged_ah, direct.discharged_ah, *direct.minutes.values()) > 0.1
    check_counters(report, direct, 1e-3)
    assert value(report, "full_equivalent_cycles") == pytest.approx(direct.discharged_ah / 50, rel=1e-3)
    assert report["samples"] == {"taken": len(lines), "sealed": len(lines)}
    flawed = sum(None in line for line in lines)
    assert report["decode_errors"] == {"short": 0, "flawed": flawed, "unknown": 0, "dropped": 0, "error_frames": 0}
    gaps = sum(a.trip != b.trip or b.t_s - a.t_s > 10 for a, b in pairwise(lines))
    assert report["gaps"]["by_cause"]["no_samples"]["count"] == gaps
    assert report["declared"]["temperature_max_c"] == 20
    fields = report["batteries"][0]["fields"]
    covered = direct.covered_s / report["durations"]["span_s"]
    assert fields["capacity_throughput"]["coverage"] == pytest.approx(covered, abs=0.006)  # kept with two decimals
    assert fields["state_of_health_bms"]["missing"] == "not_reported"
    assert fields["state_of_charge"]["originator"] == "bms"
    assert fields["capacity_throughput"]["originator"] == "derived"


@pytest.mark.skipif(not tables.TRIPS.is_file(), reason="the BMW i3 trips are not beside this checkout")
def test_sixty_real_drives_agree_with_a_direct_integration(tmp_path: Path) -> None:
    declared = tmp_path / "declared.toml"
    declared.write_text(DECLARED.replace("rated_capacity_ah = 50", "rated_capacity_ah = 60"))
    words = ("--replay", tables.TRIPS, "--speed", "max", "--declared", declared)
    report = tables.demo(*words, report=tmp_path / "report.json")
    check_delivery(report)
    direct = Direct(hot_c=20, cold_c=5, charging_above_a=60 / 50).integrate(tables.read(tables.TRIPS))
    assert direct.throughput_ah == pytest.approx(602.016, abs=0.001)
    check_counters(report, direct, 1e-4)
    assert report["table"]["rows_played"] == report["samples"]["sealed"] == 78_735
    assert report["gaps"]["by_cause"]["no_samples"]["count"] == 59
    assert report["durations"]["wall_s"] < 120
    log.info("78,735 rows in %s s, agent %s", report["durations"]["wall_s"], report["agent"])


def test_a_table_of_one_cell_is_the_business_of_its_declared_data(tmp_path: Path) -> None:
    table = tmp_path / "cell.csv"
    rows = [f"{20 * n},{3.7 - 0.001 * n:.3f},{-2.0 if n < 90 else 1.0}" for n in range(180)]
    table.write_text("t_s,v_v,i_a\n" + "\n".join(rows) + "\n")
    declared = tmp_path / "cell.toml"
    declared.write_text("rated_capacity_ah = 2\ncells_in_series = 1\n")
    report = tables.demo("--replay", table, "--declared", declared, report=tmp_path / "r.json")
    check_delivery(report)
    # A row every 20 s is this table's own pace, not a gap.
    assert value(report, "capacity_discharged") == pytest.approx((89 * 20 * 2 + 20 * 1) / 3600, abs=1e-3)
    assert value(report, "full_equivalent_cycles") == pytest.approx((89 * 20 * 2 + 20 * 1) / 3600 / 2, rel=1e-3)
    assert report["settings"]["gap_limit_s"] == 60
    fields = report["batteries"][0]["fields"]
    assert fields["time_extreme_high"]["missing"] in {"no_data", "not_declared"}


def test_a_limited_replay_ends_cleanly_and_says_how_far_it_was(tmp_path: Path) -> None:
    table = tmp_path / "long.csv"
    table.write_text("t_s,v_v,i_a\n" + "".join(f"{n},360,10\n" for n in range(3000)))
    words = ("--replay", table, "--speed", "100", "--seconds", "5")
    report = tables.demo(*words, report=tmp_path / "report.json")
    check_played_part(report)


def check_played_part(report: dict[str, Any]) -> None:
    assert report["stopped_by"] == "--seconds"
    assert 1 < report["samples"]["sealed"] < 1000
    records = report["records"]
    assert len({records[name] for name in COUNTERS}) == 1
    assert value(report, "capacity_throughput") == pytest.approx((report["samples"]["sealed"] - 1) / 360, abs=1e-3)


def test_a_table_that_cannot_be_right_is_refused_with_a_report(tmp_path: Path) -> None:
    table = tmp_path / "wrong.csv"
    table.write_text("t_s,v_v,i_a\n0,1,1\n0,1,1\n")
    report = tables.demo("--replay", table, report=tmp_path / "report.json", code=1)
    assert report["complaints"] == [f"{table}, line 3: t_s must rise within a trip, but 0 follows 0"]
    assert report["records"]["sealed"] == 0
