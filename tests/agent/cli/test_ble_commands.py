"""packseal probe --ble, packseal capture OUT.ble and packseal doctor, over a radio in this process."""

import json
import random
from pathlib import Path

import pytest
from tests.drivers.bleak_on_bumble import installed
from tests.drivers.bluetooth import Peripheral, Radio

from packseal.cli import main
from packseal_drivers import profile
from packseal_drivers.ble.probing import Heard, guess
from packseal_drivers.testing.ble_batteries import Battery, cut, jbd_answer

ADDRESS = "A4:C1:38:00:00:01"
CONFIG = """
[gateway]
id = "urn:example:gateway"
[[battery]]
id = "urn:example:battery"
profile = "{profile}"
[battery.link]
kind = "ble"
address = "{address}"
"""


@pytest.fixture
def radio() -> Radio:
    battery = Battery(random.Random(1))

    def peripherals(radio: Radio) -> list[Peripheral]:
        jbd = Peripheral(radio, ADDRESS, "JBD-SP04S020", "FF00", "FF01", "FF02")
        jbd.answer = lambda question: cut(jbd_answer(battery, question[2]), 20)
        return [jbd, Peripheral(radio, "C4:00:00:00:00:02", "brush", "180A", values={"2A29": lambda: b"x"})]

    return Radio(peripherals)


def config(directory: Path, name: str = "jbd/smart_bms") -> Path:
    path = directory / "packseal.toml"
    path.write_text(CONFIG.format(profile=name, address=ADDRESS))
    return path


def test_probe_lists_batteries_with_signal_and_profile(radio: Radio, capsys: pytest.CaptureFixture[str]) -> None:
    with installed(radio):
        assert main(["probe", "--ble", "--seconds", "0.6"]) == 0
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if ADDRESS in line]
    assert "JBD-SP04S020" in row
    assert "dBm" in row
    assert "jbd/smart_bms" in row
    assert "1 other devices were heard" in out
    assert radio.writes == []


def test_probe_says_it_to_programs(radio: Radio, capsys: pytest.CaptureFixture[str]) -> None:
    with installed(radio):
        assert main(["probe", "--ble", "--seconds", "0.6", "--json"]) == 0
    found = {device["address"]: device for device in json.loads(capsys.readouterr().out)}
    assert found[ADDRESS]["profiles"][0] == {"profile": "jbd/smart_bms", "by": "name"}
    assert found["C4:00:00:00:00:02"]["profiles"] == []


def test_probe_without_an_adapter_is_one_line(radio: Radio, capsys: pytest.CaptureFixture[str]) -> None:
    radio.is_on = False
    with installed(radio):
        assert main(["probe", "--ble", "--seconds", "0.6"]) == 1
    assert "no Bluetooth adapter" in capsys.readouterr().err


def test_a_service_that_several_have_is_only_perhaps_one() -> None:
    known = [profile.load(name).profile for name in profile.names()]
    device = Heard("C4:00:00:00:00:03", None, -60, ("0000ffe0-0000-1000-8000-00805f9b34fb",))
    found = guess(device, known)
    assert {g.profile for g in found} == {"jk/jk02_24s", "jk/jk02_32s"}
    assert {g.by for g in found} == {"service"}


def test_what_was_captured_plays(radio: Radio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "shed.ble"
    with installed(radio):
        assert main(["capture", str(path), "--config", str(config(tmp_path)), "--seconds", "4"]) == 0
    assert "said by it" in capsys.readouterr().out
    lines = path.read_text().splitlines()
    assert any(" > DDA50300FFFD77" in line for line in lines)
    assert any(" < DD03" in line for line in lines)
    text = (tmp_path / "packseal.toml").read_text()
    (tmp_path / "packseal.toml").write_text(
        text.replace('kind = "ble"', 'kind = "recording"').replace(f'address = "{ADDRESS}"', 'path = "shed.ble"')
    )
    main(["doctor", "--config", str(tmp_path / "packseal.toml")])
    out = capsys.readouterr().out
    assert "ok   wire of urn:example:battery:" in out


def test_capture_wants_a_new_file_and_a_battery_of_this_road(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there.ble").touch()
    assert main(["capture", str(tmp_path / "there.ble"), "--config", str(config(tmp_path))]) == 1
    assert "is there already" in capsys.readouterr().err
    assert main(["capture", str(tmp_path / "new.ble"), "--channel", "can0"]) == 1
    assert "made of a configured battery" in capsys.readouterr().err


def test_doctor_tells_a_battery_that_is_heard(radio: Radio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with installed(radio):
        main(["doctor", "--config", str(config(tmp_path))])
    out = capsys.readouterr().out
    assert "ok   profile jbd/smart_bms" in out
    assert "ok   wire of urn:example:battery: " in out
    assert "samples" in out


def test_doctor_tells_why_there_is_none(radio: Radio, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    radio.is_on = False
    with installed(radio):
        main(["doctor", "--config", str(config(tmp_path))])
    assert "FAIL wire of urn:example:battery: no Bluetooth adapter" in capsys.readouterr().out
