"""Loads: the built-in ones and those from files."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal_hil.battery import BatterySpec, load_files, loads, open_battery
from packseal_hil.rig.protocols import RigError

HOUR = 3600.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(load_files.VARIABLE, str(tmp_path))
    (tmp_path / "load_profiles").mkdir()
    return tmp_path / "load_profiles"


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))


@settings(deadline=None)
@given(st.sampled_from(sorted(loads.BUILT_IN)), st.floats(0, 1e7))
def test_every_built_in_load_is_defined_for_ever_and_repeats(name: str, at_s: float) -> None:
    load = loads.load(name)
    assert -5 <= load.rate_c(at_s) <= 2
    assert load.rate_c(at_s + load.period_s) == pytest.approx(load.rate_c(at_s), abs=1e-3)
    assert 0 <= load.start_soc_pct <= 100


def test_driving_recuperates_and_the_sun_charges_at_noon() -> None:
    drive, sun = loads.load("drive"), loads.load("pv_day")
    rates = [drive.rate_c(t) for t in range(600)]
    assert min(rates) < -2
    assert max(rates) > 1
    assert sun.rate_c(12.5 * HOUR) > 0.15
    assert sun.rate_c(18.2 * HOUR) < -0.25
    assert {loads.load("rest").rate_c(t) for t in range(0, 90_000, 900)} == {0.0}


def test_frequency_containment_keeps_to_its_power_and_comes_out_even() -> None:
    course = loads.load("frequency_containment")
    rates = [course.rate_c(4 * i) for i in range(21_600)]
    assert max(map(abs, rates)) <= 0.5
    assert rates.count(0.0) > 500
    assert abs(sum(rates)) / len(rates) < 0.005


def test_a_day_of_sun_leaves_a_home_storage_about_where_it_was() -> None:
    battery = open_battery(BatterySpec(cells=2, load="pv_day", step_s=10, category="stationary"), 1)
    soc = []
    for _ in range(2):
        battery.advance(86_400)
        soc.append(battery.soc_pct)
    assert abs(soc[1] - soc[0]) < 5
    assert battery.counters.discharged_as / HOUR > 30


def test_a_file_is_followed_above_the_reserve(folder: Path) -> None:
    rows = [(0, 0.5, 20), (1800, 0.7, 25), (3600, 0.4, 30), (7200, 0.5, 5)]
    write(folder, "mine", "Time_s,SOC,Temperature_C\n" + "".join(f"{t},{s},{c}\n" for t, s, c in rows))
    battery = open_battery(BatterySpec(cells=2, load="mine", self_discharge_pct_per_month=0), 1)
    assert battery.soc_pct == pytest.approx(52.5)
    for before, after in ((0, 1), (1, 2), (2, 3)):
        battery.advance(rows[after][0] - rows[before][0])
        assert battery.soc_pct == pytest.approx(100 * (0.05 + 0.95 * rows[after][1]), abs=0.05)
    warm = open_battery(BatterySpec(cells=2, load="mine", load_starts_h=0.5), 1)
    assert warm.signals()["temperature_max_c"] == 25
    assert "mine" in loads.names()
    assert loads.load("mine").ambient_c(2000) == 25


def test_files_with_other_columns_and_without_temperature_are_read(folder: Path) -> None:
    write(folder, "week", ",Unnamed: 0,Time_s,SOC\n0,0,0,0.95\n1,300,300,0.90\n")
    assert loads.load("week").rate_c(10) == pytest.approx(-0.05 * 12 * 0.95)
    assert loads.load("week").ambient_c(10) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Time_s,SOC\n0,0.5\n", "two rows"),
        ("Time_s,SOC\n0,0.5\n0,0.6\n", "must rise"),
        ("Time_s,SOC\n0,0.5\n60,50\n", "from 0 to 1"),
        ("t,soc\n0,0.5\n60,0.6\n", "Time_s"),
        ("Time_s,SOC\n0,abc\n60,0.6\n", "abc"),
    ],
)
def test_a_damaged_file_is_named(folder: Path, text: str, why: str) -> None:
    write(folder, "bad", text)
    with pytest.raises(RigError, match=rf"bad\.csv\.gz is damaged.*{why}"):
        loads.load("bad")


def test_what_is_no_gzip_is_named(folder: Path) -> None:
    (folder / "bad.csv.gz").write_text("Time_s,SOC\n")
    with pytest.raises(RigError, match="damaged"):
        loads.load("bad")


def test_a_load_that_is_absent_is_said_with_what_to_do(folder: Path) -> None:
    with pytest.raises(RigError, match=rf"no load 'ghost'.*pv_day.*{folder}.*set PACKSEAL_DATA"):
        loads.load("ghost")


@pytest.mark.skipif(not load_files.file_names(), reason=f"no load profiles: {load_files.folder()} is absent")
@pytest.mark.parametrize("name", load_files.file_names())
def test_the_profiles_beside_the_checkout_can_be_run(name: str) -> None:
    battery = open_battery(BatterySpec(cells=2, load=name, step_s=10), 1)
    battery.advance(4 * HOUR)
    assert 0 < battery.soc_pct <= 100
    assert battery.counters.charged_as + battery.counters.discharged_as > 0 or "Residential" in name
