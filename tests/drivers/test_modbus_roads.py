"""Modbus over real TCP, TLS, RTU over TCP and a serial line, against pymodbus' own servers."""

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import Callable, Coroutine
from contextlib import aclosing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest
from tests.drivers.modbus_devices import HOST, Device, SerialLine, placed, serial_server, tcp_server, tls_server

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Flaw, LinkState, Notice, Sample
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


@pytest.mark.parametrize("transport", ["tcp", "rtu_over_tcp"])
def test_tcp(transport: str, tmp_path: Path) -> None:
    async def body() -> None:
        far = device()
        async with tcp_server(far, rtu=transport == "rtu_over_tcp") as port:
            driver = opened(tmp_path, write(tmp_path), transport=transport, host=HOST, port=port)
            async with Listening(driver) as heard:
                await heard.until(lambda: len(heard.samples) > 2)
            check(heard.samples[0])
            assert set(far.asked) == {(3, 100, 3), (4, 200, 4)}, "two requests are enough"
            counts = driver.counts
            assert counts.state is LinkState.HEALTHY
            assert counts.requests >= 6
            assert (counts.unanswered, counts.cut, counts.unexpected, counts.refused) == (0, 0, 0, 0)

    run(body)


@pytest.mark.parametrize("mutual", [False, True])
def test_tls(tmp_path: Path, *, mutual: bool) -> None:
    async def body() -> None:
        async with tls_server(device(), tmp_path, mutual=mutual) as port:
            own = {"certificate": "ca.pem", "key": "ca.key"} if mutual else {}
            settings = {"transport": "tls", "authorities": "ca.pem", "timeout_s": 5.0, **own}
            driver = opened(tmp_path, write(tmp_path), host=HOST, port=port, **settings)
            async with Listening(driver) as heard:
                await heard.until(lambda: bool(heard.samples))
            check(heard.samples[0])

    run(body)


def test_tls_without_trust_is_a_lost_link_that_says_why(tmp_path: Path) -> None:
    async def body() -> None:
        async with tls_server(device(), tmp_path) as port:
            driver = opened(tmp_path, write(tmp_path), transport="tls", host=HOST, port=port)
            async with Listening(driver) as heard:
                await heard.until(lambda: bool(heard.notices))
            assert heard.codes() == [EventCode.LINK_LOST]
            assert "CERTIFICATE_VERIFY_FAILED" in str(heard.notices[0].attributes["reason"])

    run(body)


def serial(directory: Path, line: SerialLine, unit: int = 1) -> Driver:
    return opened(directory, write(directory), transport="rtu", device=line.near, unit=unit, baud=19200)


def test_a_serial_line(tmp_path: Path) -> None:
    async def body() -> None:
        with SerialLine() as line:
            async with serial_server(line.far, device(1), device(2)):
                drivers = [serial(tmp_path, line, unit) for unit in (1, 2)]
                async with Listening(drivers[0]) as first, Listening(drivers[1]) as second:
                    await first.until(lambda: len(first.samples) > 2 and len(second.samples) > 2)
                check(first.samples[0])
                check(second.samples[0])
                assert drivers[0].counts.cut == 0

    run(body)


def test_an_adapter_that_repeats_what_is_sent(tmp_path: Path) -> None:
    async def body() -> None:
        with SerialLine() as line:
            line.echo = True
            async with serial_server(line.far, device(1)):
                settings = {"transport": "rtu", "device": line.near, "baud": 19200, "local_echo": True}
                driver = opened(tmp_path, write(tmp_path), **settings)
                async with Listening(driver) as heard:
                    await heard.until(lambda: len(heard.samples) > 2)
                check(heard.samples[0])
                assert (driver.counts.cut, driver.counts.unexpected) == (0, 0)

    run(body)


def test_a_device_without_our_certificate_is_a_lost_link(tmp_path: Path) -> None:
    async def body() -> None:
        async with tls_server(device(), tmp_path, mutual=True) as port:
            driver = opened(tmp_path, write(tmp_path), transport="tls", host=HOST, port=port, authorities="ca.pem")
            async with Listening(driver) as heard:
                await heard.until(lambda: EventCode.LINK_LOST in heard.codes())
            assert not heard.samples

    run(body)


def test_noise_on_a_serial_line_costs_samples_and_falsifies_none(tmp_path: Path) -> None:
    chance = random.Random(3)

    def spoil(data: bytes) -> bytes:
        if chance.random() < 0.7:
            return data
        noise = bytearray(data)
        noise[chance.randrange(len(noise))] ^= 1 << chance.randrange(8)
        return bytes(noise) if chance.random() < 0.5 else chance.randbytes(3) + bytes(noise)

    async def body() -> None:
        with SerialLine() as line:
            line.spoil = spoil
            async with serial_server(line.far, device(1)):
                driver = opened(
                    tmp_path, write(tmp_path), transport="rtu", device=line.near, baud=19200, timeout_s=0.1
                )  # fmt: skip
                async with Listening(driver) as heard:
                    await heard.until(lambda: driver.counts.cut > 3 and len(heard.samples) > 10, 50)
        whole = {channel: value for sample in heard.samples for channel, value in sample.values.items()}
        for sample in heard.samples:
            assert all(whole[channel] == value for channel, value in sample.values.items())
        check(Sample(heard.samples[0].at, whole, {Channel(CELL, 2): Flaw.NOT_AVAILABLE}))

    run(body)


