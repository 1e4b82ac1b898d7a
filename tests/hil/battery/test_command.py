"""The [battery] table of a scenario, and the command that runs one battery."""

import json
from pathlib import Path

import msgspec
import pytest

from packseal.demo import table
from packseal_hil.battery import BatterySpec, open_battery
from packseal_hil.battery.__main__ import main

SCENARIO = """
title = "whatever else a scenario says"

[battery]
chemistry = "lfp"
category = "stationary"
cells = 16
capacity_ah = 100
load = "pv_day"
load_starts_h = 9
age = 0.5

[battery.spread]
capacity = 0.01

[battery.sensors]
temperature_count = 4
current = { offset = 0.3, step = 0.1, dropouts_per_h = 200 }

[battery.bms]
soh = 100
soc_step_pct = 1
"""


def test_a_run_is_written_as_a_table_that_the_demo_replays_with_the_truth_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario, rows = tmp_path / "s.toml", tmp_path / "run.csv"
    scenario.write_text(SCENARIO)
    assert main(["--spec", str(scenario), "--hours", "0.5", "--csv", str(rows), "--every", "2"]) == 0
    assert "times as fast as real time" in capsys.readouterr().out
    read = list(table.rows(rows))
    assert len(read) == 901
    assert all(row.soc_pct == round(row.soc_pct or 0.5) for row in read)
    assert 0 < sum(row.current_a is None for row in read) < 450
    truth = json.loads(rows.with_suffix(".truth.json").read_text())
    assert set(truth["fields"]) == {f.key for f in open_battery(BatterySpec(cells=1), 0).truth()}
    assert truth["spec"]["cells"] == 16
    assert truth["fields"]["state_of_health_bms"] < 95
    assert truth["fields"]["capacity_charged"] > 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[battery]\nvolts = 3\n", "volts"),
        ("[battery]\nchemistry = 'lead'\n", "lead"),
        ("[battery]\nage = 2\n", "age"),
        ("[battery]\nambient_c = nan\n", "ambient_c"),
        ("[battery]\nsensors = {current = {offset = inf}}\n", "offset"),
        ("[battery.bms]\nsoh = 'fine'\n", "soh"),
        ("[battery.spread]\nresistance = 0.5\n", "resistance"),
        ("[battery]\nload = 'ghost'\n", "ghost"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    scenario = tmp_path / "s.toml"
    scenario.write_text(text)
    assert main(["--spec", str(scenario), "--hours", "0.01"]) == 1
    told = capsys.readouterr().err
    assert why in told
    assert "Traceback" not in told


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--spec", str(tmp_path / "none.toml")]) == 1
    assert main(["--hours", "0.01", "--csv", str(tmp_path / "no/run.csv")]) == 1
    told = capsys.readouterr().err
    assert "none.toml" in told
    assert "no/run.csv" in told


def test_an_empty_table_is_a_battery() -> None:
    assert msgspec.toml.decode("", type=BatterySpec) == BatterySpec()
