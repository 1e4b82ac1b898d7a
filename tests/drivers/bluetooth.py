"""The air of a test: bumble's controllers, and peripherals with their GATT, all in this process."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import bleak
from bleak.uuids import normalize_uuid_str
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData
from bumble.device import Device
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
