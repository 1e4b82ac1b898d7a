"""The closed list of measurable quantities: one fixed unit, one fixed sign, one fixed resolution each.

A new quantity is one line here and nothing elsewhere. `code` is what records carry (docs/formats/record.md), so a
code is never reused or renumbered. `decimals` is the resolution at which telemetry keeps the quantity: the value is
stored as the integer `round(value * 10**decimals)`.
"""

from enum import Enum
from typing import NamedTuple


class QuantitySpec(NamedTuple):
    """What is fixed about a quantity."""

    code: int
    unit: str
    decimals: int
    title: str


class Quantity(Enum):
    """One measurable thing; the member's name ends in its unit. Current and power are positive while charging."""

    PACK_VOLTAGE_V = QuantitySpec(1, "V", 3, "Pack voltage")
    PACK_CURRENT_A = QuantitySpec(2, "A", 3, "Pack current, charging positive")
    STATE_OF_CHARGE_PCT = QuantitySpec(3, "%", 2, "State of charge as the BMS states it")
    STATE_OF_HEALTH_PCT = QuantitySpec(4, "%", 2, "State of health as the BMS claims it")
    TEMPERATURE_C = QuantitySpec(5, "°C", 2, "Battery temperature, one per sensor")
    TEMPERATURE_MAX_C = QuantitySpec(6, "°C", 2, "Hottest temperature the BMS states")
    TEMPERATURE_MIN_C = QuantitySpec(7, "°C", 2, "Coldest temperature the BMS states")
    CELL_VOLTAGE_V = QuantitySpec(8, "V", 4, "Cell voltage, one per cell in series")
    CELL_VOLTAGE_MAX_V = QuantitySpec(9, "V", 4, "Highest cell voltage the BMS states")
    CELL_VOLTAGE_MIN_V = QuantitySpec(10, "V", 4, "Lowest cell voltage the BMS states")
    FULL_CHARGE_CAPACITY_AH = QuantitySpec(11, "Ah", 3, "Full-charge capacity the BMS states")
    CHARGE_CHARGED_AH = QuantitySpec(12, "Ah", 3, "The BMS's own counter of charge taken in")
    CHARGE_DISCHARGED_AH = QuantitySpec(13, "Ah", 3, "The BMS's own counter of charge given out")
    ENERGY_CHARGED_KWH = QuantitySpec(14, "kWh", 4, "The BMS's own counter of energy taken in")
    ENERGY_DISCHARGED_KWH = QuantitySpec(15, "kWh", 4, "The BMS's own counter of energy given out")
    CYCLES = QuantitySpec(16, "1", 2, "The BMS's own cycle counter")
    INTERNAL_RESISTANCE_OHM = QuantitySpec(17, "Ω", 6, "Internal resistance the BMS states")
    PACK_POWER_W = QuantitySpec(18, "W", 1, "Pack power the BMS states, charging positive")
    OPERATING_TIME_H = QuantitySpec(19, "h", 3, "The BMS's own counter of the time it has worked")
    ENERGY_REMAINING_KWH = QuantitySpec(20, "kWh", 4, "Energy left in the battery as the BMS states it")
    FULL_CHARGE_ENERGY_KWH = QuantitySpec(21, "kWh", 4, "Energy of the full battery as the BMS states it")
    REMAINING_CHARGE_AH = QuantitySpec(22, "Ah", 3, "Charge left in the battery as the BMS states it")
    STATE_OF_CERTIFIED_ENERGY_PCT = QuantitySpec(23, "%", 2, "State of certified energy as the vehicle states it")

    # Members are one each, so identity may hash them: the hash of Enum, written in Python, takes most of a look-up.
    __hash__ = object.__hash__

    @property
    def code(self) -> int:
        """The integer that stands for this quantity in records."""
        return self.value.code

    @property
    def unit(self) -> str:
        """The one unit of every value of this quantity."""
        return self.value.unit

    @property
    def decimals(self) -> int:
        """Digits after the decimal point that telemetry keeps."""
        return self.value.decimals

    @property
    def key(self) -> str:
        """The name used in profiles, reports and JSON: the member's name in lower case."""
        return self.name.lower()


BY_CODE: dict[int, Quantity] = {q.code: q for q in Quantity}
BY_KEY: dict[str, Quantity] = {q.key: q for q in Quantity}


class Channel(NamedTuple):
    """One quantity at one place: `index` counts cells or sensors from 0, and is 0 for a quantity of the whole pack."""

    quantity: Quantity
    index: int = 0  # type: ignore[assignment]  # hides tuple.index, which nobody asks of a channel
