"""Patterns: from a value in its quantity's unit to the bits of a field, and fields to the bytes of a message.

The inverse of the driver's decoding, over the same layout, so that both read one profile.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from packseal_drivers.decoding.layout import Bits, Field
from packseal_drivers.decoding.physical import good_raws
from packseal_hil.faces.encodings import INVERSES, nearest_code

FLOATS = {16: "<e", 32: "<f", 64: "<d"}


@dataclass(frozen=True, slots=True)
class FieldWriter:
    """Writes values into one field; made once per field, because the limits take a search."""

    field: Field
    unknown: int
    """The bits that say "not available", or are out of the profile's range; 0 where the field can say neither."""
    least: int
    greatest: int

    @classmethod
    def of(cls, field: Field) -> "FieldWriter":
        """Make the writer of a field."""
        least, greatest = field.bits.raw_limits
        if field.greatest is not None:
            greatest = min(greatest, field.greatest)
        return cls(field, _unknown(field), least, greatest)

    @property
    def step(self) -> float:
        """How far apart two neighbouring values of the field are, in the quantity's unit; 0 for a float."""
        return 0.0 if self.field.bits.is_float else abs(self.field.bits.scale * self.field.line.factor)

    def pattern(self, value: float | None) -> int:
        """Return the field's bits; None and NaN are "not available", what is beyond its limits becomes the limit."""
        field, bits, line = self.field, self.field.bits, self.field.line
        if value is None or value != value:  # noqa: PLR0124 - NaN, in the fewest steps
            return self.unknown
        number = ((value - line.offset) / line.factor - bits.offset) / bits.scale
        if bits.is_float:
            return _float_pattern(number, bits.length)
        if line.encoding == "enumeration":
            return nearest_code(number, line.codes)
        if line.encoding is not None:
            return INVERSES[line.encoding](number, bits.length)
        raw = min(self.greatest, max(self.least, round(max(-1e300, min(1e300, number)))))
        return (self.beside(raw) if raw in field.sentinels else raw) & bits.mask

    def beside(self, raw: int) -> int:
        """Return the raw integer nearest to a sentinel that is none."""
        for away in count(1):
            for near in (raw - away, raw + away):
                if self.least <= near <= self.greatest and near not in self.field.sentinels:
                    return near
            if away > self.greatest - self.least:
                break
        return raw


def assemble(length: int, parts: Iterable[tuple[Bits, int]]) -> bytes:
    """Return `length` bytes with these fields in them, all else zero."""
    little = big = 0
    for bits, pattern in parts:
        placed = (pattern & bits.mask) << bits.shift
        if bits.big_endian:
            big |= placed
        else:
            little |= placed
    if not big:
        return little.to_bytes(length, "little")
    if not little:
        return big.to_bytes(length, "big")
    return (little | int.from_bytes(big.to_bytes(length, "big"), "little")).to_bytes(length, "little")


def _float_pattern(number: float, length: int) -> int:
    try:
        return int.from_bytes(struct.pack(FLOATS[length], number), "little")
    except OverflowError:
        return int.from_bytes(struct.pack(FLOATS[length], math.copysign(math.inf, number)), "little")


def _unknown(field: Field) -> int:
    """Return the bits by which the field says that it has no value, as clearly as the profile lets it."""
    bits = field.bits
    if field.sentinels:
        return field.sentinels[0] & bits.mask
    if field.unknown_from is not None:
        return bits.mask
    if bits.is_float:
        return int.from_bytes(struct.pack(FLOATS[bits.length], math.nan), "little")
    if field.line.encoding == "enumeration":
        unused = (raw for raw in range(bits.mask + 1) if str(raw) not in field.line.codes)
        return next(unused, 0)
    if field.line.encoding is not None:
        return bits.mask if field.line.encoding == "bcd" else 0
    return next(_beyond(field), 0) & bits.mask


def _beyond(field: Field) -> Iterator[int]:
    """Yield raw integers that the profile's range refuses, the outermost first."""
    least, greatest = field.bits.raw_limits
    low, high = good_raws(field.bits, field.line)
    if high < greatest:
        yield greatest
    if low > least:
        yield least
