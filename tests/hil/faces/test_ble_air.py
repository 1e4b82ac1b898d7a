"""The air: what a gateway's kernel relies on and bumble's own does not do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from bumble.device import Device
from bumble.hci import (
    Address,
    HCI_ErrorCode,
    HCI_LE_Create_Connection_Cancel_Command,
    HCI_Reset_Command,
    OwnAddressType,
)
from bumble.host import Host
from bumble.ll import AdvInd
from bumble.transport.common import AsyncPipeSink
from tests.hil.faces.gateway_end import until

from packseal_hil.faces import ble_air
from packseal_hil.faces.ble_air import Air, AirController

WAIT_S = 10
BATTERY = "C4:00:00:00:00:01"


async def on(air: Air, name: str, address: str) -> tuple[AirController, Device]:
    controller = AirController(name, link=air, public_address=address)
    device = Device(name=name, address=Address(address), host=Host(controller, AsyncPipeSink(controller)))
    await device.power_on()
    return controller, device


def play(test: Callable[[Air, Any, Any, Any, Any], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ble_air, "SUPERVISION_S", 0.3)

    async def go() -> None:
        air = Air()
        mine, battery = await on(air, "battery", BATTERY)
        theirs, central = await on(air, "central", "F0:00:00:00:00:01")
        await battery.start_advertising(auto_restart=True)
        await test(air, mine, battery, theirs, central)

    asyncio.run(go())


def test_a_connection_out_of_reach_is_over_for_both_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(air: Air, mine: Any, battery: Any, _theirs: Any, central: Any) -> None:
        connection = await central.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=WAIT_S)
        reasons: list[int] = []
        connection.on("disconnection", reasons.append)
        air.take_away(mine)
        assert not reasons
        await until(lambda: bool(reasons) and not battery.connections, WAIT_S)
        assert reasons == [HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR]
        with pytest.raises(Exception, match=r".*"):
            await central.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=0.5)
        air.bring_back(mine)
        await central.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=WAIT_S)
        assert battery.connections

    play(test, monkeypatch)


def test_an_attempt_that_is_cancelled_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(air: Air, mine: Any, battery: Any, theirs: Any, central: Any) -> None:
        air.take_away(mine)
        attempt = asyncio.create_task(central.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=None))
        await until(lambda: theirs.pending_le_connection is not None, WAIT_S)
        await central.host.send_command(HCI_LE_Create_Connection_Cancel_Command())
        with pytest.raises(Exception, match=r".*"):
            await asyncio.wait_for(attempt, WAIT_S)
        assert theirs.pending_le_connection is None
        air.bring_back(mine)
        await asyncio.sleep(0.3)
        assert not battery.connections, "an attempt that was cancelled has made a connection"

    play(test, monkeypatch)


def test_a_controller_that_is_reset_or_removed_is_lost_to_its_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(air: Air, _mine: Any, battery: Any, theirs: Any, central: Any) -> None:
        await central.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=WAIT_S)
        await until(lambda: bool(battery.connections), WAIT_S)
        theirs.on_hci_reset_command(HCI_Reset_Command())
        await until(lambda: not battery.connections, WAIT_S)
        also_theirs, other = await on(air, "other", "F0:00:00:00:00:02")
        connection = await other.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=WAIT_S)
        await until(lambda: bool(battery.connections), WAIT_S)
        air.remove(also_theirs)
        await until(lambda: not battery.connections, WAIT_S)
        assert connection is not None

    play(test, monkeypatch)


def test_who_connects_to_nobody_is_told_so_and_the_removed_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(air: Air, mine: Any, battery: Any, theirs: Any, central: Any) -> None:
        _, other = await on(air, "other", "F0:00:00:00:00:02")
        await other.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=WAIT_S)
        await until(lambda: bool(battery.connections), WAIT_S)
        mine.le_legacy_advertiser.enabled = False
        attempt = asyncio.create_task(central.connect(BATTERY, own_address_type=OwnAddressType.PUBLIC, timeout=WAIT_S))
        await until(lambda: theirs.pending_le_connection is not None, WAIT_S)
        theirs.on_advertising_pdu(AdvInd(advertiser_address=Address(BATTERY), data=b""))  # which was late
        connection = await attempt
        ended: list[int] = []
        connection.on("disconnection", ended.append)
        await until(lambda: bool(ended), WAIT_S)
        assert len(battery.connections) == 1
        heard: list[Any] = []
        central.on("advertisement", heard.append)
        await central.start_scanning()
        air.remove(mine)
        air.send_advertising_pdu(mine, AdvInd(advertiser_address=Address(BATTERY), data=b""))
        await asyncio.sleep(0.3)
        assert not heard

    play(test, monkeypatch)
