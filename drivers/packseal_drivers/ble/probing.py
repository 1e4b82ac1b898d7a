"""Probing: which batteries are on the air, how well they are heard, and which profile fits what they advertise."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packseal_drivers.ble.protocols import PROTOCOLS, full
from packseal_drivers.ble.radio import load_bleak, telling
from packseal_drivers.profile import Profile

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

MAX_DEVICES = 1000
"""More are not kept: addresses that change for privacy add up."""

How = Literal["name", "service"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One device on the air. `rssi_dbm`: how strongly it was heard last. `services` have 128 bits."""

    address: str
    name: str | None
    rssi_dbm: int
    services: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """A profile that may fit, and by what: its name, or only a service that several makers use."""

    profile: str
    by: How


async def scan(adapter: str | None, seconds: float) -> list[Heard]:
    """Return the devices that are heard, the strongest first.

    Raises:
        LinkError: the adapter is gone.
        ConfigError: bleak is not installed.
    """
    bleak, heard = load_bleak(), dict[str, Heard]()

    def take(device: "BLEDevice", said: "AdvertisementData") -> None:
        if device.address in heard or len(heard) < MAX_DEVICES:
            name = said.local_name or device.name
            heard[device.address] = Heard(device.address, name, said.rssi, tuple(map(full, said.service_uuids)))

    arguments = {} if adapter is None else {"bluez": {"adapter": adapter}}
    with telling():
        async with bleak.BleakScanner(take, **arguments):
            await asyncio.sleep(seconds)
    return sorted(heard.values(), key=lambda device: -device.rssi_dbm)


def guess(device: Heard, profiles: Iterable[Profile]) -> list[Guess]:
    """Return the profiles that may fit a device, those by its name first."""
    by_name, by_service = [], []
    for profile in profiles:
        table = profile.ble
        if table is None:
            continue
        if device.name is not None and device.name.startswith(table.names):
            by_name.append(Guess(profile.name, "name"))
        elif PROTOCOLS[table.protocol].service in device.services:
            by_service.append(Guess(profile.name, "service"))
    return [*by_name, *by_service]
