"""Registry: from what the user wrote about a wire, and a profile, to a driver."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.core.errors import ConfigError
from packseal.core.sample import Clock, LinkCounts
from packseal_drivers.can_driver import CanDriver
from packseal_drivers.decoding import Decoders, compile_decoders
from packseal_drivers.driver import Driver
from packseal_drivers.profile import Profile, ProfileFile, check_period
from packseal_drivers.settings import Ble, LinkSettings, Modbus, Plugin, PythonCan, Recording, SocketCan, Stream

if TYPE_CHECKING:
    from packseal_drivers.answers import Answers
    from packseal_drivers.guard import Guard
    from packseal_drivers.poll_driver import SendingLink
    from packseal_drivers.stream_driver import ReplayLink


def open_driver(
    settings: LinkSettings,
    profile: ProfileFile,
    *,
    directory: Path,
    cache: Path | None,
    clock: Clock,
    period_s: float | None = None,
    firmware: str | None = None,
) -> Driver:
    """Return the driver of one battery. Its wire is opened when its batches are first asked for.

    Args:
        settings: the wire.
        profile: the battery's profile.
        directory: what paths in the settings are relative to.
        cache: where generated decoders are kept; None keeps none.
        clock: the machine's clock.
        period_s: seconds per sample in place of the profile's.
        firmware: version of the battery's own program, on which placeholders depend; None where it is not known.

    Raises:
        ConfigError: profile and DBC do not fit, or the settings cannot be used.
    """
    period = profile.profile.sampling.period_s if period_s is None else _checked(period_s)
    if isinstance(settings, Plugin):
        from packseal_drivers.plugins import Wiring, open_plugin  # noqa: PLC0415 - one wire's code is enough

        return open_plugin(
            settings.driver, Wiring(settings.options, profile, directory, cache, clock, period, firmware)
        )
    if profile.profile.values:
        return _registers(settings, profile.profile, directory, period, clock, firmware)
    if isinstance(settings, Modbus):
        raise ConfigError(f"profile {profile.profile.name} does not fit the link: it is not read over Modbus")
    decoders = compile_decoders(profile, cache, firmware)
    if profile.profile.ble is not None:
        return _bluetooth(settings, profile.profile, decoders, directory, period, clock)
    if isinstance(settings, Ble):
        raise ConfigError(f"profile {profile.profile.name} does not fit the link: it is not read over Bluetooth")
    return _frames(settings, profile.profile, decoders, directory, period, clock)


def _registers(
    settings: LinkSettings, profile: Profile, directory: Path, period_s: float, clock: Clock, firmware: str | None
) -> Driver:
    from packseal_drivers.modbus import registers  # noqa: PLC0415 - one wire's code is enough

    if isinstance(settings, Modbus):
        from packseal_drivers.modbus.driver import ModbusDriver, Unit  # noqa: PLC0415
        from packseal_drivers.modbus.sharing import bus_for  # noqa: PLC0415 - likewise
        from packseal_drivers.modbus.strings import STRING  # noqa: PLC0415 - likewise

        if settings.string is not None and all(point.model != STRING for point in profile.point):
            raise ConfigError(f"profile {profile.name} does not fit the link: it has no strings to choose one of")
        unit = Unit(bus_for(settings, directory), settings.unit, settings.timeout_s, settings.string)
        return ModbusDriver(profile, unit, period_s, clock, firmware)
    if not isinstance(settings, Recording):
        raise ConfigError(f'profile {profile.name} does not fit the link: it is read over kind = "modbus"')
    from packseal_drivers.modbus.replay import DumpLink  # noqa: PLC0415 - likewise
    from packseal_drivers.stream_driver import StreamDriver  # noqa: PLC0415

    decoding = registers.Decoding()
    speed = None if settings.speed == "max" else settings.speed
    link = DumpLink(directory / settings.path, profile, decoding, speed, settings.bus)
    return StreamDriver(profile.name, link, registers.decoders(profile, decoding, firmware), period_s, clock)


def _bluetooth(
    settings: LinkSettings, profile: Profile, decoders: Decoders, directory: Path, period_s: float, clock: Clock
) -> Driver:
    from packseal_drivers.ble import opening  # noqa: PLC0415 - one wire's code is enough

    if isinstance(settings, Ble):
        return opening.open_ble(settings, profile, decoders, period_s, clock)
    if isinstance(settings, Recording):
        return opening.open_dump(settings, profile, decoders, directory, period_s, clock)
    raise ConfigError(f'profile {profile.name} does not fit the link: it is read over kind = "ble"')


def _frames(
    settings: SocketCan | PythonCan | Stream | Recording,
    profile: Profile,
    decoders: Decoders,
    directory: Path,
    period_s: float,
    clock: Clock,
) -> Driver:
    if isinstance(settings, Stream | Recording):
        from packseal_drivers.stream_driver import StreamDriver  # noqa: PLC0415 - one wire's code is enough

        link = _replay_link(settings, directory)
        return StreamDriver(profile.name, link, decoders, period_s, clock, _recorded_answers(profile))
    if profile.request or profile.pgn:
        return _polling(settings, profile, decoders, period_s, clock)
    bus = _can_link(settings, decoders.table.keys(), None)
    return CanDriver(profile.name, bus, decoders, period_s, profile.sampling.silent_after_s, clock)


def _polling(
    settings: SocketCan | PythonCan, profile: Profile, decoders: Decoders, period_s: float, clock: Clock
) -> Driver:
    from packseal_drivers import asking  # noqa: PLC0415 - most profiles only listen to single frames
    from packseal_drivers.poll_driver import PollDriver  # noqa: PLC0415

    counts = LinkCounts()
    asked = asking.ask(profile, counts)
    link = _can_link(settings, decoders.table.keys() | asked.addresses, asked.guard, asked.masks)
    return PollDriver(
        name=profile.name,
        link=link,
        decoders=decoders,
        pace_s=(period_s, asking.silent_after_s(profile)),
        asker=asked.asker,
        counts=counts,
        clock=clock,
    )


def _can_link(
    settings: SocketCan | PythonCan,
    addresses: Collection[int],
    guard: "Guard | None",
    masks: Collection[tuple[int, int]] = (),
) -> "SendingLink":
    if isinstance(settings, SocketCan):
        from packseal_drivers.links.socketcan import SocketCanLink  # noqa: PLC0415 - one wire's code is enough

        return SocketCanLink(settings.channel, addresses, guard, masks)
    from packseal_drivers.links.pythoncan import PythonCanLink  # noqa: PLC0415

    options = settings.options | ({} if settings.bitrate is None else {"bitrate": settings.bitrate})
    return PythonCanLink(settings.interface, settings.channel, options, guard)


def _replay_link(settings: Stream | Recording, directory: Path) -> "ReplayLink":
    if isinstance(settings, Stream):
        from packseal_drivers.links.stream import StreamLink  # noqa: PLC0415

        return StreamLink(directory / settings.path)
    from packseal_drivers.links.recording import RecordingLink  # noqa: PLC0415

    speed = None if settings.speed == "max" else settings.speed
    return RecordingLink(directory / settings.path, speed, settings.bus)


def _recorded_answers(profile: Profile) -> "Answers | None":
    if not profile.request and not profile.pgn:
        return None
    from packseal_drivers.answers import Answers  # noqa: PLC0415

    return Answers(profile)


def _checked(period_s: float) -> float:
    try:
        check_period(period_s)
    except ValueError as error:
        raise ConfigError(f"battery: {error}") from error
    return period_s
