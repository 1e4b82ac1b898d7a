"""A radio for tests: bleak's own API above, bumble's controllers and GATT below, all in this process.

`installed` makes bleak use it in place of the machine's Bluetooth. Written from bleak's base classes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
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
from bleak.uuids import normalize_uuid_str
from bumble.att import ATT_Error
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Device, Peer
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

GATEWAY = "F0:F0:F0:F0:F0:F0"
FLAGS = bytes((6,))  # LE general discoverable, no BR/EDR
ADVERTISING_MS = 20.0
P = Characteristic.Properties


def device(air: LocalLink, name: str, address: str) -> Device:
    """A device of bumble with a controller of its own on this air."""
    controller: Any = Controller(name, link=air, public_address=address)
    return Device(name=name, address=Address(address), host=Host(controller, AsyncPipeSink(controller)))


def text(uuid: UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-"))


class Radio:
    """The air of one test, with the gateway's controller on it. Switched off, it is an adapter that was pulled out.

    `later` gives the peripherals when bleak first searches: for a command, which has an event loop of its own.
    """

    air: Any
    central: Device

    def __init__(self, later: Callable[["Radio"], list["Peripheral"]] | None = None) -> None:
        self._later = later
        if later is None:
            self._make()
        self.is_on = True
        self.writes: list[tuple[str, bytes]] = []
        """All that bleak was asked to write, by characteristic."""

    def _make(self) -> None:
        self.air = LocalLink()  # type: ignore[no-untyped-call]
        self.central = device(self.air, "gateway", GATEWAY)

    async def start(self) -> None:
        await self.central.power_on()

    async def ready(self) -> None:
        later, self._later = self._later, None
        if later is not None:
            self._make()
            await self.start()
            for peripheral in later(self):
                await peripheral.start()

    def check(self) -> None:
        if not self.is_on:
            raise bleak.exc.BleakBluetoothNotAvailableError(
                "No Bluetooth adapters found.", bleak.exc.BleakBluetoothNotAvailableReason.NO_BLUETOOTH
            )


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


class Peripheral:
    """A battery on the air. `answer` gives the notifications to what is written; None keeps silent.

    Args:
        radio: whose air it is on.
        address: its own.
        name: what it advertises.
        service: its UUID.
        notifies: UUID of the characteristic that notifies; None for none.
        takes: UUID of the one that takes questions; may be the same.
        values: further characteristics that are read, by UUID.
    """

    def __init__(
        self,
        radio: Radio,
        address: str,
        name: str,
        service: str,
        notifies: str | None = None,
        takes: str | None = None,
        values: Mapping[str, Callable[[], bytes]] | None = None,
    ) -> None:
        self.answer: Callable[[bytes], list[bytes]] = lambda _question: []
        self.asked: list[bytes] = []
        self.connections = 0
        self._device = device(radio.air, name, address)
        self._name, self._service = name, service
        self._tasks: set[asyncio.Task[None]] = set()
        characteristics: list[Any] = []
        self._notifier: Any = None
        if notifies is not None:
            properties = P.NOTIFY | (P.WRITE_WITHOUT_RESPONSE | P.WRITE if notifies == takes else P(0))
            value = CharacteristicValue(write=self._written) if notifies == takes else b""
            self._notifier = Characteristic(notifies, properties, Characteristic.WRITEABLE, value)
            characteristics.append(self._notifier)
        if takes is not None and takes != notifies:
            write = CharacteristicValue(write=self._written)
            characteristics.append(
                Characteristic(takes, P.WRITE_WITHOUT_RESPONSE | P.WRITE, Characteristic.WRITEABLE, write)
            )
        for uuid, give in (values or {}).items():
            read: Any = CharacteristicValue(read=lambda _connection, give=give: give())
            characteristics.append(Characteristic(uuid, P.READ, Characteristic.READABLE, read))
        self._device.add_service(Service(service, characteristics))
        self._device.on("connection", self._connected)

    async def start(self) -> None:
        await self._device.power_on()
        await self.appear()

    async def appear(self) -> None:
        """Advertise."""
        short = bytes.fromhex(self._service)[::-1]
        fields = [
            (AdvertisingData.FLAGS, FLAGS),
            (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, short),
            (AdvertisingData.COMPLETE_LOCAL_NAME, self._name.encode()),
        ]
        self._device.advertising_data = bytes(AdvertisingData(fields))
        await self._device.start_advertising(
            auto_restart=True, advertising_interval_min=ADVERTISING_MS, advertising_interval_max=ADVERTISING_MS
        )

    async def vanish(self) -> None:
        """Go out of range: no connection, no advertisement."""
        await self._device.stop_advertising()
        for connection in list(self._device.connections.values()):
            await connection.disconnect()
        await self._device.stop_advertising()

    async def say(self, notifications: list[bytes]) -> None:
        """Notify whoever listens."""
        for notification in notifications:
            await self._device.notify_subscribers(self._notifier, notification)

    @property
    def is_connected(self) -> bool:
        return bool(self._device.connections)

    def _connected(self, _connection: object) -> None:
        self.connections += 1

    def _written(self, _connection: object, value: bytes) -> None:
        self.asked.append(bytes(value))
        task = asyncio.get_running_loop().create_task(self.say(self.answer(bytes(value))))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
