"""A scenario over Bluetooth: what its file must say, and what a bench without an air of its own answers."""

import asyncio
from pathlib import Path

import pytest

from packseal_hil.rig import settings
from packseal_hil.rig.local import LocalRig
from packseal_hil.rig.protocols import Need, RadioFault, RigError
from packseal_hil.scenario import runner, schema
from packseal_hil.scenario.bands import Bands
from packseal_hil.scenario.schema import Step

GOOD = """
title = "t"
why = "w."
run = "commit"
needs = ["bluetooth"]
[agent]
road = "ble"
profile = "jbd/smart_bms"
[[step]]
at_s = 1
radio = "out-of-range"
[expect.value]
pack_voltage_v = { absolute = 0.1 }
"""
BENCH = """
title = "b"
has = ["bluetooth"]
[device]
ssh = "root@gateway"
[network]
host = "10.0.0.1"
"""


def load(folder: Path, text: str) -> schema.Scenario:
    file = folder / "s.toml"
    file.write_text(text)
    return schema.load(file)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    made = load(tmp_path, GOOD)
    assert made.profile == "jbd/smart_bms"
    assert made.step[0].radio is RadioFault.OUT_OF_RANGE


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('needs = ["bluetooth"]', "", '"bluetooth" among the needs'),
        ('profile = "jbd/smart_bms"', "", "needs [agent] profile"),
        ('road = "ble"', 'road = "wifi"', "agent.road"),
        ('"out-of-range"', '"away"', "allowed are none, out-of-range, taken, unplugged"),
        ("[agent]", "[compressed]\nhours = 1\n[agent]", "leave [compressed] and twin out"),
        ("pack_voltage_v", "voltage", "value has no `voltage`"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(RigError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert said in str(caught.value)


def test_a_bench_of_hardware_has_no_air_of_its_own_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(BENCH)
    with pytest.raises(RigError, match="has cannot name bluetooth: only the virtual gateway"):
        settings.load(file)
    file.write_text(BENCH.replace("bluetooth", "tpm"))
    assert Need.BLUETOOTH not in settings.load(file).needs_met


def test_this_machines_rig_says_what_to_use_instead(tmp_path: Path) -> None:
    rig = LocalRig()
    try:
        assert runner.lacking(load(tmp_path, GOOD), rig) == "needs bluetooth: run make hil"
        with pytest.raises(RigError, match="no Bluetooth of its own: use the virtual gateway"):
            asyncio.run(rig.radio.on())
        with pytest.raises(RigError, match="cannot be made taken"):
            asyncio.run(rig.radio.fault(RadioFault.TAKEN))
    finally:
        asyncio.run(rig.close())


def test_a_fault_of_the_air_is_a_band_until_it_is_mended() -> None:
    bands = Bands()
    bands.take(Step(radio=RadioFault.TAKEN), 1, 2)
    bands.take(Step(radio=RadioFault.NONE), 9, 10)
    (band,) = bands.end(20)
    assert (band.title, band.from_s, band.to_s) == ("radio: taken", 1, 10)
