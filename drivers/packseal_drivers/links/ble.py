"""Link over Bluetooth LE (bleak): finds its battery, connects, listens, and writes what its guard has permitted."""

import asyncio
from collections import deque
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from packseal.core.errors import LinkError
from packseal.core.sample import Clock
from packseal_drivers.ble.guard import BleGuard, PermittedWrite
from packseal_drivers.ble.protocols import BleProtocol
from packseal_drivers.ble.radio import Radio, load_bleak, radio_of, telling
from packseal_drivers.framing.burst import Notification
from packseal_drivers.settings import Ble

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.backends.characteristic import BleakGATTCharacteristic
    from bleak.backends.device import BLEDevice

SEARCH_S = 20.0
"""Peripherals that save power advertise once in one to ten seconds."""
AGAIN_S = 10.0
"""BlueZ forgets a device half a minute after a search; whoever waited longer for a connection looks once more."""
CONNECT_S = 20.0
CLOSE_S = 5.0
OPERATION_S = 5.0
"""Of a connection to be made, of its end, and of one read, write or subscription: Bluetooth itself may take 32 s to
tell of a loss (supervision timeout, Core 5.4 vol. 4 part E §7.8.12)."""
BACKLOG = 1024
"""Notifications that wait to be taken; a driver takes them several times a second."""


class BleLink:
    """One battery's connection. Opened again after every loss.

    Args:
        settings: of the battery.
        protocol: where it is heard and asked.
        guard: of the protocol; nothing else is written.
        clock: the machine's.
    """

    def __init__(self, settings: Ble, protocol: BleProtocol, guard: BleGuard, clock: Clock) -> None:
        self._settings = settings
        self._protocol = protocol
        self._guard = guard
        self._clock = clock
        self._stack: AsyncExitStack | None = None
        self._radio: Radio | None = None
        self._client: BleakClient | None = None
        self._heard: deque[Notification] = deque(maxlen=BACKLOG)
        self._stir = asyncio.Event()
        self._session: object = None
        self._lost = False
        self.dropped = 0
        """Notifications for which there was no room; only grows."""

    @property
    def is_wanted(self) -> bool:
        """Whether another battery waits for the connection that this one holds."""
        return self._radio is not None and self._radio.is_wanted

    async def open(self) -> None:
        """Find, connect and listen; waits for a free connection of the adapter.

        Raises:
            LinkError: it is not heard, refuses, is no such battery, or the adapter is gone.
            ConfigError: bleak is not installed.
        """
        load_bleak()
        radio = self._radio = radio_of(self._settings.adapter)
        self._heard.clear()
        self._lost = False
        async with AsyncExitStack() as stack:
            device = await radio.find(self._settings.matches, SEARCH_S)
            asked_s = asyncio.get_running_loop().time()
            await stack.enter_async_context(radio.slot(self._settings.connections))
            if asyncio.get_running_loop().time() - asked_s > AGAIN_S:
                device = await radio.find(self._settings.matches, SEARCH_S)
            async with radio.connecting():
                await self._connect(stack, device)
            await self._listen()
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Disconnect, and give the connection to whoever waits for it; may be called twice."""
        stack, self._stack, self._client = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    def take(self) -> list[Notification]:
        """Return what was heard since the last call, without waiting; raises LinkError when the connection is lost."""
        heard = list(self._heard)
        self._heard.clear()
        self._stir.clear()
        if not heard and (self._lost or self._client is None):
            raise LinkError("the connection is lost: out of range, switched off, or its radio is gone")
        return heard

    async def wait(self, seconds: float) -> None:
        """Wait until something is heard or the connection is lost, at most `seconds`."""
        if self._heard or self._lost:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        except TimeoutError:
            return

    async def write(self, permitted: PermittedWrite) -> None:
        """Write.

        Raises:
            RefusedRequest: the link's guard has not permitted it.
            LinkError: the connection is lost, or the battery refuses.
        """
        uuid, data = self._guard.check(permitted)
        characteristic = self._find(uuid, ("write-without-response", "write"))
        if characteristic is None:
            raise LinkError(f"it has no characteristic {uuid} to ask it at: is it this profile's battery?")
        # Vendors' apps write without a response where they can; some modules never send one.
        response = "write-without-response" not in characteristic.properties
        with telling():
            async with asyncio.timeout(OPERATION_S):
                await self._connected().write_gatt_char(characteristic, data, response=response)

    async def read(self, uuid: str) -> Notification | None:
        """Read a characteristic; None where the battery has none. Raises LinkError."""
        characteristic = self._find(uuid, ("read",))
        if characteristic is None:
            return None
        with telling():
            async with asyncio.timeout(OPERATION_S):
                data = await self._connected().read_gatt_char(characteristic)
        return Notification(uuid, bytes(data), self._clock.now().mono_ns)

    async def _connect(self, stack: AsyncExitStack, device: "BLEDevice") -> None:
        session = self._session = object()
        client: BleakClient = load_bleak().BleakClient(
            device,
            disconnected_callback=partial(self._gone, session),
            timeout=CONNECT_S,
            pair=self._settings.pair,
            **({} if self._settings.adapter is None else {"bluez": {"adapter": self._settings.adapter}}),
        )
        stack.push_async_callback(_disconnect, client)
        with telling():
            async with asyncio.timeout(CONNECT_S):
                await client.connect()
        self._client = client

    async def _listen(self) -> None:
        services = {service.uuid for service in self._connected().services}
        if self._protocol.service not in services:
            raise LinkError(
                f"{self._settings.where} has no service {self._protocol.service}: is it this profile's battery?"
            )
        for uuid in self._protocol.notify:
            characteristic = self._find(uuid, ("notify", "indicate"))
            if characteristic is None:
                raise LinkError(f"it has no characteristic {uuid} to listen to: is it this profile's battery?")
            with telling():
                async with asyncio.timeout(OPERATION_S):
                    await self._connected().start_notify(characteristic, partial(self._hear, uuid))

    def _hear(self, uuid: str, _characteristic: object, data: bytearray) -> None:
        self.dropped += len(self._heard) == BACKLOG
        self._heard.append(Notification(uuid, bytes(data), self._clock.now().mono_ns))
        self._stir.set()

    def _gone(self, session: object, _client: object) -> None:
        if session is self._session:  # and not of a connection before, whose end is told late
            self._lost = True
            self._stir.set()

    def _connected(self) -> "BleakClient":
        if self._client is None or self._lost:
            raise LinkError("the connection is lost")
        return self._client

    def _find(self, uuid: str, properties: tuple[str, ...]) -> "BleakGATTCharacteristic | None":
        """Return the characteristic that can do it; some modules have two with one UUID."""
        for service in self._connected().services:
            for characteristic in service.characteristics:
                if characteristic.uuid == uuid and any(p in characteristic.properties for p in properties):
                    return characteristic
        return None


async def _disconnect(client: "BleakClient") -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            with telling():
                await client.disconnect()
    except (LinkError, TimeoutError):
        return  # it is gone either way
