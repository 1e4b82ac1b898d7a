"""The Bluetooth battery, read by a central whose host is at the UART as the gateway's kernel is."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import pytest
from bumble.core import UUID
from bumble.device import Device, Peer
from bumble.gatt import GATT_BATTERY_LEVEL_CHARACTERISTIC, GATT_BATTERY_SERVICE
from bumble.hci import Address, OwnAddressType
from bumble.host import Host
from bumble.transport import open_transport
from tests.hil.faces.gateway_end import until

from packseal_hil.faces import bluetooth
from packseal_hil.faces.bluetooth import BATTERY_ADDRESS, NAME, VOLTAGE, Peripheral
from packseal_hil.rig.protocols import RigError

WAIT_S = 30


async def central(path: Path) -> tuple[Any, Device]:
    """Return a host at a Unix socket that listens, as QEMU's does, and its transport."""
    transport = await open_transport(f"unix-server:{path}")
    device = Device(name="gateway", address=Address("F9:00:00:00:00:01"), host=Host())
    device.host.set_packet_sink(transport.sink)
    transport.source.set_packet_sink(device.host)
    return transport, device


@pytest.mark.parametrize("own", [OwnAddressType.PUBLIC, OwnAddressType.RANDOM])
def test_a_central_finds_reads_and_is_notified(tmp_path: Path, own: OwnAddressType) -> None:
    async def scenario() -> None:
        path = tmp_path / "h4"
        transport, device = await central(path)
        level = [61.4]
        async with Peripheral(path, lambda: level[0], lambda: 355.5, notify_s=0.05) as battery:
            await device.power_on()
            found: list[Any] = []
            device.on("advertisement", found.append)
            await device.start_scanning()
            await until(lambda: bool(found), WAIT_S)
            advertisement = found[0]
            await device.stop_scanning()
            assert advertisement.address == BATTERY_ADDRESS
            assert NAME.encode() in bytes(advertisement.data)
            # Linux connects from its public address: with bumble's own link its requests would come to nothing.
            connection = await device.connect(BATTERY_ADDRESS, own_address_type=own, timeout=WAIT_S)
            peer = Peer(connection)
            await asyncio.wait_for(peer.discover_services([GATT_BATTERY_SERVICE]), WAIT_S)
            (service,) = peer.get_services_by_uuid(GATT_BATTERY_SERVICE)
            await service.discover_characteristics()
            (of_level,) = service.get_characteristics_by_uuid(GATT_BATTERY_LEVEL_CHARACTERISTIC)
            (of_voltage,) = service.get_characteristics_by_uuid(UUID(VOLTAGE))
            assert await of_level.read_value() == b"\x3d"
            assert struct.unpack("<H", await of_voltage.read_value())[0] / 64 == 355.5
            told: list[bytes] = []
            await of_level.subscribe(told.append)
            level[0] = 60.2
            await until(lambda: len(told) >= 3, WAIT_S)
            assert told[-1] == b"\x3c"
            assert battery.is_connected
            assert battery.connections == 1
            await asyncio.wait_for(connection.disconnect(), WAIT_S)
            await device.power_off()
        transport.server.close()  # which bumble's own close leaves open
        await transport.close()

    asyncio.run(scenario())


def test_a_machine_whose_power_is_cut_holds_nobody_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "h4"
        transport, device = await central(path)
        async with Peripheral(path, lambda: 50, lambda: 300, notify_s=0.02) as battery:
            await device.power_on()
            await device.connect(BATTERY_ADDRESS, own_address_type=OwnAddressType.PUBLIC, timeout=WAIT_S)
            await until(lambda: battery.is_connected)
            transport.server.close()
            transport.sink.transport.abort()
            await asyncio.sleep(0.1)
            ended_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - ended_s < 3 * bluetooth.DISCONNECT_S

    asyncio.run(scenario())


def test_values_stay_within_their_fields() -> None:
    assert bluetooth._level(-3) == b"\x00"
    assert bluetooth._level(104.2) == b"\x64"
    assert bluetooth._steps(1e9) == b"\xfe\xff"
    assert bluetooth._steps(-1) == b"\x00\x00"


def test_without_a_machine_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bluetooth, "CONNECT_S", 0.2)

    async def scenario() -> None:
        async with Peripheral(tmp_path / "nobody", lambda: 1, lambda: 1):
            pass

    with pytest.raises(RigError, match="nobody listens"):
        asyncio.run(scenario())
