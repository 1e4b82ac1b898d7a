"""A driver and its battery on one air, of each kind that is read over Bluetooth; and what several drivers say."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from tests.drivers.bleak_on_bumble import installed
from tests.drivers.bluetooth import Peripheral, Radio

from packseal.clock import SystemClock
from packseal.core.sample import Notice, Sample
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.profile import ProfileFile
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Ble
from packseal_drivers.testing.ble_batteries import (
    Battery,
    battery_service_values,
    cut,
    daly_answer,
    jbd_answer,
    jk02_frame,
)

QUICK_S = 0.2
ADDRESS = "C4:00:00:00:00:01"
PATIENCE_S = 20.0

Make = Callable[[Radio, str, Battery], Peripheral]


def quick(name: str, directory: Path) -> ProfileFile:
    """The profile, asked five times a second."""
    file = profile.load(name)
    text = re.sub(r"^poll_s = .*\n", "", file.text.decode(), flags=re.MULTILINE)
    path = directory / f"{name.replace('/', '_')}.toml"
    path.write_text(text.replace("[ble]\n", f"[ble]\npoll_s = {QUICK_S}\n"))
    return profile.load(path.name, directory)


def jbd(radio: Radio, address: str, battery: Battery) -> Peripheral:
    made = Peripheral(radio, address, "JBD-1", "FF00", "FF01", "FF02")
    made.answer = lambda question: cut(jbd_answer(battery, question[2]), 20)
    return made


def daly(radio: Radio, address: str, battery: Battery) -> Peripheral:
    made = Peripheral(radio, address, "DL-1", "FFF0", "FFF1", "FFF2")
    made.answer = lambda _question: cut(daly_answer(battery), 20)
    return made


def jk(radio: Radio, address: str, battery: Battery) -> Peripheral:
    made = Peripheral(radio, address, "JK-1", "FFE0", "FFE1", "FFE1")
    made.answer = lambda question: cut(jk02_frame(battery, 1), 128) if question[4] == 0x96 else [b"AT\r\n"]
    return made


def service(radio: Radio, address: str, battery: Battery) -> Peripheral:
    def value_of(uuid: str) -> Callable[[], bytes]:
        return lambda: battery_service_values(battery)[uuid.lower()]

    values = {uuid: value_of(uuid) for uuid in ("2A19", "2BEA", "2BEC", "2BF0")}
    return Peripheral(radio, address, "BAS-1", "180F", values=values)


KINDS: dict[str, Make] = {
    "jbd/smart_bms": jbd,
    "daly/smart_bms": daly,
    "jk/jk02_32s": jk,
    "bluetooth/battery_service": service,
}


class AirRig:
    """A driver and its battery on one air."""

    driver: Driver

    def __init__(self, name: str, directory: Path) -> None:
        self._name = name
        self._stack = AsyncExitStack()
        self._chance = random.Random(1)
        self.battery = Battery(self._chance)
        self.driver = open_driver(
            Ble(address=ADDRESS),
            quick(name, directory),
            directory=directory,
            cache=None,
            clock=SystemClock(),
            period_s=0,
        )

    async def start(self) -> None:
        self.radio = Radio()
        await self.radio.start()
        self._stack.enter_context(installed(self.radio))
        self.peripheral = KINDS[self._name](self.radio, ADDRESS, self.battery)
        await self.peripheral.start()

    async def speak(self) -> None:
        self.battery.advance(0.1)
        if self._name.startswith("jk") and self.peripheral.is_connected:
            await self.peripheral.say(cut(jk02_frame(self.battery, 2), 128))

    async def babble(self) -> None:
        if self._name != "bluetooth/battery_service" and self.peripheral.is_connected:
            head = self._chance.choice([b"\xdd\x03\x00", b"\xd2\x03", b"\x55\xaa\xeb\x90\x02", b""])
            await self.peripheral.say([head + self._chance.randbytes(self._chance.randrange(1, 20))])

    async def cut(self) -> None:
        await self.peripheral.vanish()

    async def mend(self) -> None:
        await self.peripheral.appear()

    async def close(self) -> None:
        await self._stack.aclose()


async def air_rig(name: str, directory: Path) -> AirRig:
    rig = AirRig(name, directory)
    await rig.start()
    return rig


class Listener:
    """What several drivers say, by battery, while a test goes on."""

    def __init__(self) -> None:
        self.samples: dict[str, list[Sample]] = {}
        self.notices: dict[str, list[Notice]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, key: str, driver: Driver) -> None:
        self.samples[key], self.notices[key] = [], []
        self._tasks.append(asyncio.create_task(self._collect(key, driver)))

    async def _collect(self, key: str, driver: Driver) -> None:
        async with aclosing(driver.batches()) as batches:
            async for batch in batches:
                self.samples[key] += [item for item in batch if isinstance(item, Sample)]
                self.notices[key] += [item for item in batch if isinstance(item, Notice)]

    async def until(self, met: Callable[[], bool], act: Callable[[], Awaitable[None]] | None = None) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                for task in self._tasks:
                    if task.done():
                        task.result()
                if act is not None:
                    await act()
                await asyncio.sleep(0.03)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
