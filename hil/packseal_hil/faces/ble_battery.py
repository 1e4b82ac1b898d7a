"""BleBattery: a simulated battery on the air, in real time: it lives, advertises, and answers as a profile's BMS."""

import asyncio
import contextlib
import struct
import time
from collections.abc import Callable, Coroutine
from typing import Self

from bumble.core import UUID, AdvertisingData
from bumble.device import Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service
from bumble.hci import Address
from bumble.host import Host

from packseal_drivers import profile as profiles
from packseal_drivers.ble.protocols import BASE, FOREIGN, PROTOCOLS, BleProtocol
from packseal_hil.faces.ble_air import Air, AirController
from packseal_hil.faces.ble_frames import Frames
from packseal_hil.rig.protocols import LivingBattery, RigError

ADDRESS = "C4:F2:17:1A:1D:BB"
"""Static random: its two highest bits are set (Bluetooth Core 6.0 vol. 6 part B §1.3.2.1)."""
PUBLIC_ADDRESS = "E0:E1:E2:E3:E4:E5"
ADVERTISING_MS = 100.0
DISCOVERABLE = bytes((0x06,))  # LE general discoverable, no BR/EDR (Core Specification Supplement part A §1.3)
NAME = "BENCH"
TICK_S = 0.1
SPEAKS_EVERY_TICKS = 5
"""JK's says all twice a second."""
END_S = 5.0

P = Characteristic.Properties


class BleBattery:
    """One battery on the air; runs within `async with`. A `Speaker`.

    It holds one connection, as nearly every BMS, and advertises while it has none.

    Args:
        profile: VENDOR/MODEL of one that is spoken over Bluetooth.
        battery: whose time passes only here.
        air: that it is on.

    Raises:
        RigError: the profile is none for Bluetooth, or the battery does not fit its protocol.
        ConfigError: there is no such profile.
    """

    def __init__(self, profile: str, battery: LivingBattery, air: Air) -> None:
        table = profiles.load(profile).profile.ble
        if table is None or table.protocol == FOREIGN:
            raise RigError(f"profile {profile} is none that a simulated battery speaks over Bluetooth")
        self._protocol: BleProtocol = PROTOCOLS[table.protocol]
        self._name = f"{table.names[0]}{NAME}" if table.names else NAME
        self._battery = battery
        self._air = air
        self._frames = Frames(table.protocol, battery.said())
        self.mute = False
        """Whether it is switched off: it lives on, and does not answer."""
        self.frames = self.requests = self.connections = 0
        """Notifications and values that it gave, questions and reads that it got, connections that were made."""
        self.controller = AirController("battery", link=air, public_address=PUBLIC_ADDRESS)
        self._device = Device(config=DeviceConfiguration(name=self._name, address=Address(ADDRESS)), host=Host())
        self._device.host.controller = self.controller
        self._voice: Characteristic[bytes] | None = None
        self._asked = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_connected(self) -> bool:
        """Whether somebody is connected to it."""
        return bool(self._device.connections)

    async def __aenter__(self) -> Self:
        self._device.add_service(Service(_uuid(self._protocol.service), self._characteristics()))
        self._device.advertising_data = self._advertisement()
        self._device.on("connection", self._connected)
        await self._device.power_on()
        await self._device.start_advertising(
            auto_restart=True, advertising_interval_min=ADVERTISING_MS, advertising_interval_max=ADVERTISING_MS
        )
        self._do(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):  # bumble raises a dozen kinds when the gateway is gone already
            await asyncio.wait_for(self._device.power_off(), END_S)
        self._air.remove(self.controller)

    def _characteristics(self) -> list[Characteristic[bytes]]:
        protocol = self._protocol
        made = [self._readable(uuid) for uuid in protocol.reads if self._frames.value(uuid[4:8])]
        written: CharacteristicValue[bytes] = CharacteristicValue(write=self._written)
        for uuid in dict.fromkeys((*protocol.notify, *filter(None, (protocol.write,)))):
            properties = P.NOTIFY if uuid in protocol.notify else P(0)
            if uuid == protocol.write:
                properties |= P.WRITE | P.WRITE_WITHOUT_RESPONSE
            one: Characteristic[bytes] = Characteristic(_uuid(uuid), properties, Characteristic.WRITEABLE, written)
            self._voice = one if uuid in protocol.notify else self._voice
            made.append(one)
        return made

    def _readable(self, uuid: str) -> "Characteristic[bytes]":
        value = CharacteristicValue(read=lambda _connection: self._read(uuid[4:8]))
        return Characteristic(_uuid(uuid), P.READ, Characteristic.READABLE, value)

    def _advertisement(self) -> bytes:
        service = struct.pack("<H", int(self._protocol.service[4:8], 16))
        return bytes(
            AdvertisingData(
                [
                    (AdvertisingData.FLAGS, DISCOVERABLE),
                    (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, service),
                    (AdvertisingData.COMPLETE_LOCAL_NAME, self._name.encode()),
                ]
            )
        )

    def _connected(self, _connection: object) -> None:
        self.connections += 1
        self._asked = False

    def _read(self, uuid: str) -> bytes:
        self.requests += 1
        self.frames += 1
        return self._frames.value(uuid)

    def _written(self, _connection: object, question: bytes) -> None:
        self.requests += 1
        self._asked = True
        if not self.mute:
            self._do(self._say(lambda: self._frames.answer(bytes(question))))

    async def _say(self, notifications: Callable[[], list[bytes]]) -> None:
        if self._voice is None:
            return
        for notification in notifications():
            with contextlib.suppress(Exception):  # whoever listened may have gone this very moment
                await self._device.notify_subscribers(self._voice, notification)
                self.frames += 1

    async def _live(self) -> None:
        """Let the battery's time pass, and speak where the protocol does."""
        last_s, ticks = time.monotonic(), 0
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            self._battery.advance(now_s - last_s)
            self._frames.says(self._battery.said())
            last_s, ticks = now_s, ticks + 1
            speaks = self._protocol.speaks and self._asked and self.is_connected and not self.mute
            if speaks and ticks % SPEAKS_EVERY_TICKS == 0:
                await self._say(self._frames.spoken)

    def _do(self, what: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _uuid(uuid: str) -> UUID:
    """Return a UUID with 16 bits where it has such, as modules state it."""
    return UUID(uuid[4:8]) if uuid.startswith("0000") and uuid.endswith(BASE) else UUID(uuid)
