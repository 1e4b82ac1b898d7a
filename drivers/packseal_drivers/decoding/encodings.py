"""Encodings by name: how the bits of a field make a number where that is not plain binary.

Each takes the field's bits as an unsigned integer and how many there are, and returns a number, NaN for bits that mean
none. Linear scaling comes after it. Two's complement, floats and byte order are the DBC's or the field's own business.
"""

from collections.abc import Callable
from math import inf, nan

WORD_BITS = 16  # a Modbus register
DIGIT_BITS = 4  # of BCD

# ISO/IEEE 11073-20601 §F.8, SFLOAT: 4 bits exponent, 12 bits mantissa, both two's complement
MANTISSA_BITS, MANTISSA_MASK = 12, 0xFFF
SPECIAL_MANTISSAS = {0x7FF: nan, 0x800: nan, 0x801: nan, 0x7FE: inf, 0x802: -inf}


def sign_magnitude(raw: int, bits: int) -> float:
    """The top bit is the sign, the rest the amount; minus zero is zero."""
    sign = 1 << (bits - 1)
    return -(raw ^ sign) if raw & sign else raw


def inverted(raw: int, bits: int) -> float:
    """Every bit means its opposite."""
    return raw ^ ((1 << bits) - 1)


def swapped_words(raw: int, bits: int) -> float:
    """16-bit words in the wrong order, each right in itself; two's complement over all of them."""
    turned = 0
    for _ in range(bits // WORD_BITS):
        turned = turned << WORD_BITS | raw & 0xFFFF
        raw >>= WORD_BITS
    return turned - (1 << bits) if turned >> (bits - 1) else turned


def bcd(raw: int, bits: int) -> float:
    """Four bits a decimal digit; NaN where one is above nine."""
    value = 0
    for shift in range(bits - DIGIT_BITS, -1, -DIGIT_BITS):
        digit = raw >> shift & 0xF
        if digit > 9:  # noqa: PLR2004 - the last decimal digit
            return nan
        value = 10 * value + digit
    return value


def medfloat16(raw: int, bits: int) -> float:  # noqa: ARG001 - always sixteen
    """The 16-bit float of medical devices and Bluetooth, with its special values."""
    mantissa, exponent = raw & MANTISSA_MASK, raw >> MANTISSA_BITS
    special = SPECIAL_MANTISSAS.get(mantissa)
    if special is not None and exponent == 0:
        return special
    mantissa -= (mantissa >> (MANTISSA_BITS - 1)) << MANTISSA_BITS
    exponent -= (exponent >> 3) << DIGIT_BITS
    return float(mantissa * 10**exponent) if exponent >= 0 else mantissa / 10**-exponent


ENCODINGS: dict[str, Callable[[int, int], float]] = {
    f.__name__: f for f in (sign_magnitude, inverted, swapped_words, bcd, medfloat16)
}
"""All but `enumeration`, whose table is the profile's own."""

WHOLE = {"swapped_words": WORD_BITS, "bcd": DIGIT_BITS, "medfloat16": WORD_BITS}
"""What a field's bits must be a multiple of."""
