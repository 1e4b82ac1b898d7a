"""CANopen on a real bus: a node made of the package canopen is read object by object on python-can's virtual bus."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import can
import pytest

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Sample
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import PythonCan

canopen: Any = pytest.importorskip("canopen", reason="canopen is not installed here: pip install canopen")

NODE = 1
OBJECTS = {
    0x6010: (canopen.objectdictionary.INTEGER16, -44),
    0x6050: (canopen.objectdictionary.UNSIGNED32, 12345),
    0x6060: (canopen.objectdictionary.UNSIGNED32, 52352),
    0x6081: (canopen.objectdictionary.UNSIGNED8, 81),
}
EXPECTED = {
    Channel(Quantity.TEMPERATURE_C): -5.5,
    Channel(Quantity.CHARGE_CHARGED_AH): 12345.0,
    Channel(Quantity.PACK_VOLTAGE_V): 51.125,
    Channel(Quantity.STATE_OF_CHARGE_PCT): 81.0,
}
LONG = """
name = "test/canopen"
title = "T"
source = "test"
[sampling]
period_s = 0.1
[[request]]
name = "a long object"
protocol = "sdo"
node = 1
index = 0x2000
period_s = 0.2
field = [{ quantity = "cycles", at = 24, length = 2, order = "little" }]
[[request]]
name = "not there"
protocol = "sdo"
node = 1
index = 0x2001
period_s = 0.2
field = [{ quantity = "pack_voltage_v", at = 4 }]
"""


@pytest.fixture
def channel() -> Iterator[str]:
    """Yield the channel of a virtual bus with a node on it."""
    name = secrets.token_hex(8)
    dictionary = canopen.ObjectDictionary()
    for index, (kind, value) in OBJECTS.items():
        variable = canopen.objectdictionary.ODVariable(f"object {index:X}", index)
        variable.data_type, variable.default, variable.access_type = kind, value, "ro"
        dictionary.add_object(variable)
    variable = canopen.objectdictionary.ODVariable("long", 0x2000)
    variable.data_type, variable.access_type = canopen.objectdictionary.OCTET_STRING, "rw"
    dictionary.add_object(variable)
    network = canopen.Network()
    network.connect(interface="virtual", channel=name)
    node = canopen.LocalNode(NODE, dictionary)
    network.add_node(node)
    node.set_data(0x2000, 0, bytes(20) + (321).to_bytes(2, "little") + bytes(10))
    yield name
    network.disconnect()


def heard(driver: Driver, content: Callable[[dict[Channel, float]], bool]) -> dict[Channel, float]:
    """Return the last value of each channel once they are as wanted."""
    known: dict[Channel, float] = {}

    async def listen() -> None:
        async with asyncio.timeout(20), aclosing(driver.batches()) as batches:
            async for batch in batches:
                for said in batch:
                    known.update(said.values if isinstance(said, Sample) else {})
                if content(known):
                    return

    asyncio.run(listen())
    return known


def test_the_objects_of_a_battery_module_are_read(channel: str) -> None:
    file = profile.load("canopen/cia418")
    settings = PythonCan("virtual", channel)
    driver = open_driver(settings, file, directory=Path(), cache=None, clock=SystemClock(), period_s=0.1)
    assert heard(driver, lambda known: len(known) == len(EXPECTED)) == EXPECTED
    assert driver.counts.answers >= len(EXPECTED)
    assert driver.counts.refused == driver.counts.cut == driver.counts.negative == 0


def test_an_object_in_segments_is_read_and_one_that_is_not_there_is_counted(channel: str, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(LONG)
    file = profile.load("p.toml", tmp_path)
    with can.Bus(interface="virtual", channel=channel) as others:
        driver = open_driver(PythonCan("virtual", channel), file, directory=Path(), cache=None, clock=SystemClock())
        known = heard(driver, lambda _: bool(driver.counts.negative) and driver.counts.answers > 1)
        asked = [bytes(m.data) for m in iter(lambda: others.recv(0), None) if m.arbitration_id == 0x600 + NODE]
    assert known == {Channel(Quantity.CYCLES): 321.0}
    assert {data[0] for data in asked} == {0x40, 0x60, 0x70}, "something else than a read was sent"
