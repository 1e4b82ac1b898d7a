"""Encodings turned round: from a number to the bits of a field, for every name that profiles may use.

The inverse of `packseal_drivers.decoding.encodings`; where a number cannot be said exactly, the nearest that can.
"""

from collections.abc import Callable

WORD_BITS = 16
DIGIT_BITS = 4
# ISO/IEEE 11073-20601 §F.8, SFLOAT: the greatest mantissa that is a number, and the exponents that four bits hold
GREATEST_MANTISSA = 0x7FD
EXPONENTS = range(-8, 8)


def sign_magnitude(number: float, bits: int) -> int:
    """The amount, and the top bit where it is negative."""
    greatest = (1 << (bits - 1)) - 1
    amount = min(greatest, round(abs(number)))
    return amount | (1 << (bits - 1) if number < 0 and amount else 0)


def inverted(number: float, bits: int) -> int:
    """Every bit means its opposite."""
    mask = (1 << bits) - 1
    return mask ^ min(mask, max(0, round(number)))


def swapped_words(number: float, bits: int) -> int:
    """Two's complement over all, its 16-bit words in the wrong order."""
    half = 1 << (bits - 1)
    raw = min(half - 1, max(-half, round(number))) & ((1 << bits) - 1)
    turned = 0
    for _ in range(bits // WORD_BITS):
        turned = turned << WORD_BITS | raw & 0xFFFF
        raw >>= WORD_BITS
    return turned


def bcd(number: float, bits: int) -> int:
    """Four bits a decimal digit."""
    digits = bits // DIGIT_BITS
    return int(str(min(10**digits - 1, max(0, round(number)))), 16)


def medfloat16(number: float, bits: int) -> int:  # noqa: ARG001 - always sixteen
    """The 16-bit float of medical devices, with the least exponent whose mantissa fits."""
    for exponent in EXPONENTS:
        mantissa = round(number / 10.0**exponent)
        if abs(mantissa) <= GREATEST_MANTISSA:
            return (exponent & 0xF) << 12 | mantissa & 0xFFF
    return EXPONENTS[-1] << 12 | (GREATEST_MANTISSA if number > 0 else -GREATEST_MANTISSA & 0xFFF)


INVERSES: dict[str, Callable[[float, int], int]] = {
    f.__name__: f for f in (sign_magnitude, inverted, swapped_words, bcd, medfloat16)
}
"""All but `enumeration`, whose table is the profile's own."""


def nearest_code(number: float, codes: dict[str, float]) -> int:
    """Return the raw integer of an enumeration that means the nearest number."""
    return int(min(codes, key=lambda code: abs(codes[code] - number)))
