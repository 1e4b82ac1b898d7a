"""Numbers and times as the page writes them."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
DIGITS = 4  # of a value whose uncertainty nobody told
UNCERTAINTY_DIGITS = 2  # GUM (JCGM 100:2008) 7.2.6: at most two digits of an uncertainty
MINUTE_S, HOUR_S = 60, 3600
THOUSAND, MILLION = 1e3, 1e6
UNITS = {
    "per_s": "per s", "s": "s", "ms": "ms", "us": "µs", "min": "min", "h": "h", "pct": "%", "v": "V", "mv": "mV",
    "a": "A", "ma": "mA", "w": "W", "ah": "Ah", "wh": "Wh", "kwh": "kWh", "ohm": "Ω", "mohm": "mΩ", "c": "°C",
    "hz": "Hz",
    "bytes": "bytes", "kb": "kB", "mb": "MB", "mib": "MiB", "gb": "GB",
}  # fmt: skip


class Measured(NamedTuple):
    """A figure as the page writes it."""

    name: str
    value: str
    unit: str


def figures(measured: Mapping[str, float]) -> list[Measured]:
    """Take names apart: boot_s is `boot` in s, frames_per_s is `frames` in per s."""
    return [Measured(*_parted(name, value)) for name, value in measured.items()]


def _parted(name: str, value: float) -> Iterator[str]:
    unit = next((unit for unit in sorted(UNITS, key=len, reverse=True) if name.endswith(f"_{unit}")), "")
    yield (name.removesuffix(f"_{unit}") if unit else name).replace("_", " ")
    yield number(value)
    yield UNITS.get(unit, "")


def number(value: float, uncertainty: float | None = None, *, sign: bool = False) -> str:
    """Write it with as many digits as its uncertainty allows, else with four."""
    if not math.isfinite(value):
        return str(value)
    is_known = uncertainty is not None and math.isfinite(uncertainty) and uncertainty > 0
    scale, digits = (uncertainty or 0.0, UNCERTAINTY_DIGITS) if is_known else (value, DIGITS)
    exponent = int(f"{scale:.{digits - 1}e}".partition("e")[2])
    text = f"{value:{'+' if sign else ''},.{min(9, max(0, digits - 1 - exponent))}f}"
    if not is_known and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", THIN).replace("-", MINUS)


def axis_number(value: float) -> str:
    """Write it in at most seven letters."""
    for size, divisor, letter in ((MILLION, MILLION, "M"), (10 * THOUSAND, THOUSAND, "k")):
        if abs(value) >= size:
            return f"{value / divisor:.5g}{letter}".replace("-", MINUS)
    return f"{value:.5g}".replace("-", MINUS)


def plain(text: str) -> str:
    """Put it on one line, without what could steer a terminal or break XML."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in " ".join(text.split()))


def seconds(value: float) -> str:
    """Write a duration as a person says it."""
    if round(value, 1) < MINUTE_S:
        return f"{value:.1f}{THIN}s"
    minutes, rest = divmod(round(value), MINUTE_S)
    if value < HOUR_S:
        return f"{minutes}{THIN}min {rest}{THIN}s"
    return f"{minutes // 60}{THIN}h {minutes % 60}{THIN}min"


def moment(wall_s: float) -> str:
    """Write a moment in UTC."""
    try:
        return f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"
