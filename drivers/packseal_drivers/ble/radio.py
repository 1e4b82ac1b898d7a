"""Radio: one Bluetooth adapter, shared by all batteries on it.

One thing at a time is done on the air: a search, in which everybody's battery is looked for together, or the making of
one connection, which comes first; BlueZ and most controllers refuse more. Connections themselves go on side by side, up
to `slots`, and a battery that waits for one is served in the order of asking.
"""

import asyncio
import importlib.util
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from packseal.core.errors import ConfigError, LinkError

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

SCAN_S = 5.0
"""One search at most, so that whoever wants to connect need not wait longer."""
MAX_SAID = 64
DEFAULT_SLOTS = 3
"""Connections at once that the controllers of small computers hold besides a search."""

MISSING = "Bluetooth needs another package: pip install 'packseal[ble]'"

Match = Callable[[str, str | None], bool]
"""Takes address and advertised name."""


class Radio:
    """An adapter. Use `radio_of`, so that every battery on it has the same.

    Args:
        adapter: such as hci0; None takes the system's first.
    """

    def __init__(self, adapter: str | None) -> None:
        self.adapter = adapter
        self._air = asyncio.Lock()
        self._connecting = 0
        self._hurry, self._enough = asyncio.Event(), asyncio.Event()
        self._searcher: asyncio.Task[None] | None = None
        self._searches: list[tuple[Match, asyncio.Future[BLEDevice]]] = []
        self._said: dict[str, AdvertisementData] = {}
        self._slots = DEFAULT_SLOTS
        self._used = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def is_wanted(self) -> bool:
        """Whether a battery waits for a connection that another one holds."""
        return any(not waiting.done() for waiting in self._queue)

    @asynccontextmanager
    async def slot(self, slots: int) -> AsyncIterator[None]:
        """Hold one of the adapter's connections; `slots`: how many there are. Waits until one is free."""
        self._slots = slots
        await self._take()
        try:
            yield
        finally:
            self._used -= 1
            self._pass_on()

    async def _take(self) -> None:
        if self._used < self._slots and not self.is_wanted:
            self._used += 1
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(waiting)
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled():  # it was ours already
                self._used -= 1
                self._pass_on()
            raise
        finally:
            if waiting in self._queue:
                self._queue.remove(waiting)

    def _pass_on(self) -> None:
        while self._queue and self._used < self._slots:
            waiting = self._queue.popleft()
            if not waiting.done():
                self._used += 1
                waiting.set_result(None)

    @asynccontextmanager
    async def connecting(self) -> AsyncIterator[None]:
        """Have the air for the making of one connection. A search that is on ends for it, and goes on afterwards."""
        self._connecting += 1
        self._hurry.set()
        try:
            async with self._air:
                yield
        finally:
            self._connecting -= 1
            if not self._connecting:
                self._hurry.clear()

    async def find(self, match: Match, seconds: float) -> "BLEDevice":
        """Return the device that is heard; raises LinkError where none is, or where the adapter is gone."""
        found: asyncio.Future[BLEDevice] = asyncio.get_running_loop().create_future()
        search = (match, found)
        self._searches.append(search)
        self._enough.clear()
        if self._searcher is None or self._searcher.done():
            self._searcher = asyncio.create_task(self._search(), name=f"search on {self.adapter or 'Bluetooth'}")
        try:
            async with asyncio.timeout(seconds):
                return await found
        except TimeoutError:
            raise LinkError(
                f"not heard in {seconds:g} s: out of range, asleep, or connected to something else such as a phone"
            ) from None
        finally:
            self._searches.remove(search)
            self._look()

    def _look(self) -> None:
        """End the search where nobody waits for more."""
        if all(found.done() for _, found in self._searches):
            self._enough.set()

    async def _search(self) -> None:
        """Search for as long as anybody waits, in parts, between which others have the air."""
        try:
            while not self._enough.is_set():
                async with self._air:
                    if not self._enough.is_set():
                        await self._scan()
        except Exception as error:  # noqa: BLE001 - it is raised again by whoever waits
            for _, found in self._searches:
                if not found.done():
                    found.set_exception(error)

    def said(self, device: "BLEDevice") -> "AdvertisementData":
        """Return what a device that was found has advertised."""
        return self._said[device.address]

    async def _scan(self) -> None:
        bleak = load_bleak()
        arguments = {} if self.adapter is None else {"bluez": {"adapter": self.adapter}}
        with searching():
            async with bleak.BleakScanner(self._heard, **arguments):
                ends = [asyncio.ensure_future(event.wait()) for event in (self._enough, self._hurry)]
                try:
                    await asyncio.wait(ends, timeout=SCAN_S, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for end in ends:
                        end.cancel()

    def _heard(self, device: "BLEDevice", advertisement: "AdvertisementData") -> None:
        for match, found in self._searches:
            if not found.done() and match(device.address, advertisement.local_name or device.name):
                if len(self._said) >= MAX_SAID and device.address not in self._said:
                    self._said.clear()  # addresses that are changed for privacy would add up
                self._said[device.address] = advertisement
                found.set_result(device)
        self._look()


_radios: "WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str | None, Radio]]" = WeakKeyDictionary()


def radio_of(adapter: str | None) -> Radio:
    """Return the adapter's radio in the running event loop."""
    radios = _radios.setdefault(asyncio.get_running_loop(), {})
    return radios.setdefault(adapter, Radio(adapter))


def need_bleak() -> None:
    """Raise ConfigError where bleak is not installed, without importing it."""
    if importlib.util.find_spec("bleak") is None:
        raise ConfigError(MISSING)


def load_bleak() -> ModuleType:
    """Return the module bleak; raises ConfigError where it is not installed."""
    try:
        import bleak  # noqa: PLC0415 - only the Bluetooth road needs it, and its D-Bus library
    except ModuleNotFoundError as error:
        raise ConfigError(MISSING) from error
    return bleak


@contextmanager
def searching() -> Iterator[None]:
    """As `telling`, for a search: bleak 3.1 takes it for granted that BlueZ states the roles of every adapter.

    While an adapter comes or goes it does not.
    """
    try:
        with telling():
            yield
    except KeyError as error:
        if error.args != ("Roles",):
            raise
        raise LinkError(
            "the Bluetooth service does not say what the adapter can: is it plugged in and ready?"
        ) from error


UNPAIRED = (0x05, 0x08, 0x0C, 0x0F)
"""ATT errors (Core Specification vol. 3 part F §3.4.1.1): authentication, authorization, key size, encryption."""
PAIRING_WORDS = (
    "AuthenticationFailed",
    "AuthenticationRejected",
    "AuthenticationCanceled",
    "NotAuthorized",
    "NotPermitted",
)
UNPAIRED_TEXT = "it refuses until it is paired: pair it with bluetoothctl (docs/ble.md)"


@contextmanager
def telling() -> Iterator[None]:
    """Turn what bleak and the system raise into a LinkError that says what to do."""
    from bleak import exc  # noqa: PLC0415 - as load_bleak

    try:
        yield
    except asyncio.CancelledError:
        # Whoever gives an operation up because the connection went cancels its future; our task is to go on then.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise LinkError("the connection was lost in the middle of an operation") from None
    except TimeoutError:
        raise LinkError("no answer from it in time: out of range, or connected to something else") from None
    except exc.BleakBluetoothNotAvailableError as error:
        raise LinkError(f"no Bluetooth adapter ({error.args[0]}): is it plugged in and switched on?") from error
    except exc.BleakGATTProtocolError as error:
        raise LinkError(UNPAIRED_TEXT if int(error.args[0]) in UNPAIRED else str(error.args[-1])) from error
    except exc.BleakDeviceNotFoundError as error:
        raise LinkError("it was gone before it could be connected to") from error
    except exc.BleakDBusError as error:
        raise LinkError(_of_dbus(error.dbus_error, str(error))) from error
    except exc.BleakError as error:
        raise LinkError(str(error) or type(error).__name__) from error
    except (OSError, EOFError) as error:
        raise LinkError(f"the Bluetooth service cannot be reached ({error}): is bluetoothd running?") from error


def _of_dbus(name: str, text: str) -> str:
    if any(word in text for word in PAIRING_WORDS):
        return UNPAIRED_TEXT
    if name.endswith("AccessDenied"):
        return "this user may not use Bluetooth: add it to the group bluetooth"
    return text
