"""Link to any BMS that the library aiobmsble knows (github.com/patman15/aiobmsble, Apache-2.0), from Python 3.12 on.

The library connects, asks and reads by itself. What it writes passes our guard: every connection that it makes has its
two ways of writing taken over, and whatever is none of the known questions of the type is refused and counted.
"""

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from packseal.core.errors import ConfigError, LinkError
from packseal.core.sample import Clock, LinkCounts
from packseal_drivers.ble import aiobmsble_allowlist as allowlist
from packseal_drivers.ble.guard import BleGuard, PermittedWrite
from packseal_drivers.ble.protocols import full
from packseal_drivers.ble.radio import Radio, load_bleak, radio_of, telling
from packseal_drivers.framing.burst import Notification
from packseal_drivers.framing.foreign import packed
from packseal_drivers.guard import RefusedRequest
from packseal_drivers.settings import Ble

if TYPE_CHECKING:
    from bleak.backends.scanner import AdvertisementData

SEARCH_S = 20.0
CONNECT_S = 60.0
"""The library tries several times by itself."""
UPDATE_S = 20.0
"""One reading: the library waits for each answer, and asks again, by itself."""
EXTRA = "profile aiobmsble/any needs Python 3.12 or newer and another package: pip install 'packseal[ble-bms]'"


def load(module: str) -> Any:
    """Return a module of the library; raises ConfigError where it is not installed, as on Python 3.11."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if module.startswith("aiobmsble.bms.") and error.name == module:
            raise ConfigError(f"type {module.rpartition('.')[2]} is none of aiobmsble's") from error
        raise ConfigError(EXTRA) from error
    except SyntaxError as error:
        raise ConfigError(EXTRA) from error


class AiobmsbleLink:
    """One battery, asked by the library. Its only characteristic is the library's whole sample.

    Args:
        settings: of the battery; `type` names a module of aiobmsble.bms, None is found by what it advertises.
        clock: the machine's.
        counts: of the link; what is refused is counted there.

    Raises:
        ConfigError: the library is not installed, has no such type, or one that writes more than questions.
    """

    def __init__(self, settings: Ble, clock: Clock, counts: LinkCounts) -> None:
        self._settings = settings
        self._clock = clock
        self._counts = counts
        self._utils = load("aiobmsble.utils")
        self._kind = None if settings.type is None else load(f"aiobmsble.bms.{settings.type}").BMS
        if settings.type is not None and (why := allowlist.why_unread(settings.type)):
            raise ConfigError(why)
        self._radio: Radio | None = None
        self._stack: AsyncExitStack | None = None
        self._bms: Any = None
        self.dropped = 0
        """Nothing is lost unseen here."""

    @property
    def is_wanted(self) -> bool:
        """Whether another battery waits for the connection that this one holds."""
        return self._radio is not None and self._radio.is_wanted

    async def open(self) -> None:
        """Find, recognise and connect; waits for a free connection of the adapter. Raises LinkError."""
        load_bleak()
        radio = self._radio = radio_of(self._settings.adapter)
        async with AsyncExitStack() as stack:
            device = await radio.find(self._settings.matches, SEARCH_S)
            with _containing():
                kind = self._kind or await self._utils.bms_identify(radio.said(device), device.address)
            if kind is None:
                raise LinkError(
                    f"{self._settings.where} is none that aiobmsble recognises: name its type, or its profile"
                )
            if why := allowlist.why_unread(type_of(kind)):
                raise LinkError(why)
            await stack.enter_async_context(radio.slot(self._settings.connections))
            async with radio.connecting():
                bms = guarded(kind, self._counts)(device)
                stack.push_async_callback(_disconnect, bms)
                with _containing():
                    async with asyncio.timeout(CONNECT_S):
                        await bms.__aenter__()
            self._bms = bms
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """Disconnect; may be called twice."""
        stack, self._stack, self._bms = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    def take(self) -> list[Notification]:
        """Return nothing: samples are asked for. Raises LinkError when the connection is lost."""
        if self._bms is None or not self._bms.is_connected:
            raise LinkError("the connection is lost: out of range, switched off, or its radio is gone")
        return []

    async def wait(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def write(self, permitted: PermittedWrite) -> None:
        """Refuse: there is nothing to be written here."""
        raise RefusedRequest(f"not sent, because packseal only reads: {permitted!r}")

    async def read(self, uuid: str) -> Notification | None:
        """Return what the library reads now, nothing derived; raises LinkError."""
        self.take()
        with _containing():
            async with asyncio.timeout(UPDATE_S):
                sample = await self._bms.async_update(raw=True)
        return Notification(uuid, packed(sample), self._clock.now().mono_ns)


def type_of(kind: Any) -> str:
    """Return the name of one of the library's classes, as `type` in a configuration has it."""
    return str(kind.__module__).rpartition(".")[2]


async def recognised(said: "AdvertisementData", address: str) -> str | None:
    """Return the type that the library takes a device for, by what it advertises; None where it knows it not."""
    kind = await load("aiobmsble.utils").bms_identify(said, address)
    return None if kind is None else type_of(kind)


def guarded(kind: Any, counts: LinkCounts) -> Any:
    """Return a class of the library's whose connections write only what is on the allow-list of that type."""
    name = type_of(kind)
    try:
        where = full(kind.uuid_tx())
    except NotImplementedError:  # it asks nothing
        where = ""
    guard = BleGuard(name, counts, partial(allowlist.refusal, name, where=where))

    class Guarded(kind):  # type: ignore[misc] # the library's own class, known when it is found
        __module__ = kind.__module__

        @property
        def _client(self) -> Any:
            """The connection. The library makes one when it begins and another one whenever it connects."""
            return self._guarded_client

        @_client.setter
        def _client(self, client: Any) -> None:
            _take_over(client, guard)
            self._guarded_client = client

    return Guarded


def _take_over(client: Any, guard: BleGuard) -> None:
    """Let nothing be written over a connection but what the guard permits."""
    from bleak.exc import BleakCharacteristicNotFoundError  # noqa: PLC0415 - as load_bleak

    write = client.write_gatt_char

    async def write_gatt_char(at: Any, data: Any, response: Any = None) -> None:
        found = client.services.get_characteristic(at) if isinstance(at, int | str) else at
        if found is None:
            raise BleakCharacteristicNotFoundError(at)
        _, allowed = guard.check(guard.permit(found.uuid, bytes(data)))
        await write(found, allowed, response=response)

    async def write_gatt_descriptor(_at: Any, data: Any) -> None:
        guard.permit("", bytes(data))  # a descriptor takes no questions

    client.write_gatt_char, client.write_gatt_descriptor = write_gatt_char, write_gatt_descriptor


@contextmanager
def _containing() -> Iterator[None]:
    """Turn whatever the library raises into a LinkError."""
    try:
        with telling():
            yield
    except (LinkError, ConfigError):
        raise
    except Exception as error:  # foreign code raises whatever it likes, such as ValueError for a short answer
        raise LinkError(f"aiobmsble: {str(error) or type(error).__name__}") from error


async def _disconnect(bms: Any) -> None:
    try:
        with _containing():
            async with asyncio.timeout(CONNECT_S):
                await bms.disconnect()
    except LinkError:
        return  # it is gone either way
