"""docs/modbus.md: its examples are what the configuration and a profile take."""

import re
import tomllib
from pathlib import Path

import msgspec

from packseal.core.quantities import Channel, Quantity
from packseal_drivers.modbus import dump
from packseal_drivers.modbus.plan import Read, plan
from packseal_drivers.modbus.registers import fixed_map
from packseal_drivers.profile import load
from packseal_drivers.settings import LinkSettings, Modbus

PAGE = (Path(__file__).parents[2] / "docs" / "modbus.md").read_text()
BATTERY, PROFILE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
(LINES,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def test_the_battery_is_one() -> None:
    battery = tomllib.loads(BATTERY)["battery"][0]
    link = msgspec.convert(battery["link"], LinkSettings)
    assert isinstance(link, Modbus)
    assert (link.transport, link.baud, link.unit) == ("rtu", 9600, 1)
    assert load(battery["profile"]).profile.register


def test_the_profile_is_one_and_is_read_in_few_requests(tmp_path: Path) -> None:
    (tmp_path / "rack.toml").write_text(PROFILE)
    profile = load("rack.toml", tmp_path).profile
    assert {Channel(Quantity.PACK_CURRENT_A), Channel(Quantity.CELL_VOLTAGE_V, 15)} < set(profile.channels)
    reads = plan(fixed_map(profile).places, profile.modbus.max_registers, profile.modbus.max_gap)
    assert reads == [Read(3, 0x100, 1), Read(3, 0x110, 2), Read(4, 0x200, 16)]


def test_the_lines_are_those_of_a_dump(tmp_path: Path) -> None:
    (tmp_path / "a.registers").write_text(LINES)
    (poll,) = dump.polls(tmp_path / "a.registers")
    assert (len(poll.image), len(poll.declined)) == (3, 1)
