"""Foreign: a sample of the library aiobmsble, as numbers under its own names, in the parts that a profile maps.

Facts: BMSSample and TempSensor of github.com/patman15/aiobmsble 0.31 (Apache-2.0): A and W are positive while charging,
temperatures carry what they are of. A part is one number or several, each a little-endian IEEE 754 double.
"""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from packseal_drivers.framing.burst import Notification, Reading

NUMBERS = (
    "voltage",
    "current",
    "battery_level",
    "battery_health",
    "cycles",
    "cycle_charge",
    "cycle_capacity",
    "power",
    "total_charge",
)
CELLS, MAX_CELLS = "cell_voltages", 128
TEMPERATURES = {"GENERIC": "temperatures", "CELL": "temperatures", "CELL_MAX": "temperature_max",
                "CELL_MIN": "temperature_min"}  # fmt: skip
"""By the sensor's type; those of MOSFETs, boards, heaters, balancers and the air around are none of the battery's."""
MAX_SENSORS = 32
"""This and MAX_CELLS bound what one sample takes."""
PARTS = (*NUMBERS, CELLS, "temperatures", "temperature_max", "temperature_min")


def packed(sample: Mapping[str, Any]) -> bytes:
    """Return a sample as JSON, as far as it is known here; what is no finite number is left out."""
    known: dict[str, Any] = {name: float(sample[name]) for name in NUMBERS if _is_number(sample.get(name))}
    known[CELLS] = [float(v) for v in sample.get(CELLS, ())[:MAX_CELLS] if _is_number(v)]
    for sensor in sample.get("temp_values", ())[:MAX_SENSORS]:
        part = TEMPERATURES.get(getattr(getattr(sensor, "type", None), "name", "GENERIC"))
        if part is not None and math.isfinite(float(sensor)):
            known.setdefault(part, []).append(float(sensor))
    return json.dumps(known, separators=(",", ":")).encode()


class ForeignFramer:
    """Packed samples in, readings out."""

    answered = True

    def __init__(self) -> None:
        self.cut = 0
        """Samples that say nothing."""

    def begin(self, *, unasked: bool = False) -> None:
        """Begin anew."""

    def asked(self, question: bytes) -> None:
        """Note nothing: the library asks by itself."""

    def feed(self, notification: Notification) -> Reading | None:
        """Take one packed sample."""
        parts = _parts(notification.data)
        if not parts:
            self.cut += 1
            return None
        return Reading("sample", parts, notification.mono_ns, doubtful=False)


def _parts(data: bytes) -> tuple[tuple[str, bytes], ...]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(said, dict):
        return ()
    parts = []
    for name in PARTS:
        values = said.get(name)
        listed: list[Any] = values if isinstance(values, list) else [values]
        numbers = [float(v) for v in listed[:MAX_CELLS] if _is_number(v)]
        if numbers and len(numbers) == len(listed[:MAX_CELLS]):
            parts.append((name, struct.pack(f"<{len(numbers)}d", *numbers)))
    return tuple(parts)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer beyond any float
        return False
