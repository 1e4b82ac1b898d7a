"""Batteries over Bluetooth, each on a radio in this process: their values, and what happens on the air."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from bumble.att import ATT_Error
from tests.drivers.ble_rig import ADDRESS, KINDS, AirRig, Listener, air_rig, jbd, quick
from tests.drivers.bluetooth import Peripheral

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError
from packseal.core.quantities import BY_KEY, Channel, Quantity
from packseal.core.sample import EventCode, LinkState
from packseal_drivers import profile
from packseal_drivers.ble.allowlist import WRITES
from packseal_drivers.ble.protocols import full
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Ble, SocketCan
from packseal_drivers.testing.ble_batteries import (
    Battery,
    cut,
    jbd_answer,
)

VOLTAGE = Channel(Quantity.PACK_VOLTAGE_V)


def run(directory: Path, name: str, test: Callable[[AirRig, Listener], Awaitable[None]]) -> None:
    async def go() -> None:
        rig, listener = await air_rig(name, directory), Listener()
        try:
            await test(rig, listener)
        finally:
            await listener.stop()
            await rig.close()

    asyncio.run(go())


@pytest.mark.parametrize("name", KINDS)
def test_the_values_are_those_of_the_battery(tmp_path: Path, name: str) -> None:
    async def test(rig: AirRig, listener: Listener) -> None:
        battery = rig.battery
        battery.current_a = -12.5
        listener.start("a", rig.driver)
        told: dict[Channel, float] = {}

        async def speak() -> None:
            if name.startswith("jk"):
                await rig.speak()

        def whole() -> bool:
            for sample in listener.samples["a"]:
                told.update(sample.values)
            return {c.quantity for c in told} >= rig.driver.delivers - {Quantity.STATE_OF_HEALTH_PCT}

        await listener.until(whole, speak)
        assert told[VOLTAGE] == pytest.approx(battery.voltage_v, rel=0.003)
        assert told[Channel(Quantity.CYCLES)] == battery.cycles
        if Quantity.PACK_CURRENT_A in rig.driver.delivers and not name.startswith("jk"):
            assert told[Channel(Quantity.PACK_CURRENT_A)] == -12.5
        if Quantity.CELL_VOLTAGE_V in rig.driver.delivers:
            cells = [channel for channel in told if channel.quantity is Quantity.CELL_VOLTAGE_V]
            assert len(cells) == 16
        assert {(uuid, data) for uuid, data in rig.radio.writes} <= WRITES.get(
            {"jbd/smart_bms": "jbd", "daly/smart_bms": "daly", "jk/jk02_32s": "jk02_32s"}.get(name, ""), frozenset()
        )
        assert rig.driver.counts.short == 0

    run(tmp_path, name, test)


def test_health_summary_and_chemistry_are_no_quantities() -> None:
    delivers = profile.load("bluetooth/battery_service").profile.delivers
    assert Quantity.STATE_OF_HEALTH_PCT not in delivers
    assert {BY_KEY["full_charge_energy_kwh"], BY_KEY["energy_remaining_kwh"]} <= delivers


def test_an_adapter_that_is_pulled_out_is_told_once_and_comes_back(tmp_path: Path) -> None:
    async def test(rig: AirRig, listener: Listener) -> None:
        listener.start("a", rig.driver)
        await listener.until(lambda: len(listener.samples["a"]) > 2)
        rig.radio.is_on = False
        await rig.peripheral.vanish()
        await listener.until(lambda: rig.driver.counts.state is LinkState.LOST)
        await asyncio.sleep(2.5)  # at least one more try
        rig.radio.is_on = True
        await rig.peripheral.appear()
        before = len(listener.samples["a"])
        await listener.until(lambda: len(listener.samples["a"]) > before)
        codes = [notice.code for notice in listener.notices["a"]]
        assert codes == [EventCode.LINK_LOST, EventCode.BUS_RECOVERED]

    run(tmp_path, "jbd/smart_bms", test)


def test_a_device_without_the_service_is_said_to_be_another(tmp_path: Path) -> None:
    async def test(rig: AirRig, listener: Listener) -> None:
        await rig.peripheral.vanish()
        other = Peripheral(rig.radio, "C4:00:00:00:00:02", "other", "FFF0", "FFF1", "FFF2")
        await other.start()
        driver = open_driver(
            Ble(name="other"), quick("jbd/smart_bms", tmp_path), directory=tmp_path, cache=None, clock=SystemClock()
        )
        listener.start("b", driver)
        await listener.until(lambda: bool(listener.notices["b"]))
        (lost,) = listener.notices["b"]
        assert "has no service 0000ff00" in str(lost.attributes["reason"])
        assert not rig.radio.writes

    run(tmp_path, "jbd/smart_bms", test)


def test_a_battery_that_wants_to_be_paired_says_so(tmp_path: Path) -> None:
    async def test(rig: AirRig, listener: Listener) -> None:
        def refuse() -> bytes:
            raise ATT_Error(0x05)  # insufficient authentication

        await rig.peripheral.vanish()
        shy = Peripheral(rig.radio, "C4:00:00:00:00:03", "shy", "180F", values={"2A19": refuse})
        await shy.start()
        file = quick("bluetooth/battery_service", tmp_path)
        driver = open_driver(Ble(name="shy"), file, directory=tmp_path, cache=None, clock=SystemClock())
        listener.start("b", driver)
        await listener.until(lambda: bool(listener.notices["b"]))
        assert "paired" in str(listener.notices["b"][0].attributes["reason"])

    run(tmp_path, "jbd/smart_bms", test)


def test_a_battery_that_answers_nothing_is_silent(tmp_path: Path) -> None:
    async def test(rig: AirRig, listener: Listener) -> None:
        rig.peripheral.answer = lambda _question: []
        driver: Any = rig.driver
        driver._health._silent_ns = 1_000_000_000
        listener.start("a", rig.driver)
        await listener.until(lambda: rig.driver.counts.state is LinkState.SILENT)
        assert [notice.code for notice in listener.notices["a"]] == [EventCode.BUS_SILENT]
        assert rig.driver.counts.unanswered > 0
        battery = rig.battery
        rig.peripheral.answer = lambda question: cut(jbd_answer(battery, question[2]), 20)
        await listener.until(lambda: rig.driver.counts.state is LinkState.HEALTHY)

    run(tmp_path, "jbd/smart_bms", test)


def test_batteries_take_turns_and_a_dead_one_delays_nobody(tmp_path: Path) -> None:
    async def test(rig: AirRig, listener: Listener) -> None:
        others = [jbd(rig.radio, f"C4:00:00:00:00:1{i}", Battery(random.Random(i))) for i in range(2)]
        for other in others:
            await other.start()
        addresses = [ADDRESS, "C4:00:00:00:00:10", "C4:00:00:00:00:11", "C4:00:00:00:00:99"]
        drivers: dict[str, Any] = {
            address: open_driver(
                Ble(address=address, connections=1, turn_s=1.0),
                quick("jbd/smart_bms", tmp_path),
                directory=tmp_path,
                cache=None,
                clock=SystemClock(),
                period_s=0,
            )
            for address in addresses
        }
        for address, driver in drivers.items():
            listener.start(address, driver)
        peripherals = [rig.peripheral, *others]

        def all_twice() -> bool:
            held = sum(p.is_connected for p in peripherals)
            assert held <= 1, "two connections where the adapter holds one"
            return all(p.connections >= 2 for p in peripherals)

        begun_s = time.monotonic()
        await listener.until(all_twice)
        assert time.monotonic() - begun_s < 15
        for address in addresses[:3]:
            assert listener.samples[address]
            assert not listener.notices[address], "to give a connection away is no trouble"
            assert drivers[address].counts.state is LinkState.HEALTHY
        assert not listener.samples[addresses[3]]

    run(tmp_path, "jbd/smart_bms", test)


def test_wire_and_profile_must_fit(tmp_path: Path) -> None:
    def opened(settings: Ble | SocketCan, name: str) -> None:
        open_driver(settings, profile.load(name), directory=tmp_path, cache=None, clock=SystemClock())

    with pytest.raises(ConfigError, match='it is read over kind = "ble"'):
        opened(SocketCan("can0"), "jbd/smart_bms")
    with pytest.raises(ConfigError, match="not read over Bluetooth"):
        opened(Ble(name="x"), "pylontech/can")
    with pytest.raises(ConfigError, match="aiobmsble"):
        opened(Ble(name="x", type="jbd_bms"), "jbd/smart_bms")


def test_full_uuids() -> None:
    assert full("ff01") == "0000ff01-0000-1000-8000-00805f9b34fb"
