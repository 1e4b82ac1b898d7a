"""Steps: how fine a signal is, for the channels where a profile knows placeholders."""

from collections.abc import Iterable, Iterator

from packseal_drivers.decoding.layout import Field, Group, MessageLayout
from packseal_drivers.profile import Profile

UNEVEN = ("medfloat16", "enumeration")
"""Encodings whose neighbouring values are not equally far apart."""


def steps(profile: Profile, layouts: Iterable[MessageLayout]) -> dict[int, float]:
    """Return, per slot with a placeholder, the difference between two neighbouring values; 0 where it is not even."""
    faked = {p.quantity for p in profile.placeholder}
    fields = (field for layout in layouts for field in _fields(layout.group))
    return {field.slot: _step(field) for field in fields if field.line.quantity in faked}


def _fields(group: Group) -> Iterator[Field]:
    yield from group.fields
    for switch in group.switches:
        for branch in switch.groups.values():
            yield from _fields(branch)


def _step(field: Field) -> float:
    if field.bits.is_float or field.line.encoding in UNEVEN:
        return 0.0
    return abs(float(field.bits.scale) * field.line.factor)
