"""Opening: from settings and profile to the driver of a battery over Bluetooth, or over a recording of it."""

from pathlib import Path

from packseal.core.errors import ConfigError
from packseal.core.sample import Clock, LinkCounts
from packseal_drivers.ble.driver import BleDriver, BleWire, Pace
from packseal_drivers.ble.guard import BleGuard
from packseal_drivers.ble.lines import BleTable
from packseal_drivers.ble.plausibility import Plausibility
from packseal_drivers.ble.protocols import FOREIGN, PROTOCOLS
from packseal_drivers.ble.radio import need_bleak
from packseal_drivers.ble.whole import lenient
from packseal_drivers.decoding import Decoders
from packseal_drivers.driver import Driver
from packseal_drivers.profile import Profile
from packseal_drivers.settings import Ble, Recording


def open_ble(settings: Ble, profile: Profile, decoders: Decoders, period_s: float, clock: Clock) -> BleDriver:
    """Return the driver; raises ConfigError where the settings belong to another profile, or a library is missing."""
    table = table_of(profile)
    protocol, counts = PROTOCOLS[table.protocol], LinkCounts()
    guard = BleGuard(table.protocol, counts)
    return BleDriver(
        profile.name,
        _link(settings, profile, guard, clock, counts),
        protocol=protocol,
        decoders=decoders,
        judge=judge_of(profile, decoders, counts),
        guard=guard,
        pace=Pace(period_s, table.poll_s, profile.sampling.silent_after_s, settings.turn_s),
        clock=clock,
        counts=counts,
    )


def _link(settings: Ble, profile: Profile, guard: BleGuard, clock: Clock, counts: LinkCounts) -> BleWire:
    need_bleak()
    protocol = PROTOCOLS[table_of(profile).protocol]
    if protocol.name == FOREIGN:
        from packseal_drivers.links.aiobmsble import AiobmsbleLink  # noqa: PLC0415 - one wire's code is enough

        return AiobmsbleLink(settings, clock, counts)
    if settings.type is not None:
        raise ConfigError(f"type belongs to profile aiobmsble/any, and this is {profile.name}: leave it out")
    from packseal_drivers.links.ble import BleLink  # noqa: PLC0415 - likewise

    return BleLink(settings, protocol, guard, clock)


def judge_of(profile: Profile, decoders: Decoders, counts: LinkCounts) -> Plausibility:
    """Return the judge of a profile's frames."""
    table = table_of(profile)
    names = tuple(message.name for message in table.message)
    return Plausibility(decoders, names, counts, trust=PROTOCOLS[table.protocol].trust)


def table_of(profile: Profile) -> BleTable:
    """Return a profile's [ble] table; raises ConfigError where it has none."""
    if profile.ble is None:
        raise ConfigError(f"profile {profile.name} is none for Bluetooth: it has no [ble] table")
    return profile.ble


def open_dump(
    settings: Recording, profile: Profile, decoders: Decoders, directory: Path, period_s: float, clock: Clock
) -> Driver:
    """Return the driver of a recorded battery; raises ConfigError where nothing can be read of it."""
    from packseal_drivers.ble.replay import DumpLink  # noqa: PLC0415 - a live battery needs none of it
    from packseal_drivers.stream_driver import StreamDriver  # noqa: PLC0415 - likewise

    table = table_of(profile)
    speed = None if settings.speed == "max" else settings.speed
    link = DumpLink(directory / settings.path, PROTOCOLS[table.protocol], speed)
    driver = StreamDriver(profile.name, link, lenient(decoders), period_s, clock)
    link.judge = judge_of(profile, decoders, driver.counts)
    return driver
