"""Physical: from a raw integer to a quantity's value and back, in the same float operations as the generated text."""

import sys
from collections.abc import Callable

from packseal_drivers.decoding.layout import Bits
from packseal_drivers.lines import Conversion

FINITE = sys.float_info.max


def is_integral(bits: Bits) -> bool:
    """Whether the DBC's value of this field is always a whole number."""
    return not bits.is_float and isinstance(bits.scale, int) and isinstance(bits.offset, int)


def limits(line: Conversion) -> tuple[float, float]:
    """Return the profile's range, the largest finite numbers where it gives none."""
    low = -FINITE if line.minimum is None else float(line.minimum)
    return low, FINITE if line.maximum is None else float(line.maximum)


def physical(bits: Bits, line: Conversion, raw: float) -> float:
    """Return what `raw` means in the quantity's unit: the DBC's scale and offset, then the profile's."""
    value: float = raw if bits.scale == 1 else raw * bits.scale
    value = value + bits.offset if bits.offset else value
    value = value * line.factor if line.factor != 1 or is_integral(bits) else value
    return value + line.offset if line.offset else value


def good_raws(bits: Bits, line: Conversion) -> tuple[int, int]:
    """Return the least and greatest raw integer whose value is within the profile's range; an empty range if none is.

    Rounding keeps order, so a search by halves over the very operations of the decoder is exact.
    """
    low, high = limits(line)
    least, greatest = bits.raw_limits
    if bits.scale * line.factor < 0:
        first = _first(least, greatest, lambda raw: physical(bits, line, raw) <= high)
        return first, _first(least, greatest, lambda raw: physical(bits, line, raw) < low) - 1
    first = _first(least, greatest, lambda raw: physical(bits, line, raw) >= low)
    return first, _first(least, greatest, lambda raw: physical(bits, line, raw) > high) - 1


def _first(least: int, greatest: int, holds: Callable[[int], bool]) -> int:
    """Return the least integer for which `holds`, which once true stays true; one above `greatest` if none does."""
    low, high = least, greatest + 1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
