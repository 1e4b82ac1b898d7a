"""Probing: which batteries are on the air, how well they are heard, and which profile fits what they advertise."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packseal.core.errors import ConfigError
from packseal_drivers.ble.protocols import PROTOCOLS, full
from packseal_drivers.ble.radio import load_bleak, searching
from packseal_drivers.profile import Profile

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

MAX_DEVICES = 1000
"""More are not kept: addresses that change for privacy add up."""

How = Literal["name", "library", "service"]
ORDER: tuple[How, ...] = ("name", "library", "service")
LIBRARY = "aiobmsble/any"
OWN = {
    "jbd_bms": ("jbd/smart_bms",),
    "daly_bms": ("daly/smart_bms",),
    "jikong_bms": ("jk/jk02_24s", "jk/jk02_32s"),
}
"""Our own profiles for a type of aiobmsble: they are to be preferred."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One device on the air. `rssi_dbm`: how strongly it was heard last. `services` have 128 bits.

    `library_type`: what aiobmsble takes it for; None where that is not installed, knows it not, or does more than read.
    """

    address: str
    name: str | None
    rssi_dbm: int
    services: tuple[str, ...]
    library_type: str | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """A profile that may fit, and by what: its name, aiobmsble's word, or only a service that several makers use."""

    profile: str
    by: How


async def scan(adapter: str | None, seconds: float) -> list[Heard]:
    """Return the devices that are heard, the strongest first.

    Raises:
        LinkError: the adapter is gone.
        ConfigError: bleak is not installed.
    """
    bleak = load_bleak()
    heard: dict[str, tuple[BLEDevice, AdvertisementData]] = {}

    def take(device: "BLEDevice", said: "AdvertisementData") -> None:
        if device.address in heard or len(heard) < MAX_DEVICES:
            heard[device.address] = device, said

    arguments = {} if adapter is None else {"bluez": {"adapter": adapter}}
    with searching():
        async with bleak.BleakScanner(take, **arguments):
            await asyncio.sleep(seconds)
    devices = [await described(said, device.address, device.name) for device, said in heard.values()]
    return sorted(devices, key=lambda device: -device.rssi_dbm)


async def described(said: "AdvertisementData", address: str, name: str | None = None) -> Heard:
    """Return a device by what it advertises; `name`: what the system remembers of it."""
    from packseal_drivers.ble.aiobmsble_allowlist import why_unread  # noqa: PLC0415 - only for a search
    from packseal_drivers.links.aiobmsble import recognised  # noqa: PLC0415 - likewise

    kind = None
    with suppress(ConfigError):  # the library is not installed
        kind = await recognised(said, address)
    if kind is not None and why_unread(kind):
        kind = None
    return Heard(address, said.local_name or name, said.rssi, tuple(map(full, said.service_uuids)), kind)


def guess(device: Heard, profiles: Iterable[Profile]) -> list[Guess]:
    """Return the profiles that may fit a device: those by its name, then by aiobmsble's word, then by its service."""
    library = OWN.get(device.library_type, (LIBRARY,)) if device.library_type else ()
    found = [Guess(profile.name, how) for profile in profiles if (how := _fits(device, profile, library)) is not None]
    return sorted(found, key=lambda guess: ORDER.index(guess.by))


def _fits(device: Heard, profile: Profile, library: Sequence[str]) -> How | None:
    """Say by what a profile may fit a device, None where by nothing; `library`: the profiles by aiobmsble's word."""
    table = profile.ble
    if table is None:
        return None
    offered = PROTOCOLS[table.protocol].service in device.services
    if device.name is not None and device.name.startswith(table.names):
        # Makers share beginnings of names: SP05B… is a Seplos, SP04S… a JBD.
        sure = (offered or not device.services) and (not library or profile.name in library)
        return "name" if sure else "service"
    if profile.name in library:
        return "library"
    return "service" if offered else None
