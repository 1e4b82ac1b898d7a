"""packseal init and the commands that read what it wrote."""

import stat
from pathlib import Path

import pytest

from packseal import config
from packseal.cli import main
from packseal.core.cose import Algorithm
from packseal.keys import file as key_file
from packseal_drivers.settings import Ble


def test_init_writes_a_configuration_and_a_key_of_its_owner_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path), "--battery", "urn:example:battery:7", "--channel", "can3"]) == 0
    made = config.load(tmp_path / "packseal.toml")
    assert made.file.battery[0].id == "urn:example:battery:7"
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert key_file.load(made.key).kid.hex() in capsys.readouterr().out


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path)]) == 0
    key = (tmp_path / "gateway.key").read_bytes()
    assert main(["init", str(tmp_path)]) == 1
    assert "exists" in capsys.readouterr().err
    assert (tmp_path / "gateway.key").read_bytes() == key


def test_init_makes_a_p256_key_on_demand(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path), "--p256"]) == 0
    assert key_file.load(tmp_path / "gateway.key").algorithm is Algorithm.ES256


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--battery", "no uri"], "must be a URI"),
        (["--profile", "nobody/nothing"], "packseal/reference96"),
        (["--gateway", "urn:x:1", "--battery", "urn:x:1"], "used twice"),
    ],
)
def test_init_checks_its_arguments_before_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["init", str(tmp_path / "new"), *arguments]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_status_without_an_agent_says_so_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", str(tmp_path)])
    assert main(["status", "--config", str(tmp_path / "packseal.toml")]) == 1
    error = capsys.readouterr().err
    assert "no running agent answers" in error
    assert error.count("\n") == 1


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    text = capsys.readouterr().out
    for command in ("init", "doctor", "run", "status", "journal", "verify", "demo"):
        assert f"  {command} " in text


@pytest.mark.parametrize(
    ("channel", "written"),
    [("A4:C1:38:01:02:03", ("A4:C1:38:01:02:03", None)), ('my "own" pack', (None, 'my "own" pack'))],
)
def test_init_writes_the_link_of_a_bluetooth_battery(
    tmp_path: Path, channel: str, written: tuple[str | None, str | None]
) -> None:
    assert main(["init", str(tmp_path), "--profile", "jbd/smart_bms", "--channel", channel]) == 0
    (battery,) = config.load(tmp_path / "packseal.toml").file.battery
    assert isinstance(battery.link, Ble)
    assert (battery.link.address, battery.link.name) == written


def test_init_asks_for_the_address_of_a_bluetooth_battery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "new"), "--profile", "jbd/smart_bms"]) == 1
    assert "packseal probe --ble lists" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
