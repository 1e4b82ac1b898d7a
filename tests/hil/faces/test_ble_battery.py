"""A simulated battery on the air, read by the agent's own driver over the radio of this process, with faults."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from bumble.device import Device
from bumble.hci import Address
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink
from tests.drivers.ble_rig import Listener, quick
from tests.drivers.bleak_on_bumble import installed
from tests.drivers.bluetooth import GATEWAY, Radio
from tests.hil.faces.packs import SlowPack

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, LinkState
from packseal_drivers.driver import Driver
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Ble
from packseal_hil.faces import ble_air
from packseal_hil.faces.ble_air import Air, AirController
from packseal_hil.faces.ble_battery import ADDRESS, BleBattery
from packseal_hil.faces.ble_phone import Phone
from packseal_hil.rig.protocols import RigError

WAIT_S = 20
LOST_AND_FOUND = [EventCode.LINK_LOST, EventCode.BUS_RECOVERED]
PROFILES = ["jbd/smart_bms", "daly/smart_bms", "jk/jk02_24s", "jk/jk02_32s", "bluetooth/battery_service"]


class Reach(Radio):
    """A radio on an air with a reach; notes when it was asked for."""

    def _make(self) -> None:
        self.air = Air()
        self.adapter = AirController("gateway", link=self.air, public_address=GATEWAY)
        host = Host(self.adapter, AsyncPipeSink(self.adapter))
        self.central = Device(name="gateway", address=Address(GATEWAY), host=host)
        self.tried_s: list[float] = []

    def check(self) -> None:
        self.tried_s.append(time.monotonic())
        super().check()


class Scene:
    """One battery, one driver and what it says."""

    def __init__(self, radio: Reach, battery: BleBattery, driver: Driver, listener: Listener) -> None:
        self.radio, self.battery, self.driver, self.listener = radio, battery, driver, listener

    @property
    def samples(self) -> int:
        return len(self.listener.samples["a"])

    @property
    def codes(self) -> list[EventCode]:
        return [notice.code for notice in self.listener.notices["a"]]

    async def until(self, met: Callable[[], bool]) -> None:
        await self.listener.until(met)

    async def more(self) -> None:
        """Return when there are further samples."""
        before = self.samples
        await self.until(lambda: self.samples > before + 2)

    async def lost(self) -> None:
        await self.until(lambda: self.driver.counts.state is LinkState.LOST)


def play(directory: Path, test: Callable[[Scene], Awaitable[None]], profile: str = "jbd/smart_bms") -> None:
    async def go() -> None:
        radio, listener = Reach(), Listener()
        await radio.start()
        battery = BleBattery(profile, SlowPack(16), radio.air)
        file = quick(profile, directory)
        driver = open_driver(
            Ble(address=ADDRESS), file, directory=directory, cache=None, clock=SystemClock(), period_s=0
        )
        with installed(radio):
            async with battery:
                listener.start("a", driver)
                try:
                    await test(Scene(radio, battery, driver, listener))
                finally:
                    await listener.stop()

    asyncio.run(go())


@pytest.mark.parametrize("profile", PROFILES)
def test_the_agents_driver_reads_what_the_battery_says(tmp_path: Path, profile: str) -> None:
    async def test(scene: Scene) -> None:
        pack = SlowPack(16)
        await scene.until(lambda: scene.samples > 8)
        told: dict[Channel, float] = {}
        for sample in scene.listener.samples["a"]:
            told |= sample.values
        truth = pack.said()
        assert told[Channel(Quantity.PACK_VOLTAGE_V)] == pytest.approx(
            truth[Channel(Quantity.PACK_VOLTAGE_V)], rel=0.01
        )
        assert told[Channel(Quantity.STATE_OF_CHARGE_PCT)] == pytest.approx(50, abs=1)
        assert told[Channel(Quantity.TEMPERATURE_C)] == pytest.approx(25, abs=0.6)
        cells = [channel for channel in told if channel.quantity is Quantity.CELL_VOLTAGE_V]
        assert len(cells) == (0 if profile == "bluetooth/battery_service" else 16)
        assert scene.battery.connections == 1
        assert scene.battery.requests > 0
        assert not scene.listener.notices["a"] or profile.startswith("jk")  # of which the state of health is none

    play(tmp_path, test, profile)


def test_out_of_range_is_one_loss_and_one_recovery(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.more()
        began_s = time.monotonic()
        scene.radio.air.take_away(scene.battery.controller)
        await scene.lost()
        assert time.monotonic() - began_s > ble_air.SUPERVISION_S * 0.9
        before = scene.samples
        await asyncio.sleep(1)
        assert scene.samples <= before + 1, "a value of a battery that is not heard"
        scene.radio.air.bring_back(scene.battery.controller)
        await scene.more()
        assert scene.codes == LOST_AND_FOUND
        assert scene.battery.connections == 2

    play(tmp_path, test)


def test_an_adapter_that_is_gone_is_asked_for_less_and_less_often(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.more()
        scene.radio.is_on = False
        scene.radio.air.take_away(scene.radio.adapter)  # as the battery sees it
        await scene.lost()
        began = len(scene.radio.tried_s)
        await asyncio.sleep(8)
        tries = scene.radio.tried_s[began:]
        assert 1 <= len(tries) <= 5, "1, 2, 4 and 8 seconds, each a fifth more or less"
        pauses = [late - early for early, late in pairwise(tries)]
        assert all(after > 1.2 * before for before, after in pairwise(pauses)), pauses
        scene.radio.is_on = True
        scene.radio.air.bring_back(scene.radio.adapter)
        await scene.more()
        assert scene.codes == LOST_AND_FOUND

    play(tmp_path, test)


def test_a_phone_has_the_only_connection_until_it_lets_go(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.more()
        phone = Phone(scene.radio.air, ADDRESS)
        phone.take()
        await asyncio.sleep(0.5)
        assert not phone.holds.is_set(), "two connections to a battery that holds one"
        scene.radio.air.take_away(scene.radio.adapter)
        await scene.lost()
        await asyncio.wait_for(phone.holds.wait(), WAIT_S)
        scene.radio.air.bring_back(scene.radio.adapter)
        before, connections = scene.samples, scene.battery.connections
        await asyncio.sleep(3)
        assert scene.samples <= before + 1
        assert scene.battery.connections == connections
        await phone.let_go()
        await scene.more()
        assert scene.codes == LOST_AND_FOUND

    play(tmp_path, test)


def test_a_battery_that_is_switched_off_does_not_answer(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        await scene.more()
        scene.battery.mute = True
        await scene.until(lambda: scene.driver.counts.unanswered > 0)
        scene.battery.mute = False
        await scene.more()

    play(tmp_path, test)


def test_what_nobody_speaks_over_bluetooth_is_refused() -> None:
    async def go(profile: str) -> None:
        BleBattery(profile, SlowPack(16), Air())

    with pytest.raises(RigError, match="none that a simulated battery speaks over Bluetooth"):
        asyncio.run(go("pylontech/can"))
    with pytest.raises(RigError, match="none that"):
        asyncio.run(go("aiobmsble/any"))
    with pytest.raises(ConfigError):
        asyncio.run(go("no/such"))
