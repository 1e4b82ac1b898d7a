"""Placeholders: which values of a BMS are constants that its firmware sends in place of a measurement."""

from collections.abc import Mapping

from packseal_drivers.profile import Placeholder, Profile
from packseal_drivers.version import parse_version

FLOAT_STEP = 2.0**-23  # IEEE 754 binary32: one step, relative; what a constant may lose on its way

Bands = Mapping[int, tuple[tuple[float, float], ...]]
"""Per slot, from where to where a value is a placeholder, both ends included."""


def is_affected(placeholder: Placeholder, firmware: str | None) -> bool:
    """Whether a battery with this firmware sends the constant. An unknown version counts as one that does."""
    version = None if firmware is None else parse_version(firmware)
    until = None if placeholder.until is None else parse_version(placeholder.until)
    return version is None or until is None or version <= until


def bands(profile: Profile, steps: Mapping[int, float], firmware: str | None) -> Bands:
    """Return where the profile's placeholders lie for this firmware.

    Args:
        profile: whose placeholders count.
        steps: per slot, the difference between two neighbouring values of its signal; 0 for a float.
        firmware: the battery's version; None where it is not known.
    """
    found: dict[int, tuple[tuple[float, float], ...]] = {}
    known = [p for p in profile.placeholder if is_affected(p, firmware)]
    for slot, channel in enumerate(profile.channels):
        own = [p.equals for p in known if p.quantity == channel.quantity.key]
        if own:
            found[slot] = tuple(_band(value, steps.get(slot, 0.0)) for value in own)
    return found


def _band(value: float, step: float) -> tuple[float, float]:
    """Return the values that the constant may have become: half a step of the signal away, and what a float loses."""
    reach = step / 2 + abs(value) * FLOAT_STEP
    return value - reach, value + reach