def test_an_adapter_that_is_pulled_out_is_a_lost_link(tmp_path: Path) -> None:
    async def body() -> None:
        with SerialLine() as line:
            async with serial_server(line.far, device(1)):
                driver = serial(tmp_path, line)
                async with Listening(driver) as heard:
                    await heard.until(lambda: bool(heard.samples))
                    line.unplug()
                    await heard.until(lambda: EventCode.LINK_LOST in heard.codes())
                    await asyncio.sleep(0.5)
                    # In between it is tried again, which is another state for a moment.
                    await heard.until(lambda: driver.counts.state is LinkState.LOST)
                assert heard.codes() == [EventCode.LINK_LOST]

    run(body)


def test_a_device_that_is_gone_is_told_once_and_found_again(tmp_path: Path) -> None:
    async def body() -> None:
        file = write(tmp_path)
        async with tcp_server(device()) as port:
            driver = opened(tmp_path, file, host=HOST, port=port)
            listening = Listening(driver)
            async with listening:
                await listening.until(lambda: bool(listening.samples))
                await _restart(listening, port)
        assert listening.codes() == [EventCode.LINK_LOST, EventCode.BUS_RECOVERED]
        assert driver.counts.state is LinkState.HEALTHY

    async def _restart(listening: Listening, port: int) -> None:
        from pymodbus.server import ServerAsyncStop  # noqa: PLC0415

        await ServerAsyncStop()
        await listening.until(lambda: EventCode.LINK_LOST in listening.codes())
        before = len(listening.samples)
        async with tcp_server(device(), port=port):
            await listening.until(lambda: len(listening.samples) > before)

    run(body)


def test_a_dead_unit_costs_the_others_its_time_out_now_and_then_and_nothing_else(tmp_path: Path) -> None:
    async def body() -> None:
        async with tcp_server(device(1), device(2)) as port:
            file = write(tmp_path)
            drivers = [opened(tmp_path, file, host=HOST, port=port, unit=unit, timeout_s=0.3) for unit in (1, 2, 9)]
            async with Listening(drivers[0]) as first, Listening(drivers[1]) as second, Listening(drivers[2]) as dead:
                await first.until(lambda: len(first.samples) >= 40 and EventCode.BUS_SILENT in dead.codes())
                await second.until(lambda: len(second.samples) >= 40)
            for heard in (first, second):
                times = [sample.at.mono_ns / 1e9 for sample in heard.samples]
                assert max(b - a for a, b in pairwise(times)) < 4 * (0.3 + 0.1)
                assert heard.driver.counts.unanswered == 0
                assert not heard.codes()
            assert dead.codes() == [EventCode.BUS_SILENT]
            assert 1 <= drivers[2].counts.unanswered <= 5, "it is asked less and less often"

    run(body)


def test_the_batteries_behind_one_address_share_one_connection(tmp_path: Path) -> None:
    async def body() -> None:
        connections = 0

        async def count(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            with suppress(ConnectionError):
                await asyncio.sleep(1)
            writer.close()

        server = await asyncio.start_server(count, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        file = write(tmp_path)
        drivers = [opened(tmp_path, file, host=HOST, port=port, unit=unit, timeout_s=0.2) for unit in range(1, 6)]
        listening = [Listening(driver) for driver in drivers]
        for heard in listening:
            await heard.__aenter__()
        await listening[0].until(lambda: all(d.counts.requests for d in drivers[:3]))
        for heard in listening:
            await heard.__aexit__()
        assert connections == 1
        server.close()

    run(body)


def test_who_describes_one_connection_in_two_ways_is_told_so(tmp_path: Path) -> None:
    file = write(tmp_path)
    first = opened(tmp_path, file, transport="rtu", device="/dev/ttyX", unit=1, baud=9600)
    with pytest.raises(ConfigError, match="two batteries behind serial line /dev/ttyX must describe it alike"):
        opened(tmp_path, file, transport="rtu", device="/dev/ttyX", unit=2, baud=19200)
    assert (
        opened(tmp_path, file, transport="rtu", device="/dev/ttyX", unit=2, baud=9600, timeout_s=3.0).name == first.name
    )


@pytest.mark.parametrize(
    ("package", "transport"), [("pymodbus", "host='h'"), ("serial", "transport='rtu', device='/dev/ttyX'")]
)
def test_without_its_package_modbus_says_what_to_install(package: str, transport: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pathlib import Path\n"
        "from packseal.core.errors import ConfigError\n"
        "from packseal_drivers.modbus.bus import bus_for\n"
        "from packseal_drivers.settings import Modbus\n"
        f"try: bus_for(Modbus({transport}), Path())\n"
        "except ConfigError as error: print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "Modbus needs another package: pip install 'packseal[modbus]'\n"


def test_only_what_is_needed_is_imported() -> None:
    """A gateway without a Modbus battery does not load pymodbus, and one with it only when it connects."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "import packseal_drivers.registry\n"
        "from packseal_drivers.modbus.bus import bus_for\n"
        "from packseal_drivers.settings import Modbus\n"
        "bus_for(Modbus(host='h'), Path())\n"
        "print([m for m in sys.modules if m.startswith('pymodbus')])\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "[]\n"


def test_a_profile_of_another_wire_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not fit the link: it is not read over Modbus"):
        opened(tmp_path, load("victron/can_bms"), host=HOST)
    from packseal_drivers.settings import SocketCan  # noqa: PLC0415

    with pytest.raises(ConfigError, match='does not fit the link: it is read over kind = "modbus"'):
        open_driver(SocketCan("can0"), write(tmp_path), directory=tmp_path, cache=None, clock=SystemClock())
