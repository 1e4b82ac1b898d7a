"""Modbus over a serial line: adapters that echo, noise, and what is pulled out."""

import asyncio
import random
from pathlib import Path

from tests.drivers.modbus_devices import SerialLine, serial_server
from tests.drivers.modbus_listening import CELL, Listening, check, device, opened, run, write

from packseal.core.quantities import Channel
from packseal.core.sample import EventCode, Flaw, LinkState, Sample
from packseal_drivers.driver import Driver


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
