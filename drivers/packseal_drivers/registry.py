"""Registry: from what the user wrote about a wire, and a profile, to a driver."""

from pathlib import Path
from typing import TYPE_CHECKING

from packseal.core.errors import ConfigError
from packseal.core.sample import Clock
from packseal_drivers.can_driver import CanDriver, CanLink
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.driver import Driver
from packseal_drivers.profile import ProfileFile, check_period
from packseal_drivers.settings import LinkSettings, PythonCan, Recording, SocketCan, Stream

if TYPE_CHECKING:
    from packseal_drivers.stream_driver import ReplayLink

ENTRY_POINTS = "packseal.drivers"
"""The entry-point group under which other packages will offer drivers."""


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
    sampling = profile.profile.sampling
    period = sampling.period_s if period_s is None else _checked(period_s)
    decoders = compile_decoders(profile, cache, firmware)
    name = profile.profile.name
    link: CanLink
    if isinstance(settings, SocketCan):
        from packseal_drivers.links.socketcan import SocketCanLink  # noqa: PLC0415 - one wire's code is enough

        link = SocketCanLink(settings.channel, decoders.table)
    elif isinstance(settings, PythonCan):
        from packseal_drivers.links.pythoncan import PythonCanLink  # noqa: PLC0415

        options = settings.options | ({} if settings.bitrate is None else {"bitrate": settings.bitrate})
        link = PythonCanLink(settings.interface, settings.channel, options)
    else:
        from packseal_drivers.stream_driver import StreamDriver  # noqa: PLC0415

        return StreamDriver(name, _replay_link(settings, directory), decoders, period, clock)
    return CanDriver(name, link, decoders, period, sampling.silent_after_s, clock)


def _replay_link(settings: Stream | Recording, directory: Path) -> "ReplayLink":
    if isinstance(settings, Stream):
        from packseal_drivers.links.stream import StreamLink  # noqa: PLC0415

        return StreamLink(directory / settings.path)
    from packseal_drivers.links.recording import RecordingLink  # noqa: PLC0415

    speed = None if settings.speed == "max" else settings.speed
    return RecordingLink(directory / settings.path, speed, settings.bus)


def _checked(period_s: float) -> float:
    try:
        check_period(period_s)
    except ValueError as error:
        raise ConfigError(f"battery: {error}") from error
    return period_s
