"""Bluetooth: the gateway's own adapter over a controller of ours, and a plain battery that its BlueZ finds and reads.

The gateway has its controller at a UART (H4, Bluetooth Core 6.0 vol. 4 part A) whose other end is here; on the same
simulated air is the battery. The controllers are bumble's (google.github.io/bumble).
"""

import asyncio
import contextlib
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from bumble.core import AdvertisingData
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import (
    GATT_BATTERY_LEVEL_CHARACTERISTIC,
    GATT_BATTERY_SERVICE,
    Characteristic,
    CharacteristicValue,
    Service,
)
from bumble.hci import Address
from bumble.host import Host
from bumble.transport import open_transport
from bumble.transport.common import Transport

from packseal_hil.faces.ble_air import Air, AirController
from packseal_hil.faces.ble_battery import ADDRESS, ADVERTISING_MS, DISCOVERABLE, PUBLIC_ADDRESS
from packseal_hil.rig.protocols import RigError

NAME = "PACKSEAL-HIL"
GATEWAY_ADDRESS = "F0:F1:F2:F3:F4:F5"
BATTERY_ADDRESS = Address(ADDRESS)
VOLTAGE = "00002B18-0000-1000-8000-00805F9B34FB"
"""Bluetooth Assigned Numbers §3.8.1, Voltage: 16 bits in 1/64 V (GATT Specification Supplement)."""
VOLTS_PER_STEP = 1 / 64
GREATEST_STEP = 0xFFFE  # 0xFFFF is "not known"
NOTIFY_S = 0.2
CONNECT_S = 30.0
RETRY_S = 0.1
DISCONNECT_S = 5.0

Value = Callable[[], float]


class Adapter:
    """The gateway's controller at its UART, on `air` from `plug` to `unplug`; both may be called again.

    Args:
        path: the Unix socket of the gateway's H4 UART, which the machine listens at.
        air: that it is on.
    """

    def __init__(self, path: Path, air: Air) -> None:
        self._path = path
        self._air = air
        self._transport: Transport | None = None
        self._controller: AirController | None = None

    async def plug(self) -> None:
        """Put it in; raises RigError when nobody listens at the socket."""
        if self._transport is not None:
            return
        self._transport = made = await _open(self._path)
        self._controller = AirController(
            "gateway", host_source=made.source, host_sink=made.sink, link=self._air, public_address=GATEWAY_ADDRESS
        )

    async def unplug(self) -> None:
        """Pull it out; who was connected to it hears no more of it."""
        transport, controller = self._transport, self._controller
        self._transport = self._controller = None
        if controller is not None:
            self._air.remove(controller)
        if transport is not None:
            await transport.close()


class Peripheral:
    """A battery with the Battery Service, on the air during `async with`, for one power cycle of the machine.

    Its level and its voltage can be read, and are notified every `notify_s`.

    Args:
        path: the Unix socket of the gateway's H4 UART, which the machine listens at.
        level_pct: gives the state of charge in %.
        voltage_v: gives the pack voltage.
        name: under which it is found.
        notify_s: seconds between two notifications.

    Raises:
        RigError: on entry, when nobody listens at the socket.
    """

    def __init__(
        self, path: Path, level_pct: Value, voltage_v: Value, *, name: str = NAME, notify_s: float = NOTIFY_S
    ) -> None:
        self._path = path
        self._name = name
        self._notify_s = notify_s
        self._level = _characteristic(GATT_BATTERY_LEVEL_CHARACTERISTIC, lambda: _level(level_pct()))
        self._voltage = _characteristic(VOLTAGE, lambda: _steps(voltage_v()))
        self._adapter: Adapter | None = None
        self._device: Device | None = None
        self._notifying: asyncio.Task[None] | None = None
        self.connections = self.notifications = 0
        """How often the gateway has connected, and what it was told without asking."""

    async def __aenter__(self) -> Self:
        air = Air()
        self._adapter = Adapter(self._path, air)
        await self._adapter.plug()
        device = Device(config=DeviceConfiguration(name=self._name, address=BATTERY_ADDRESS), host=Host())
        device.host.controller = AirController("battery", link=air, public_address=PUBLIC_ADDRESS)
        device.add_service(Service(GATT_BATTERY_SERVICE, [self._level, self._voltage]))
        device.advertising_data = self._advertisement()
        device.on("connection", self._connected)
        await device.power_on()
        await device.start_advertising(
            auto_restart=True, advertising_interval_min=ADVERTISING_MS, advertising_interval_max=ADVERTISING_MS
        )
        self._device = device
        self._notifying = asyncio.create_task(self._notify(device))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._notifying is not None:
            self._notifying.cancel()
            await asyncio.gather(self._notifying, return_exceptions=True)
        if self._device is not None:
            with contextlib.suppress(Exception):  # bumble raises a dozen kinds when the machine is gone already
                await asyncio.wait_for(self._device.power_off(), DISCONNECT_S)
        if self._adapter is not None:
            await self._adapter.unplug()
        self._device = self._adapter = self._notifying = None

    @property
    def is_connected(self) -> bool:
        """Whether the gateway is connected."""
        return self._device is not None and bool(self._device.connections)

    def _advertisement(self) -> bytes:
        service = struct.pack("<H", int.from_bytes(GATT_BATTERY_SERVICE.to_bytes()[:2], "little"))
        return bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, DISCOVERABLE),
                    (AdvertisingData.COMPLETE_LOCAL_NAME, self._name.encode()),
                    (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, service),
                ]
            )
        )

    def _connected(self, _connection: object) -> None:
        self.connections += 1

    async def _notify(self, device: Device) -> None:
        while True:
            await asyncio.sleep(self._notify_s)
            if not device.connections:
                continue
            for characteristic in (self._level, self._voltage):
                with contextlib.suppress(Exception):  # the gateway may have gone this very moment
                    await device.notify_subscribers(characteristic)
                    self.notifications += 1


def _characteristic(uuid: object, read: Callable[[], bytes]) -> "Characteristic[bytes]":
    properties = Characteristic.Properties.READ | Characteristic.Properties.NOTIFY
    value = CharacteristicValue(read=lambda _connection: read())
    return Characteristic(uuid, properties, Characteristic.READABLE, value)  # type: ignore[arg-type]  # UUID or text


def _level(percent: float) -> bytes:
    return bytes((round(min(100.0, max(0.0, percent))),))


def _steps(volts: float) -> bytes:
    return struct.pack("<H", round(min(GREATEST_STEP, max(0.0, volts / VOLTS_PER_STEP))))


async def _open(path: Path) -> Transport:
    end_s = time.monotonic() + CONNECT_S
    while True:
        try:
            return await open_transport(f"unix:{path}")
        except OSError as error:
            if time.monotonic() > end_s:
                raise RigError(f"nobody listens at {path}: is the machine running?") from error
        await asyncio.sleep(RETRY_S)
