"""packseal decode of what was said over Bluetooth: the repository's own recordings, and what is none."""

import json
from pathlib import Path

import pytest

from packseal.cli import main

RECORDINGS = Path(__file__).parents[2] / "recordings"
NAMES = {
    "jbd/smart_bms": "jbd_smart_bms",
    "daly/smart_bms": "daly_smart_bms",
    "jk/jk02_24s": "jk_jk02_24s",
    "jk/jk02_32s": "jk_jk02_32s",
    "bluetooth/battery_service": "bluetooth_battery_service",
}


def recording(name: str) -> Path:
    return RECORDINGS / NAMES[name] / "notifications.ble"


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_is_decoded_to_what_its_agent_would_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--profile", name, str(recording(name)), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    voltages = [sample["values"].get("pack_voltage_v") for sample in said["samples"]]
    charged = [sample["values"].get("state_of_charge_pct") for sample in said["samples"]]
    assert any(v is not None for v in voltages + charged)
    assert said["totals"]["samples"] == len(said["samples"]) > 0


def test_people_see_the_values_and_what_was_not_believed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--profile", "jbd/smart_bms", str(recording("jbd/smart_bms"))]) == 0
    out = capsys.readouterr().out
    assert "pack_voltage_v" in out
    assert "whole messages in them" in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bus.log"], "decoded from a .ble"),
        (["nothing.ble"], "there is no such file"),
        (["empty.ble"], "nothing that was said over Bluetooth"),
        (["empty.ble", "--bus", "1"], "leave out --bus"),
    ],
)
def test_what_is_none_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "empty.ble").write_text("not a line\n")
    (tmp_path / "bus.log").touch()
    assert main(["decode", "--profile", "jbd/smart_bms", str(tmp_path / arguments[0]), *arguments[1:]]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
