"""The table of passport fields: one row per dynamic field, and what a Reading of it may carry.

`code` is what records carry and is never reused. `clause` is the section of DIN DKE SPEC 99100:2025-02, `guidance` the
attribute number of the EC guidance v1.0 (CC BY 4.0), `law` the annex of Regulation (EU) 2023/1542.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

from packseal.core.quantities import Channel

MAX_ID_BYTES = 255
"""Bound on the URI of a gateway or battery in UTF-8, so that a reader can set aside room for it."""


class FieldSpec(NamedTuple):
    """What is fixed about a passport field. Records keep value and uncertainty at `decimals` digits."""

    code: int
    unit: str
    decimals: int
    title: str
    law: str
    clause: str
    guidance: int | None


class Field(Enum):
    """One dynamic field of the passport. Counters are absolute and never fall."""

    STATE_OF_CHARGE = FieldSpec(1, "%", 2, "State of charge", "XIII 4(d)", "6.7.2.8", 71)
    STATE_OF_HEALTH_BMS = FieldSpec(2, "%", 2, "State of health as the BMS claims it", "not a field", "-", None)
    CAPACITY_THROUGHPUT = FieldSpec(3, "Ah", 3, "Capacity throughput", "VII B(3)", "6.7.6.8", None)
    ENERGY_THROUGHPUT = FieldSpec(4, "kWh", 4, "Energy throughput", "VII B(2)", "6.7.6.7", None)
    FULL_EQUIVALENT_CYCLES = FieldSpec(5, "1", 4, "Full equivalent cycles", "VII B(5)", "6.7.6.4", 68)
    TIME_EXTREME_HIGH = FieldSpec(6, "min", 4, "Time above the temperature range", "VII B(4)", "6.7.7.5", None)
    TIME_EXTREME_LOW = FieldSpec(7, "min", 4, "Time below the temperature range", "VII B(4)", "6.7.7.6", None)
    TIME_EXTREME_HIGH_CHARGING = FieldSpec(8, "min", 4, "Time charging above the range", "VII B(4)", "6.7.7.7", None)
    TIME_EXTREME_LOW_CHARGING = FieldSpec(9, "min", 4, "Time charging below the range", "VII B(4)", "6.7.7.8", None)
    DEEP_DISCHARGE_EVENTS = FieldSpec(10, "1", 0, "Deep-discharge events", "VII B(4)", "6.7.8.2", None)
    OVERCHARGE_EVENTS = FieldSpec(11, "1", 0, "Overcharge events", "consortium", "6.7.8.3", None)
    REMAINING_CAPACITY = FieldSpec(12, "Ah", 3, "Remaining capacity", "VII A(1)", "6.7.2.3", 62)
    CAPACITY_FADE = FieldSpec(13, "%", 2, "Capacity fade", "IV A(1)", "6.7.2.4", 52)
    CAPACITY_CHARGED = FieldSpec(14, "Ah", 3, "Capacity throughput, charging part", "VII B(3)", "6.7.6.8", None)
    CAPACITY_DISCHARGED = FieldSpec(15, "Ah", 3, "Capacity throughput, discharging part", "VII B(3)", "6.7.6.8", None)
    ENERGY_CHARGED = FieldSpec(16, "kWh", 4, "Energy throughput, charging part", "VII B(2)", "6.7.6.7", None)
    ENERGY_DISCHARGED = FieldSpec(17, "kWh", 4, "Energy throughput, discharging part", "VII B(2)", "6.7.6.7", None)

    @property
    def code(self) -> int:
        """The integer that stands for this field in records."""
        return self.value.code

    @property
    def unit(self) -> str:
        """The one unit of value and uncertainty."""
        return self.value.unit

    @property
    def decimals(self) -> int:
        """Digits after the decimal point that records keep."""
        return self.value.decimals

    @property
    def key(self) -> str:
        """The name in JSON and reports: the member's name in lower case."""
        return self.name.lower()


FIELD_BY_CODE: dict[int, Field] = {f.code: f for f in Field}
FIELD_BY_KEY: dict[str, Field] = {f.key: f for f in Field}


class Originator(IntEnum):
    """Who a value comes from. Never mixed."""

    BMS = 1  # passed on from the battery management system
    DERIVED = 2  # computed on the gateway from measured samples
    DECLARED = 3  # from the manufacturer's static passport data
    OPERATOR = 4  # entered by a person


class Method(IntEnum):
    """How a value was determined."""

    AS_REPORTED = 1  # passed on from the BMS unchanged
    TRAPEZOID = 2  # integral of measured samples, trapezoidal, not over gaps
    RATIO_TO_RATED = 3  # a counter or capacity divided by the declared rated value
    TIME_IN_STATE = 4  # sum of sample intervals that start in the state
    EVENT_COUNT = 5  # entries into a state with hysteresis and a minimum duration


class Missing(IntEnum):
    """Why a value is not available."""

    NO_DATA = 1  # the battery delivers it, but nothing usable has come yet
    NOT_REPORTED = 2  # this BMS or profile does not deliver what is needed
    NOT_DECLARED = 3  # the static data that it needs was not entered
    FLAWED = 4  # what came was out of range or marked invalid
    PLACEHOLDER = 5  # the firmware is known to send a constant


@dataclass(frozen=True, slots=True)
class Reading:
    """One passport field at one instant: a value with its origin, or the reason why there is none.

    `value` and `uncertainty` (one standard deviation; None = not known) are in `field.unit`. `last_update_ms` is UTC in
    milliseconds since 1970. `coverage` is the share, 0 to 1, of the time since this meter began that was observed; None
    where it has no meaning. A Reading with `missing` has no value.
    """

    field: Field
    value: float | None = None
    missing: Missing | None = None
    originator: Originator = Originator.DERIVED
    method: Method = Method.AS_REPORTED
    last_update_ms: int = 0
    uncertainty: float | None = None
    coverage: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.missing is None):
            raise ValueError(f"{self.field.key}: exactly one of value and missing must be given")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All Readings of one battery at one instant, in the order of their codes.

    `present` holds the pack-level values a workshop looks at first; `cells_mv` the cell voltages in millivolts by the
    cells' numbers, None for one that is not known, empty where none is. Both hold only what is not stale.
    `began_ms` is the UTC time since when the counters run, in milliseconds; None where it is not known.
    """

    readings: Sequence[Reading]
    present: Mapping[Channel, float] = field(default_factory=dict)
    cells_mv: Sequence[int | None] = ()
    began_ms: int | None = None
