"""Plugins: drivers that other packages bring, found by the entry-point group `packseal.drivers`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.core.errors import ConfigError, PacksealError
from packseal.core.sample import Clock
from packseal_drivers.driver import Driver
from packseal_drivers.profile import ProfileFile

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "packseal.drivers"

_NEEDED = ("name", "delivers", "period_s", "clock", "counts", "batches")


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a driver of another package is opened with. More may be added; nothing is taken away.

    `options` are the user's own words, unchecked. `period_s` are the seconds per sample that are wanted, the profile's
    or the user's; 0: one of every distinct time. `directory` is what paths in the options are relative to, `cache`
    where generated decoders are kept, None for nowhere. `firmware` is that of the battery's own program, or None.
    """

    options: Mapping[str, str | int | float | bool]
    profile: ProfileFile
    directory: Path
    cache: Path | None
    clock: Clock
    period_s: float
    firmware: str | None


Opener = Callable[[Wiring], Driver]
"""What an entry point of the group is: no I/O beyond reading files; raises ConfigError for options it cannot use."""


def open_plugin(name: str, wiring: Wiring) -> Driver:
    """Return the driver that another package has under `name`.

    Raises:
        ConfigError: there is no such driver or more than one, or it cannot be loaded or opened.
    """
    entry = _entry(name)
    origin = f"driver {name} of {entry.dist.name if entry.dist else entry.value}"
    try:
        opener: Opener = entry.load()
    except Exception as error:  # the import of foreign code raises whatever it likes
        raise ConfigError(f"{origin} cannot be loaded: {_first_line(error)}") from error
    try:
        driver = opener(wiring)
    except PacksealError:
        raise
    except Exception as error:
        raise ConfigError(f"{origin} cannot be opened: {_first_line(error)}") from error
    missing = [attribute for attribute in _NEEDED if not hasattr(driver, attribute)]
    if missing:
        raise ConfigError(f"{origin} is no driver: it has no {', '.join(missing)}")
    return driver


def _entry(name: str) -> "EntryPoint":
    from importlib.metadata import entry_points  # noqa: PLC0415 - half a megabyte that most gateways do not need

    found = entry_points(group=ENTRY_POINTS)
    own = list(found.select(name=name))
    if not own:
        known = ", ".join(sorted(found.names)) or "none"
        raise ConfigError(f"driver {name!r} is not installed: there are {known}; install the package that brings it")
    if len(own) > 1:
        origins = " and ".join(sorted(e.dist.name if e.dist else e.value for e in own))
        raise ConfigError(f"driver {name!r} comes with {origins}: remove one of them")
    return own[0]


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
