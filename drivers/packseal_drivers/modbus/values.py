"""Values: from 16-bit registers to a quantity's number, or to the flaw that keeps it from being one. Pure."""

import math
import struct
from collections.abc import Sequence

from packseal.core.sample import Flaw
from packseal_drivers.decoding.encodings import ENCODINGS
from packseal_drivers.modbus.lines import WORD_BITS, Value

MAX_SCALE = 10
"""A SunSpec scale factor (sunssf) is a power of ten from -10 to 10."""
SCALE_UNKNOWN = 0x8000
"""The sunssf that says "not implemented"."""
_FLOAT = {"float32": struct.Struct(">f"), "float64": struct.Struct(">d")}


def bits_of(words: Sequence[int], line: Value) -> int:
    """Return the bits of a value as an unsigned integer, all of its registers' in the order that they are meant."""
    ordered = words if line.word_order == "big" else words[::-1]
    whole = 0
    for word in ordered:
        turned = word if line.byte_order == "big" else (word & 0xFF) << 8 | word >> 8
        whole = whole << WORD_BITS | turned
    return whole >> line.shift & (1 << line.width) - 1


def exponent_of(word: int) -> int | None:
    """Return the power of ten that a scale register says; None where it says none that can be."""
    exponent = word - 0x1_0000 if word & 0x8000 else word
    return exponent if -MAX_SCALE <= exponent <= MAX_SCALE else None


def number_of(bits: int, line: Value) -> float:
    """Return the number that the bits are, before any scale; NaN where they are none, infinity for an unknown code."""
    if line.floating:
        form = _FLOAT[line.type]
        (number,) = form.unpack(bits.to_bytes(form.size, "big"))
        return float(number)
    if line.encoding == "enumeration":
        return line.codes.get(str(bits), math.inf)
    if line.encoding is not None:
        return ENCODINGS[line.encoding](bits, line.width)
    return bits - (1 << line.width) if line.signed and bits >> (line.width - 1) else bits


def value_of(
    words: Sequence[int], line: Value, exponent: int | None = 0, sentinels: Sequence[int] = ()
) -> float | Flaw:
    """Return what registers mean in the quantity's unit, or why they mean nothing.

    Args:
        words: the value's registers, as they came.
        line: of the profile.
        exponent: the power of ten of its scale register; None where that says none.
        sentinels: further patterns, as unsigned integers, by which the device says that it does not know.
    """
    bits = bits_of(words, line)
    mask = (1 << line.width) - 1
    if bits in sentinels or any(bits == pattern & mask for pattern in line.not_available):
        return Flaw.NOT_AVAILABLE
    number = number_of(bits, line)
    if math.isnan(number):
        return Flaw.NOT_A_NUMBER
    if exponent is None:
        return Flaw.NOT_AVAILABLE
    if exponent:  # a division by a power of ten rounds once, a product with its inverse twice
        number = number * 10**exponent if exponent > 0 else number / 10**-exponent
    value = number * line.factor + line.offset
    low = -math.inf if line.minimum is None else line.minimum
    high = math.inf if line.maximum is None else line.maximum
    return value if math.isfinite(value) and low <= value <= high else Flaw.OUT_OF_RANGE
