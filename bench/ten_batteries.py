"""Ten batteries on their wires, served from here: four on CAN, three on two Modbus connections, three over Bluetooth.

CAN is the kernel's where the interfaces vcan0 to vcan3 are up; else each bus is a stream of frames, as in
docs/formats/stream.md.
"""

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import frames, medium
from bench.installation import STREAM_HEADER
from bench.ten_bluez import Bluez, Peripheral, bus
from bench.ten_registers import Unit, served
from packseal.core.sample import ClockQuality
from packseal_drivers import profile
from packseal_drivers.testing.ble_batteries import Battery, cut, daly_answer, jbd_answer, jk02_frame

CAN = {"packseal/reference96": 0.1, "orion/bms2": 0.5, "victron/can_bms": 0.25, "pylontech/can": 0.25}
"""Profile, and seconds in which the battery has said everything once."""
CYCLES = 20
"""Different ones before they begin again."""
EXTENDED = 1 << 31
JK_SAYS_S = 0.5
NOTIFICATION_BYTES = 20


@dataclass
class Ten:
    """The batteries, and where they are. `links`: the [battery.link] tables, by the battery's name."""

    profiles: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    peripherals: dict[str, Peripheral] = field(default_factory=dict)
    dbus: str = ""
    medium: str = ""

    def toml(self) -> str:
        """Return the [[battery]] tables."""
        return "".join(
            f'[[battery]]\nid = "{subject(name)}"\nprofile = "{self.profiles[name]}"\n[battery.link]\n{link}\n'
            for name, link in self.links.items()
        )


def subject(name: str) -> str:
    """Return a battery's id."""
    return f"urn:packseal:battery:{name}"


@asynccontextmanager
async def on_their_wires(folder: Path) -> AsyncIterator[Ten]:
    """Serve all ten until left."""
    ten = Ten()
    async with AsyncExitStack() as stack:
        buses = _interfaces(len(CAN))
        ten.medium = "kernel CAN" if buses else "streams of frames, for want of kernel CAN (vcan0 to vcan3)"
        for number, (name, cycle_s) in enumerate(CAN.items()):
            await _can(ten, f"can-{number + 1}", name, cycle_s, buses[number] if buses else folder, stack)
        await _modbus(ten, stack)
        ten.dbus = stack.enter_context(bus(folder))
        await _bluetooth(ten, stack)
        yield ten


def _interfaces(count: int) -> list[str]:
    names = [f"vcan{number}" for number in range(count)]
    try:
        for name in names:
            with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as probe:
                probe.bind((name,))
    except (OSError, AttributeError):  # no such interface, no CAN in the kernel, or none in this Python
        return []
    return names


async def _can(ten: Ten, key: str, name: str, cycle_s: float, where: str | Path, stack: AsyncExitStack) -> None:
    file = profile.load(name)
    count = len(frames.cycle(file))
    said = frames.sound(file, count * CYCLES)
    ten.profiles[key] = name
    if isinstance(where, str):
        ten.links[key] = f'kind = "socketcan"\nchannel = "{where}"'
        end = stack.enter_context(medium.sending(where, 0))
        send = _raw(end)
        task = asyncio.create_task(_speak(said, count, cycle_s, send), name=key)
        stack.callback(task.cancel)
        return
    path = where / key
    ten.links[key] = f'kind = "stream"\npath = "{path}"'

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):  # the agent has gone
            await _speak(said, count, cycle_s, lambda part: _stream(writer, part))

    server = await asyncio.start_unix_server(serve, path)
    stack.callback(server.close)


Send = Callable[[Sequence[frames.Frame]], None]


async def _speak(said: Sequence[frames.Frame], count: int, cycle_s: float, send: Send) -> None:
    loop, turn = asyncio.get_running_loop(), 0
    begun_s = loop.time()
    while True:
        first = turn % CYCLES * count
        send(said[first : first + count])
        turn += 1
        await asyncio.sleep(max(0.0, begun_s + turn * cycle_s - loop.time()))


def _stream(writer: asyncio.StreamWriter, part: Sequence[frames.Frame]) -> None:
    if writer.is_closing():
        raise ConnectionResetError
    mono_ns, wall_ns = time.monotonic_ns(), time.time_ns()
    writer.writelines(
        STREAM_HEADER.pack(mono_ns, wall_ns, address, len(data), ClockQuality.NTP) + data for address, data in part
    )


def _raw(end: socket.socket) -> Send:
    def send(part: Sequence[frames.Frame]) -> None:
        for address, data in part:
            flag = EXTENDED if address > 0x7FF else 0
            end.send(medium.CAN_FRAME.pack(address | flag, len(data), data))

    return send


async def _modbus(ten: Ten, stack: AsyncExitStack) -> None:
    pace, seplos, far = Unit("pace/rs485", 1), Unit("seplos/v3", 2), Unit("pace/rs485", 3)
    ten.units = {"modbus-1": pace, "modbus-2": seplos, "modbus-3": far}
    gateway = await stack.enter_async_context(served([pace, seplos], rtu=False))
    line = await stack.enter_async_context(served([far], rtu=True))
    for key, unit in ten.units.items():
        port, transport = (line, "rtu_over_tcp") if unit is far else (gateway, "tcp")
        ten.profiles[key] = unit.profile
        ten.links[key] = (
            f'kind = "modbus"\ntransport = "{transport}"\nhost = "127.0.0.1"\nport = {port}\nunit = {unit.number}'
        )


async def _bluetooth(ten: Ten, stack: AsyncExitStack) -> None:
    jbd, daly, jk = (Battery(random.Random(number)) for number in range(3))
    ten.peripherals = {
        "ble-1": Peripheral("A4:C1:38:00:00:01", "JBD-1", "FF00", "FF01", "FF02", _jbd(jbd)),
        "ble-2": Peripheral("A4:C1:38:00:00:02", "DL-1", "FFF0", "FFF1", "FFF2", _daly(daly)),
        "ble-3": Peripheral("A4:C1:38:00:00:03", "JK-1", "FFE0", "FFE1", "FFE1", lambda _question: []),
    }
    ten.profiles |= {"ble-1": "jbd/smart_bms", "ble-2": "daly/smart_bms", "ble-3": "jk/jk02_32s"}
    for key, peripheral in ten.peripherals.items():
        ten.links[key] = f'kind = "ble"\naddress = "{peripheral.address}"'
    service = await stack.enter_async_context(Bluez(ten.dbus, list(ten.peripherals.values())))
    task = asyncio.create_task(_jk_speaks(service, ten.peripherals["ble-3"], jk), name="jk")
    stack.callback(task.cancel)


def _jbd(battery: Battery) -> Callable[[bytes], list[bytes]]:
    def answer(question: bytes) -> list[bytes]:
        battery.advance(0.5)
        return cut(jbd_answer(battery, question[2]), NOTIFICATION_BYTES)

    return answer


def _daly(battery: Battery) -> Callable[[bytes], list[bytes]]:
    def answer(_question: bytes) -> list[bytes]:
        battery.advance(1)
        return cut(daly_answer(battery), NOTIFICATION_BYTES)

    return answer


async def _jk_speaks(service: Bluez, peripheral: Peripheral, battery: Battery) -> None:
    """Say the cells twice a second by itself, once it was asked."""
    counter = 0
    while True:
        await asyncio.sleep(JK_SAYS_S)
        battery.advance(JK_SAYS_S)
        counter += 1
        if peripheral.questions:
            service.say(peripheral, cut(jk02_frame(battery, counter), 128))
