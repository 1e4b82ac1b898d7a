"""bleak's own API above the air of a test: `installed` makes bleak use it in place of the machine's Bluetooth.

Written from bleak's base classes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import bleak
from bleak.backends import client as bleak_client
from bleak.backends import scanner as bleak_scanner
from bleak.backends.characteristic import BleakGATTCharacteristic, GattCharacteristicsFlags
from bleak.backends.client import BaseBleakClient
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble.att import ATT_Error
from bumble.core import UUID, AdvertisingData
from bumble.device import Peer
from bumble.hci import Address
from tests.drivers.bluetooth import Radio, text


@contextmanager
def installed(radio: Radio) -> Iterator[None]:
    """Give bleak this radio."""

    class Client(_Client):
        radio_ = radio

    class Scanner(_Scanner):
        radio_ = radio

    with (
        patch.object(bleak, "get_platform_client_backend_type", lambda: (Client, "bumble")),
        patch.object(bleak, "get_platform_scanner_backend_type", lambda: (Scanner, "bumble")),
        patch.object(bleak_client, "get_platform_client_backend_type", lambda: (Client, "bumble")),
        patch.object(bleak_scanner, "get_platform_scanner_backend_type", lambda: (Scanner, "bumble")),
    ):
        yield


class _Scanner(BaseBleakScanner):
    radio_: Radio

    def __init__(self, detection_callback: Any, service_uuids: Any, scanning_mode: str = "active", **_: Any) -> None:
        super().__init__(detection_callback, service_uuids)
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        await self.radio_.ready()
        self.radio_.check()
        self.seen_devices = {}
        self.radio_.central.on("advertisement", self._on_advertisement)
        await self.radio_.central.start_scanning(active=self._active, filter_duplicates=False)

    async def stop(self) -> None:
        await self.radio_.central.stop_scanning()
        self.radio_.central.remove_listener("advertisement", self._on_advertisement)

    def _on_advertisement(self, heard: Any) -> None:
        if not self.radio_.is_on:
            return
        address = str(heard.address).split("/")[0]
        name, uuids, maker = None, [], {}
        for kind, value in heard.data.ad_structures:
            if kind == AdvertisingData.COMPLETE_LOCAL_NAME:
                name = value.decode()
            elif kind == AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS:
                uuids += [text(UUID.from_bytes(value[i : i + 2])) for i in range(0, len(value), 2)]
            elif kind == AdvertisingData.MANUFACTURER_SPECIFIC_DATA:
                maker[int.from_bytes(value[:2], "little")] = bytes(value[2:])
        said = AdvertisementData(name, maker, {}, uuids, None, heard.rssi, ())
        found = self.create_or_update_device(address, address, name, heard.address, said)
        self.call_detection_callbacks(found, said)


class _Client(BaseBleakClient):
    radio_: Radio

    def __init__(self, address_or_ble_device: Any, **kwargs: Any) -> None:
        super().__init__(address_or_ble_device, **kwargs)
        details = getattr(address_or_ble_device, "details", None)
        self._to = details if isinstance(details, Address) else Address(self.address)
        self._connection: Any = None
        self._heard: dict[int, Any] = {}

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return int(self._connection.att_mtu) if self._connection else 23

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    async def connect(self, pair: bool = False, **_: Any) -> None:  # noqa: FBT001, FBT002 - bleak's
        self.radio_.check()
        try:
            connection: Any = await asyncio.wait_for(self.radio_.central.connect(self._to), self._timeout)
        except TimeoutError as error:
            raise BleakDeviceNotFoundError(self.address, "not found") from error
        self._connection = connection
        connection.on("disconnection", self._on_disconnection)
        peer = Peer(connection)
        await peer.request_mtu(247)
        if pair:
            await connection.pair()
        found = BleakGATTServiceCollection()
        for service in await peer.discover_services():
            mine = BleakGATTService(service, service.handle, text(service.uuid))
            found.add_service(mine)
            for characteristic in await service.discover_characteristics():
                properties: Any = [
                    flag.name.replace("_", "-")
                    for flag in GattCharacteristicsFlags
                    if flag.name and flag.value & characteristic.properties
                ]
                ours = BleakGATTCharacteristic(
                    characteristic, characteristic.handle, text(characteristic.uuid), properties, lambda: 20, mine
                )
                found.add_characteristic(ours)
                for descriptor in await characteristic.discover_descriptors():
                    found.add_descriptor(
                        BleakGATTDescriptor(descriptor, descriptor.handle, text(descriptor.type), ours)
                    )
        self.services = found

    def _on_disconnection(self, *_: Any) -> None:
        self._connection, self.services = None, None
        if self._disconnected_callback:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        if self._connection:
            await self._connection.disconnect()
        self._connection = None

    async def pair(self, *_: Any, **__: Any) -> None:
        await self._connection.pair()

    async def unpair(self) -> None:
        raise NotImplementedError

    async def _gatt(self, operation: Awaitable[Any]) -> Any:
        try:
            return await operation
        except ATT_Error as error:
            raise BleakGATTProtocolError(int(error.error_code)) from error

    def _check(self) -> None:
        if self._connection is None:
            raise BleakError("Not connected")

    async def read_gatt_char(self, characteristic: Any, **_: Any) -> bytearray:
        self._check()
        return bytearray(await self._gatt(characteristic.obj.read_value()))

    async def read_gatt_descriptor(self, descriptor: Any, **_: Any) -> bytearray:
        self._check()
        return bytearray(await self._gatt(descriptor.obj.read_value()))

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:  # noqa: FBT001 - bleak's
        self._check()
        self.radio_.writes.append((characteristic.uuid, bytes(data)))
        await self._gatt(characteristic.obj.write_value(bytes(data), with_response=response))

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        self._check()
        await self._gatt(descriptor.obj.write_value(bytes(data), with_response=True))

    async def start_notify(self, characteristic: Any, callback: Callable[[bytearray], None], **_: Any) -> None:
        self._check()

        def heard(value: bytes) -> None:
            callback(bytearray(value))

        self._heard[characteristic.handle] = heard
        await self._gatt(characteristic.obj.subscribe(heard))

    async def stop_notify(self, characteristic: Any) -> None:
        self._check()
        await self._gatt(characteristic.obj.unsubscribe(self._heard.pop(characteristic.handle)))
