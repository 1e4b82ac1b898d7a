"""The contract of drivers, held against each of ours: listening, polling, a stream, a recording in a file."""

import asyncio
import random
import secrets
import struct
from pathlib import Path
from typing import Any
from unittest import SkipTest

import can
from tests.drivers.clocks import instant
from tests.drivers.ecus import CELL_BYTES, CELLS, SIGNAL, SimulatedEcu, write

from packseal.clock import SystemClock
from packseal.core.sample import Frame
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.framing.recorded import Recorded, encode
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import PythonCan, Recording, Stream
from packseal_drivers.testing.contract import DriverContract, Rig

PACK = 0x3F0
STEP_NS = 10_000_000


def nonsense(chance: random.Random) -> can.Message:
    """A frame of the pack's own id or any other, with any data, short as well."""
    address = chance.choice([PACK, 0x7EC, chance.randrange(0x800)])
    return can.Message(arbitration_id=address, is_extended_id=False, data=chance.randbytes(chance.randrange(9)))


def electrical(volts: float) -> bytes:
    return struct.pack("<ii", round(volts * 10_000), -125_000)


class BusRig:
    """A driver on python-can's virtual bus, and a far end on the same."""

    driver: Driver

    def __init__(self, settings: PythonCan, driver: Driver) -> None:
        self.driver = driver
        self._far = can.Bus(interface="virtual", channel=settings.channel)
        self._chance = random.Random(1)

    async def speak(self) -> None:
        self._far.send(can.Message(arbitration_id=PACK, is_extended_id=False, data=electrical(400)))

    async def babble(self) -> None:
        self._far.send(nonsense(self._chance))

    async def cut(self) -> None:
        driver: Any = self.driver
        driver._link._bus.shutdown()  # as an adapter that is pulled out

    async def mend(self) -> None:
        """Nothing: the driver opens its bus anew."""

    async def close(self) -> None:
        self._far.shutdown()


class TestListening(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        settings = PythonCan("virtual", secrets.token_hex(8))
        file = profile.load("bmw/i3_replay")
        driver = open_driver(settings, file, directory=directory, cache=None, clock=SystemClock())
        return BusRig(settings, driver)


class AskedRig(BusRig):
    """The same with a control unit that is asked."""

    def __init__(self, settings: PythonCan, driver: Driver) -> None:
        super().__init__(settings, driver)
        bus = can.Bus(interface="virtual", channel=settings.channel)
        self._ecu = SimulatedEcu(bus, {bytes.fromhex("0102"): CELL_BYTES})
        self._ecu.__enter__()

    async def close(self) -> None:
        self._ecu.__exit__()
        await super().close()


class TestPolling(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        settings = PythonCan("virtual", secrets.token_hex(8))
        file = write(directory, SIGNAL, CELLS)
        driver = open_driver(settings, file, directory=directory, cache=None, clock=SystemClock())
        return AskedRig(settings, driver)


class StreamRig:
    """A driver at a Unix socket that this rig serves."""

    driver: Driver

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._writer: asyncio.StreamWriter | None = None
        self._mono_ns = 0
        self._chance = random.Random(1)
        self._server: asyncio.Server | None = None

    async def serve(self, path: Path) -> None:
        self._server = await asyncio.start_unix_server(self._joined, path)

    async def speak(self) -> None:
        self._say(PACK, electrical(390))

    async def babble(self) -> None:
        message = nonsense(self._chance)
        self._say(message.arbitration_id, bytes(message.data))

    async def cut(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def mend(self) -> None:
        """Nothing: the driver connects anew."""

    async def close(self) -> None:
        await self.cut()
        if self._server is not None:
            self._server.close()

    async def _joined(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def _say(self, address: int, data: bytes) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._mono_ns += STEP_NS
            at = instant(self._mono_ns)
            self._writer.write(encode(Recorded(Frame(address, data, self._mono_ns), at)))


class TestStream(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        file = profile.load("bmw/i3_replay")
        socket = directory / f"{secrets.token_hex(2)}.sock"
        driver = open_driver(Stream(socket.name), file, directory=directory, cache=None, clock=SystemClock())
        rig = StreamRig(driver)
        await rig.serve(socket)
        return rig


class RecordingRig:
    """A driver over a file that holds it all, the nonsense as well."""

    driver: Driver

    def __init__(self, directory: Path) -> None:
        chance = random.Random(1)
        lines = []
        for number in range(60):
            message = nonsense(chance)
            data = bytes(message.data) if number % 3 == 1 else electrical(380 + number)
            address = message.arbitration_id if number % 3 == 1 else PACK
            lines.append(f"({1700000000 + number / 100:.6f}) can0 {address:03X}#{data.hex().upper()}\n")
        (directory / "bus.log").write_text("".join(lines))
        self.driver = open_driver(
            Recording("bus.log"), profile.load("bmw/i3_replay"), directory=directory, cache=None, clock=SystemClock()
        )

    async def speak(self) -> None:
        """Nothing: all of it is in the file."""

    async def babble(self) -> None:
        """Nothing: likewise."""

    async def cut(self) -> None:
        raise SkipTest("a recording cannot be cut: it is read from a file, and its end is the end of its source")

    async def mend(self) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""


class TestRecording(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        return RecordingRig(directory)
