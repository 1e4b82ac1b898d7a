"""A battery on a bus: the serial adapter's, read and asked by the product's own driver parts at the other end."""

import asyncio
import time
from pathlib import Path

import pytest
from tests.hil.faces.gateway_end import until, wired
from tests.hil.faces.packs import SlowPack
from tests.hil.faces.reading import decoders_of, heard, stamp

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, Frame, LinkCounts
from packseal_drivers.doubles import DoubleWatch
from packseal_hil.faces import Conduct, Manner, SecondDevice, WiredBattery
from packseal_hil.rig.protocols import BusFault

REFERENCE, KONA = "packseal/reference96", "hyundai/kona_uds"


def test_it_lives_and_speaks_in_real_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            pack = SlowPack()
            async with WiredBattery(REFERENCE, pack, bus) as battery:
                await until(lambda: battery.time_s > 1.5)
                lived_s = battery.time_s
            assert pack.time_s == pytest.approx(lived_s, abs=0.5)
            await until(lambda: len(gateway.frames()) == bus.sent)
            frames = gateway.frames()
            electrical = sum(f.address == 0x300 for f in frames)
            assert 100 * lived_s * 0.6 < electrical <= 100 * lived_s + 3  # every 10 ms, but for a machine that is busy
            said, _ = heard(REFERENCE, frames[-200:])
            assert said[Channel(Quantity.PACK_VOLTAGE_V)] == pytest.approx(345.6, abs=1)
            assert {c for c in said if c.quantity is Quantity.CELL_VOLTAGE_V} == {
                Channel(Quantity.CELL_VOLTAGE_V, i) for i in range(96)
            }
            quiet = len(gateway.frames())
            await asyncio.sleep(0.1)
            assert len(gateway.frames()) == quiet

    asyncio.run(scenario())


def test_faster_time_leaves_the_bus_as_it_is(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, _):
            pack = SlowPack()
            async with WiredBattery(REFERENCE, pack, bus, speed=1000) as battery:
                await until(lambda: battery.time_s > 0.5)
                lived_s = battery.time_s
            assert pack.time_s == pytest.approx(1000 * lived_s, rel=0.5)
            assert battery.frames < 400 * lived_s

    asyncio.run(scenario())


def test_a_bus_in_trouble_does_not_stop_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            pack = SlowPack()
            async with WiredBattery(REFERENCE, pack, bus):
                await until(lambda: bus.sent > 20)
                await bus.fault(BusFault.UNPLUGGED)
                sent, at_s = bus.sent, pack.time_s
                await until(lambda: pack.time_s > at_s + 0.3 and bus.lost > 5)
                assert bus.sent == sent
                await bus.fault(BusFault.NONE)
                await until(lambda: bus.sent > sent + 20)
                await gateway.die()
                at_s = pack.time_s
                await until(lambda: pack.time_s > at_s + 0.3)

    asyncio.run(scenario())


def test_it_answers_over_the_bus(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            conduct = Conduct()
            async with WiredBattery(KONA, SlowPack(), bus, conduct=conduct):
                await gateway.say("t7E4803220101AAAAAAAA\r")
                await until(lambda: any(f.data.startswith(b"\x10") for f in gateway.frames()))
                await gateway.say("t7E4830000000000000\r")  # a length that its data have not
                await gateway.say("t7E483000000000000000\r")
                await until(lambda: b"t7EC8" in gateway.text and gateway.frames()[-1].data[0] >= 0x27)
                frames = gateway.frames()
                assert {f.address for f in frames} == {0x7EC}
                assert [f.data[0] & 0x0F for f in frames[1:]] == list(range(1, len(frames)))
                conduct.manner = Manner.SILENT
                await gateway.say("t7E4803220101AAAAAAAA\r")
                await asyncio.sleep(0.2)
                assert len(gateway.frames()) == len(frames)

    asyncio.run(scenario())


def test_a_second_device_is_noticed(tmp_path: Path) -> None:
    async def scenario() -> list[EventCode]:
        async with wired(tmp_path) as (bus, gateway):
            first = WiredBattery(REFERENCE, SlowPack(), bus.node("first"))
            second = SecondDevice(REFERENCE, SlowPack(shift_pct=-20), bus.node("second"))
            watch = DoubleWatch(decoders_of(REFERENCE), LinkCounts())
            found: list[EventCode] = []
            read = 0

            def noticed() -> bool:
                nonlocal read
                frames = gateway.frames()
                now_ns = time.monotonic_ns()
                new = [Frame(*f, now_ns) for f in frames[read:]]
                found.extend(n.code for n in watch.feed(new, stamp(now_ns)))
                read = len(frames)
                return bool(found)

            async with first, second:
                await until(noticed)
            return found

    assert asyncio.run(scenario()) == [EventCode.ADDRESS_CLASH]
