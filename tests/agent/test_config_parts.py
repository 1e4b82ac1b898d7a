"""Batteries made of others, in the configuration: what is allowed, and where it says what is wrong."""

from pathlib import Path

import pytest

from packseal import cli, config
from packseal.core.combining import Arrangement
from packseal.core.errors import ConfigError

GATEWAY = '[gateway]\nid = "urn:gateway"\n'
LIVE = 'profile = "packseal/reference96"\nlink = { kind = "socketcan", channel = "can0" }'
REPLAYED = 'profile = "bmw/i3_replay"\nlink = { kind = "stream", path = "bus.sock" }'


def leaf(name: str, how: str = LIVE) -> str:
    return f'[[battery]]\nid = "urn:{name}"\n{how}\n'


def whole(name: str, *parts: str, more: str = 'arrangement = "series"') -> str:
    listed = ", ".join(f'"urn:{part}"' for part in parts)
    return f'[[battery]]\nid = "urn:{name}"\nparts = [{listed}]\n{more}\n'


def load(folder: Path, *tables: str) -> config.Config:
    path = folder / "packseal.toml"
    path.write_text(GATEWAY + "".join(tables))
    return config.load(path)


def test_a_system_of_packs_of_modules_in_any_order(tmp_path: Path) -> None:
    system = whole("s", "p", "q", more='arrangement = "parallel"\nperiod_s = 5\ntolerance_pct = 3')
    made = load(tmp_path, system, whole("p", "a", "b"), leaf("a"), leaf("b"), leaf("q"))
    first = made.file.battery[0]
    assert (first.parts, first.arrangement) == (("urn:p", "urn:q"), Arrangement.PARALLEL)
    assert (first.link, first.profile) == (None, None)


A, B = leaf("a"), leaf("b")  # 4 lines each; the gateway has 2


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([A, B, whole("p", "a", "c")], ["line 13", "battery[2].parts", "urn:c is the id of no"]),
        ([A, B, whole("p", "a", "a")], ["line 13", "urn:a is already a part of urn:p"]),
        (
            [A, B, whole("p", "a", "b"), whole("q", "b", "a")],
            ["line 17", "battery[3].parts", "already a part of urn:p"],
        ),
        ([A, whole("p", "a", "p")], ["line 9", "urn:p is a part of itself"]),
        ([A, B, whole("p", "a", "q"), whole("q", "b", "p")], ["line 13", "battery[2].parts", "is a part of itself"]),
        (
            [A, B, leaf("c"), leaf("d"), whole("p", "a", "b"), whole("q", "p", "c"), whole("r", "q", "d")],
            ["line 21", "battery[4].parts", "urn:a is 3 steps below urn:r: at most 2"],
        ),
        ([A, leaf("b", REPLAYED), whole("p", "a", "b")], ["line 13", "some are live and some replayed"]),
        ([A, whole("p", "a")], ["line 7", "battery[1]", "at least two ids"]),
        ([A, B, whole("p", "a", "b", more="")], ["line 11", "arrangement"]),
        ([A, B, whole("p", "a", "b", more='arrangement = "ring"')], ["line 14", "arrangement", "series, parallel"]),
        ([A, B, whole("p", "a", "b", more=f'arrangement = "series"\n{LIVE}')], ["line 11", "no profile, link"]),
        (
            [A, B, whole("p", "a", "b", more='arrangement = "series"\nfirmware = "1.0"')],
            ["line 11", "no profile, link or firmware"],
        ),
        ([A, B, whole("p", "a", "b", more='arrangement = "series"\nperiod_s = 0')], ["line 11", "period_s"]),
        ([A, B, whole("p", "a", "b", more='arrangement = "series"\ntolerance_pct = 0')], ["tolerance_pct", "above 0"]),
        ([A, B, whole("p", "a", "b", more='arrangement = "series"\ngap_s = -1')], ["gap_s must be above zero"]),
        ([leaf("a", LIVE + "\ntolerance_pct = 5")], ["line 3", "tolerance_pct belongs to a battery with parts"]),
        ([leaf("a", LIVE + '\narrangement = "series"')], ["line 3", "no profile, link or firmware"]),
        ([leaf("a", LIVE.partition("\n")[0])], ["line 3", "link is missing", "or parts and arrangement"]),
        ([leaf("a", LIVE.partition("\n")[2])], ["line 3", "profile is missing", "or parts and arrangement"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, tables: list[str], said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, *tables)
    text = str(caught.value)
    assert "packseal.toml" in text
    assert [part for part in said if part not in text] == [], text
    assert "\n" not in text


def test_a_command_that_needs_a_bus_takes_that_of_a_battery_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(tmp_path, whole("p", "a", "b"), leaf("a"), leaf("b"))
    words = ["capture", str(tmp_path / "out.log"), "--config", str(tmp_path / "packseal.toml"), "--battery", "urn:p"]
    assert cli.main(words) != 0
    assert "urn:p has no bus of its own: name one of its parts" in capsys.readouterr().err
