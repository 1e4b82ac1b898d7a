"""Framing: what a battery says, as the CAN frames of a profile; the inverse of the driver's decoding."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packseal.core.quantities import Channel
from packseal_drivers import profile as profiles
from packseal_drivers.decoding import layout
from packseal_drivers.decoding.layout import Bits, Field, Group, MessageLayout

Raw = tuple[int, bytes]
"""Address, with 0x8000_0000 set for a 29-bit id, and data."""

FLOATS = {16: "<e", 32: "<f", 64: "<d"}


@dataclass(frozen=True, slots=True)
class _Frame:
    """One frame that a message can be: with what its multiplexers say, the fields that are then in it."""

    address: int
    length: int
    selectors: tuple[tuple[Bits, int], ...]
    fields: tuple[tuple[Channel, Field], ...]


class Framing:
    """Makes the frames of the profile `name`.

    Raises:
        ConfigError: there is no such profile, or its DBC does not fit it.
    """

    def __init__(self, name: str) -> None:
        file = profiles.load(name)
        self._channels = [mapped.channel for mapped in file.profile.mapped()]
        self._frames = [frame for message in layout.read(file) for frame in self._of(message)]

    def frames(self, values: Mapping[Channel, float | None]) -> list[Raw]:
        """Return the frames in which any of these channels is said, in the order of the profile.

        A value of None, and what else the frame could say, goes as "not available"; a value beyond the field's range
        as the field's end.
        """
        return [(f.address, _data(f, values)) for f in self._frames if any(c in values for c, _ in f.fields)]

    def _of(self, message: MessageLayout) -> Iterator[_Frame]:
        for selectors, fields in _branches(message.group):
            if fields:
                named = tuple((self._channels[field.slot], field) for field in fields)
                yield _Frame(message.address, message.length, selectors, named)


def _branches(group: Group) -> Iterator[tuple[tuple[tuple[Bits, int], ...], tuple[Field, ...]]]:
    if not group.switches:
        yield (), group.fields
    for switch in group.switches:
        for number, branch in switch.groups.items():
            for selectors, fields in _branches(branch):
                yield ((switch.bits, number), *selectors), (*group.fields, *fields)


def _data(frame: _Frame, values: Mapping[Channel, float | None]) -> bytes:
    little = big = 0
    parts = [*frame.selectors, *((field.bits, _pattern(field, values.get(c))) for c, field in frame.fields)]
    for bits, pattern in parts:
        placed = (pattern & bits.mask) << bits.shift
        if bits.big_endian:
            big |= placed
        else:
            little |= placed
    swapped = int.from_bytes(big.to_bytes(frame.length, "big"), "little")
    return (little | swapped).to_bytes(frame.length, "little")


def _pattern(field: Field, value: float | None) -> int:
    """Return the raw integer for a value in its quantity's unit; one that means "not available" is stepped around."""
    bits, line = field.bits, field.line
    if value is None:
        return field.sentinels[0] if field.sentinels else 0
    physical = (value - line.offset) / line.factor
    if bits.is_float:
        return int.from_bytes(struct.pack(FLOATS[bits.length], physical), "little")
    least, greatest = bits.raw_limits
    raw = min(greatest, max(least, round((physical - bits.offset) / bits.scale)))
    inwards = -1 if raw > (least + greatest) // 2 else 1
    while raw in field.sentinels:
        raw += inwards
    return raw
