"""A stand-in for BlueZ on a D-Bus of its own: the agent has bleak, its BlueZ backend and dbus-fast, as on a gateway.

Speaks as much of org.bluez as bleak asks for (BlueZ, doc/org.bluez.Adapter.rst and the three others).
What is behind the D-Bus on a gateway, the daemon, kernel and controller, is not there, and costs nobody's memory here.
"""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from packseal.core.errors import InputError
from packseal_drivers.ble.protocols import full

NAME = "org.bluez"
ADAPTER, DEVICE, SERVICE, CHARACTERISTIC = (
    f"org.bluez.{kind}1" for kind in ("Adapter", "Device", "GattService", "GattCharacteristic")
)
OBJECTS, PROPERTIES = "org.freedesktop.DBus.ObjectManager", "org.freedesktop.DBus.Properties"
HCI = "/org/bluez/hci0"
RSSI_DBM = -61
ADVERTISING_S = 0.2
PATIENCE_S = 10.0
DAEMON = "dbus-daemon"
MISSING = f"{DAEMON} is missing: apt install dbus-daemon"
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
Answer = Callable[[bytes], list[bytes]]
Properties = Mapping[str, Variant]


class Peripheral:
    """A battery on the air.

    Args:
        address: its own.
        name: what it advertises.
        service: 16-bit UUID.
        notifies: of the characteristic that notifies.
        takes: of the one that takes questions; may be the same.
        answer: the notifications to a question.
    """

    def __init__(self, address: str, name: str, service: str, notifies: str, takes: str, answer: Answer) -> None:
        self.address, self.name, self.service = address, name, full(service)
        self.answer = answer
        self.delay_s = 0.0
        """Before it answers."""
        self.is_there = True
        """Whether it is heard; one that is not neither advertises nor connects."""
        self.connected = False
        self.questions: list[bytes] = []
        self.path = f"{HCI}/dev_{address.replace(':', '_')}"
        self._service_path = f"{self.path}/service0001"
        self.hears = f"{self._service_path}/char0002"
        self.writes = self.hears if notifies == takes else f"{self._service_path}/char0005"
        self._uuids = {self.hears: full(notifies), self.writes: full(takes)}

    @property
    def device(self) -> Properties:
        """What BlueZ knows of it."""
        return {
            "Adapter": Variant("o", HCI),
            "Address": Variant("s", self.address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", self.name),
            "Alias": Variant("s", self.name),
            "UUIDs": Variant("as", [self.service]),
            "Paired": Variant("b", False),  # noqa: FBT003 - the signature's value
            "Connected": Variant("b", self.connected),
            "ServicesResolved": Variant("b", self.connected),
        }

    def objects(self) -> dict[str, dict[str, Properties]]:
        """Return it and its services, by path and interface."""
        made: dict[str, dict[str, Properties]] = {self.path: {DEVICE: self.device}}
        made[self._service_path] = {
            SERVICE: {
                "UUID": Variant("s", self.service),
                "Device": Variant("o", self.path),
                "Primary": Variant("b", True),  # noqa: FBT003 - likewise
            }
        }
        for path, uuid in self._uuids.items():
            flags = ["notify"] * (path == self.hears) + ["write-without-response", "write"] * (path == self.writes)
            made[path] = {
                CHARACTERISTIC: {
                    "UUID": Variant("s", uuid),
                    "Service": Variant("o", self._service_path),
                    "Flags": Variant("as", flags),
                    "MTU": Variant("q", 247),
                }
            }
        return made


class Bluez:
    """The service, on the D-Bus at `address`, while entered."""

    def __init__(self, address: str, peripherals: list[Peripheral]) -> None:
        self._address = address
        self._peripherals = peripherals
        self._searches = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._handle)
        await self._bus.request_name(NAME)
        self._spawn(self._advertise())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._bus.disconnect()

    def say(self, peripheral: Peripheral, notifications: list[bytes]) -> None:
        """Notify whoever is connected."""
        if peripheral.connected:
            for data in notifications:
                self._changed(peripheral.hears, CHARACTERISTIC, {"Value": Variant("ay", data)})

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _advertise(self) -> None:
        while True:
            await asyncio.sleep(ADVERTISING_S)
            for peripheral in self._peripherals:
                if self._searches and peripheral.is_there and not peripheral.connected:
                    self._changed(peripheral.path, DEVICE, {"RSSI": Variant("n", RSSI_DBM)})

    def _handle(self, message: Message) -> Message | None:
        """Answer what bleak asks; all else is for the library."""
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        match message.interface, message.member:
            case (_, "GetManagedObjects"):
                return Message.new_method_return(message, "a{oa{sa{sv}}}", [self._objects()])
            case (_, "StartDiscovery"):
                self._searches += 1
            case (_, "StopDiscovery"):
                self._searches = max(0, self._searches - 1)
            case (_, "Connect" | "Disconnect" as wanted):
                return self._connect(message, now=wanted == "Connect")
            case (_, "WriteValue"):
                self._spawn(self._asked(message))
            case (_, "SetDiscoveryFilter" | "StartNotify" | "StopNotify"):
                pass
            case _:
                return None
        return Message.new_method_return(message)

    def _objects(self) -> dict[str, dict[str, Properties]]:
        adapter = {
            "Address": Variant("s", "00:00:5E:00:53:01"),
            "Powered": Variant("b", True),  # noqa: FBT003 - likewise
            "Roles": Variant("as", ["central"]),
        }
        made: dict[str, dict[str, Properties]] = {HCI: {ADAPTER: adapter}}
        for peripheral in self._peripherals:
            made |= peripheral.objects()
        return made

    def _connect(self, message: Message, *, now: bool) -> Message:
        peripheral = self._of(message.path)
        if now and not peripheral.is_there:
            return Message.new_error(message, "org.bluez.Error.Failed", "le-connection-abort-by-peer")
        peripheral.connected = now
        value = Variant("b", now)
        self._changed(peripheral.path, DEVICE, {"Connected": value, "ServicesResolved": value})
        return Message.new_method_return(message)

    async def _asked(self, message: Message) -> None:
        peripheral, question = self._of(message.path), bytes(message.body[0])
        peripheral.questions.append(question)
        await asyncio.sleep(peripheral.delay_s)
        self.say(peripheral, peripheral.answer(question))

    def _of(self, path: str | None) -> Peripheral:
        return next(p for p in self._peripherals if path is not None and path.startswith(p.path))

    def _changed(self, path: str, interface: str, values: Properties) -> None:
        self._bus.send(Message.new_signal(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, values, []]))


def why_not() -> str:
    """Return why there can be no D-Bus here; nothing when there can."""
    return "" if shutil.which(DAEMON) else MISSING


@contextmanager
def bus(folder: Path) -> Iterator[str]:
    """Run a D-Bus daemon that only `folder` knows of; gives its address.

    Raises:
        InputError: it is not installed, or does not start.
    """
    if trouble := why_not():
        raise InputError(trouble)
    path, config = folder / "dbus", folder / "dbus.conf"
    config.write_text(CONFIG.format(path=path))
    command = (DAEMON, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            if not said.startswith("unix:"):
                raise InputError(f"{DAEMON} does not start: {said.strip()}")
            yield f"unix:path={path}"
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
