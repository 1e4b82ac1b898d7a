"""A scenario's file: what is wrong in it is named with file, line and what is allowed."""

from pathlib import Path

import pytest
from tests.hil.scenarios.test_scenarios import FILES

from packseal_hil.rig.protocols import Need, RigError
from packseal_hil.rig.shape import Shape
from packseal_hil.scenario import schema

GOOD = """
title = "t"
why = "w"
run = "commit"
needs = ["network"]
[agent]
window_s = 2
[[step]]
at_s = 1
network = "down"
[[step]]
when = { received = 3 }
network = { loss_pct = 3 }
[expect]
event = { bus_off = [1, 2] }
gap.no_samples = { seconds = [1, 2] }
"""
MAX_LINES = 60


def load(folder: Path, text: str) -> schema.Scenario:
    file = folder / "s.toml"
    file.write_text(text)
    return schema.load(file)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    made = load(tmp_path, GOOD)
    assert made.needs == (Need.NETWORK,)
    assert made.step[0].action == made.step[1].action == "network"
    assert made.step[1].network == Shape(loss_pct=3)
    assert made.expect.gap["no_samples"].times == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('run = "commit"', 'run = "daily"', ["line 4", "run", "allowed are commit, long"]),
        ('needs = ["network"]', 'needs = ["wifi"]', ["line 5", "needs[0]", "bus-faults", "read-only"]),
        ("window_s = 2", "window = 2", ["line 7", "agent", "window", "allowed are window_s, drain_s"]),
        ("window_s = 2", "window_s = 0", ["line 7", "agent.window_s", ">= 1"]),
        ('"down"', '"gone"', ["line 10", "step[0].network", "allowed are down, up"]),
        ('network = "down"', 'network = "down"\nbus = "off"', ["line 8", "exactly one of bus", "bus and network"]),
        ("at_s = 1", "at_s = 1\nafter_s = 2", ["line 8", "at most one of at_s, after_s and when"]),
        ('at_s = 1\nnetwork = "down"', "", ["line 8", "exactly one of", "not none"]),
        ("received = 3", "recieved = 3", ["step[1].when", "recieved", "allowed are samples, sealed, received"]),
        ("loss_pct = 3", "loss_pct = 130", ["line 13", "step[1].network.loss_pct", "<= 100"]),
        ("loss_pct = 3", "jitter_ms = 3", ["line 13", "step[1].network", "more than delay_ms"]),
        ("[agent]", "[backlog]\ndays = 0\n[agent]", ["line 7", "backlog.days", "> 0"]),
        ("[agent]", "[partitions]\nevery_s = 5\n[agent]", ["line 6", "partitions", "less than every_s"]),
        ('["network"]', '["loss"]\n[partitions]', ['needs "network" among the needs']),
        ("bus_off", "bus_of", ["expect", "event has no `bus_of`", "bus_off"]),
        ("no_samples", "none", ["gap has no `none`", "not_stored"]),
        ("[1, 2] }\ngap", "[1] }\ngap", ["line 15", "expect.event", "length 2"]),
        ("[agent]", '[[before]]\nat_s = 3\nbus = "off"\n[agent]', ["[[before]] step has no time"]),
        ("[agent]", "[compressed]\nhours = 1\n[bus]\ntwin = true\n[agent]", ["twin", "live bus only"]),
        ("[agent]", '[battery]\nchemistry = "lead"\n[agent]', ["battery.chemistry", "allowed are lfp, nmc"]),
        ("[agent]", "[line]\nunits = 2\n[agent]", ["[line]", 'belong to [agent] road = "modbus"']),
        ('network = "down"', 'line = "noise"', ["steps with `line`", 'belong to [agent] road = "modbus"']),
        ("[agent]", '[agent]\nroad = "modbus"', ['road = "modbus" needs [agent] profile']),
        ("[agent]", '[bus]\ntwin = true\n[agent]\nroad = "modbus"\nprofile = "pace/rs485"', ["has no bus", "twin"]),
        ("[agent]", "[agent", ["not TOML"]),
        ("network = { loss", "clock = { by_s = 1, to_s = 2 }\n#", ["step[1].clock", "exactly one of by_s and to_s"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(RigError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    text = str(caught.value)
    assert str(tmp_path / "s.toml") in text
    assert [part for part in said if part not in text] == [], text
    assert "\n" not in text.removeprefix(str(tmp_path))


def test_a_peer_that_dies_is_one_that_is_connected_to(tmp_path: Path) -> None:
    modbus = GOOD.replace("[agent]", '[agent]\nroad = "modbus"\nprofile = "pace/rs485"')
    dies = modbus.replace('network = "down"', 'line = "dies"')
    assert load(tmp_path, dies).step[0].action == "line"
    with pytest.raises(RigError, match=r'needs \[line\] transport = "tcp"'):
        load(tmp_path, dies.replace("[agent]", '[line]\ntransport = "rtu"\n[agent]'))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot read the scenario"):
        schema.load(tmp_path / "none.toml")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_scenarios_are_short_and_sound(file: Path) -> None:
    scenario = schema.load(file)
    assert len(file.read_text().splitlines()) <= MAX_LINES
    assert scenario.title
    assert scenario.why.endswith((".", "?"))
