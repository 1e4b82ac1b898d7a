"""A bus that control units can join, a driver that asks on it, and what that says."""

import asyncio
import struct
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from pathlib import Path
from typing import Any

import can

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Notice, Sample
from packseal_drivers.driver import Driver
from packseal_drivers.profile import ProfileFile
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import PythonCan

A, V = Channel(Quantity.PACK_CURRENT_A), Channel(Quantity.PACK_VOLTAGE_V)
CELL_CHANNELS = [Channel(Quantity.CELL_VOLTAGE_V, i) for i in range(64)]
Said = list[Sample | Notice]


class Wire:
    """A bus that others can join."""

    def __init__(self, settings: PythonCan) -> None:
        self.settings = settings
        self._stack = ExitStack()

    def join(self) -> can.BusABC:
        options: dict[str, Any] = self.settings.options | ({"hop_limit": 0} if self.settings.options else {})
        bus = can.Bus(interface=self.settings.interface, channel=self.settings.channel, **options)
        self._stack.callback(bus.shutdown)
        return bus

    def close(self) -> None:
        self._stack.close()


def driver_of(wire: Wire, file: ProfileFile) -> Driver:
    return open_driver(wire.settings, file, directory=Path(), cache=None, clock=SystemClock())


def heard(driver: Driver, until: Callable[[Said], object], each_tick: Callable[[], None] = lambda: None) -> Said:
    """Return what the driver says until `until` is content with it."""

    async def run() -> Said:
        said: Said = []

        async def listen() -> None:
            async with aclosing(driver.batches()) as batches:
                async for batch in batches:
                    said.extend(batch)
                    if until(said):
                        return

        async def nudge() -> None:
            while True:
                each_tick()
                await asyncio.sleep(0.02)

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            nudging = group.create_task(nudge())
            await group.create_task(listen())
            nudging.cancel()
        return said

    return asyncio.run(run())


def values(said: Said, channel: Channel) -> list[float]:
    return [s.values[channel] for s in said if isinstance(s, Sample) and channel in s.values]


def codes(said: Said) -> list[EventCode]:
    return [n.code for n in said if isinstance(n, Notice)]


def electrical(volts: float) -> can.Message:
    data = struct.pack("<ii", round(volts * 10_000), 0)
    return can.Message(arbitration_id=0x3F0, data=data, is_extended_id=False)
