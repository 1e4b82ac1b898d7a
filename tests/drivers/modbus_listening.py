"""A made-up battery behind Modbus: its profile, its registers, a driver opened on it, and what that says."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Self

import pytest
from tests.drivers.modbus_devices import Device, placed

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Flaw, Notice, Sample
from packseal_drivers.driver import Driver
from packseal_drivers.profile import ProfileFile, load
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Modbus

HEAD = """name = "test/registers"
title = "Registers"
source = "made up"
[sampling]
period_s = 0.1
silent_after_s = 0.5
"""
TABLES = """
[[register]]
quantity = "pack_voltage_v"
address = 100
factor = 0.01
[[register]]
quantity = "pack_current_a"
address = 101
type = "s16"
factor = -0.1
[[register]]
quantity = "state_of_charge_pct"
address = 102
maximum = 100
[[register]]
quantity = "cell_voltage_v"
table = "input"
address = 200
count = 4
factor = 0.001
not_available = [0xFFFF]
"""
VOLTS, AMPS, SOC = Quantity.PACK_VOLTAGE_V, Quantity.PACK_CURRENT_A, Quantity.STATE_OF_CHARGE_PCT
CELL = Quantity.CELL_VOLTAGE_V


def write(directory: Path, tables: str = TABLES, head: str = HEAD) -> ProfileFile:
    (directory / "registers.toml").write_text(head + tables)
    return load("registers.toml", directory)


def device(unit: int = 1) -> Device:
    return Device(
        unit,
        holding=placed(100, [5312, 0xFFFF - 122, 64]),
        inputs=placed(200, [3301, 3302, 0xFFFF, 3304]),
    )


def opened(directory: Path, file: ProfileFile, **settings: Any) -> Driver:
    return open_driver(Modbus(**settings), file, directory=directory, cache=None, clock=SystemClock())


class Listening:
    """Collects what a driver says."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.samples: list[Sample] = []
        self.notices: list[Notice] = []

    async def __aenter__(self) -> Self:
        self.task = asyncio.ensure_future(self._collect())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def _collect(self) -> None:
        async with aclosing(self.driver.batches()) as batches:
            async for batch in batches:
                self.samples += [item for item in batch if isinstance(item, Sample)]
                self.notices += [item for item in batch if isinstance(item, Notice)]

    async def until(self, met: Callable[[], bool], patience_s: float = 20.0) -> None:
        async with asyncio.timeout(patience_s):
            while not met():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.02)

    def codes(self) -> list[EventCode]:
        """What was told of the wire."""
        return [notice.code for notice in self.notices if notice.code is not EventCode.VALUES_FLAWED]


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))


def check(sample: Sample) -> None:
    assert sample.values == pytest.approx(
        {
            Channel(VOLTS): 53.12,
            Channel(AMPS): 12.3,
            Channel(SOC): 64.0,
            Channel(CELL, 0): 3.301,
            Channel(CELL, 1): 3.302,
            Channel(CELL, 3): 3.304,
        }
    )
    assert sample.flaws == {Channel(CELL, 2): Flaw.NOT_AVAILABLE}
