"""The table of passport fields: one row per dynamic field, and what a Reading of it may carry.

`code` is what records carry and is never reused. `clause` is the section of DIN DKE SPEC 99100:2025-02, `guidance` the
attribute number of the EC guidance v1.0 (CC BY 4.0), `law` the annex of Regulation (EU) 2023/1542.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import NamedTuple

from packseal.core.quantities import Channel

OUTSIDE = "not a field"
"""In place of a law, of what the passport does not ask for."""

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
    STATE_OF_HEALTH_BMS = FieldSpec(2, "%", 2, "State of health as the BMS claims it", OUTSIDE, "-", None)
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
    STATE_OF_CERTIFIED_ENERGY = FieldSpec(18, "%", 2, "State of certified energy", "VII A", "6.7.2.7", 61)
    REMAINING_ENERGY = FieldSpec(19, "kWh", 3, "Remaining usable energy", "consortium", "6.7.2.6", None)
    RATED_CAPACITY = FieldSpec(20, "Ah", 3, "Capacity at the last status change", "IV A(1)", "6.7.2.2", 51)
    POWER_AT_80 = FieldSpec(21, "W", 1, "Power at 80 % charge at the last status change", "IV A(2)", "6.7.3.2", 53)
    POWER_AT_20 = FieldSpec(22, "W", 1, "Power at 20 % charge at the last status change", "IV A(2)", "6.7.3.2", 53)
    REMAINING_POWER_AT_80 = FieldSpec(23, "W", 1, "Remaining power at 80 % charge", "VII A(2)", "6.7.3.3", 63)
    REMAINING_POWER_AT_20 = FieldSpec(24, "W", 1, "Remaining power at 20 % charge", "VII A(2)", "6.7.3.3", 63)
    POWER_FADE = FieldSpec(25, "%", 2, "Power fade", "IV A(2)", "6.7.3.4", 54)
    ROUND_TRIP_EFFICIENCY = FieldSpec(
        26, "%", 2, "Round-trip efficiency at the last status change", "IV A(4)", "6.7.4.2", 57
    )
    REMAINING_ROUND_TRIP_EFFICIENCY = FieldSpec(
        27, "%", 2, "Remaining round-trip energy efficiency", "VII A(3)", "6.7.4.4", 64
    )
    ROUND_TRIP_EFFICIENCY_FADE = FieldSpec(28, "%", 2, "Round-trip efficiency fade", "IV A(4)", "6.7.4.5", 58)
    SELF_DISCHARGE_RATE = FieldSpec(29, "%/month", 3, "Self-discharge rate", "VII A(4)", "6.7.4.7", None)
    SELF_DISCHARGE_EVOLUTION = FieldSpec(30, "%", 2, "Evolution of self-discharge", "VII A(4)", "6.7.4.8", 65)
    INTERNAL_RESISTANCE = FieldSpec(31, "Ω", 6, "Internal resistance, 10 s pulse", "IV A(3), VII A(5)", "6.7.5.2", 55)
    INTERNAL_RESISTANCE_INCREASE = FieldSpec(32, "%", 2, "Internal resistance increase", "IV A(3)", "6.7.5.3", 56)
    TEMPERATURE = FieldSpec(33, "°C", 2, "Battery temperature", "XIII 4(d)", "6.7.7.2", 70)
    ACCIDENTS = FieldSpec(34, "1", 0, "Accidents on record", "XIII 4(d)", "6.7.8.4", 69)
    BATTERY_STATUS = FieldSpec(35, "1", 0, "Battery status", "XIII 4(c)", "6.1.3.7", 67)
    DATE_INTO_SERVICE = FieldSpec(36, "1", 0, "Month put into service", "VII B(1)", "6.1.3.3", None)
    EXPECTED_LIFE_CYCLES = FieldSpec(37, "1", 0, "Expected lifetime in cycles", "IV A(5)", "6.7.6.3", 59)
    EXPECTED_LIFE_YEARS = FieldSpec(38, "a", 2, "Expected lifetime in years", "IV A(5)", "6.7.6.2", 60)
    STATE_OF_HEALTH_ESTIMATE = FieldSpec(39, "%", 2, "State of health as we estimate it", OUTSIDE, "-", None)
    REMAINING_CAPACITY_BMS = FieldSpec(40, "Ah", 3, "Full-charge capacity as the BMS states it", OUTSIDE, "-", None)
    CERTIFIED_ENERGY_ESTIMATE = FieldSpec(41, "%", 2, "State of certified energy as we estimate it", OUTSIDE, "-", None)
    OHMIC_RESISTANCE = FieldSpec(42, "Ω", 6, "Ohmic resistance, within 1 s", "VII A(5)", "6.7.5.2", 66)
    TIME_HIGH_CHARGE = FieldSpec(43, "h", 4, "Time at or above 90 % charge", OUTSIDE, "-", None)
    TIME_CHARGING = FieldSpec(44, "h", 4, "Time charging", OUTSIDE, "-", None)
    TIME_DISCHARGING = FieldSpec(45, "h", 4, "Time discharging", OUTSIDE, "-", None)
    TIME_IDLE = FieldSpec(46, "h", 4, "Time idle", OUTSIDE, "-", None)
    HEALTH_CLAIM_VERDICT = FieldSpec(47, "1", 0, "Verdict on the BMS's state of health", OUTSIDE, "-", None)
    CYCLES_BMS = FieldSpec(48, "1", 2, "Cycles as the BMS counts them", OUTSIDE, "-", None)
    CAPACITY_DISCHARGED_BMS = FieldSpec(49, "Ah", 3, "Charge given out as the BMS counts it", OUTSIDE, "-", None)
    ENERGY_DISCHARGED_BMS = FieldSpec(50, "kWh", 4, "Energy given out as the BMS counts it", OUTSIDE, "-", None)
    RAINFLOW_CYCLES = FieldSpec(51, "1", 4, "Full equivalent cycles by rainflow count", OUTSIDE, "-", None)

    # Members are one each, so identity may hash them: the hash of Enum, written in Python, takes most of a look-up.
    __hash__ = object.__hash__

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

    @property
    def in_passport(self) -> bool:
        """Whether the passport asks for it; else it is ours, and stands beside the passport."""
        return self.value.law != OUTSIDE

    def word(self, value: float) -> str | None:
        """Return what a value that is a code stands for, such as "repurposed"; None for a value that is a number."""
        if self is Field.DATE_INTO_SERVICE:
            return f"{int(value) // 100}-{int(value) % 100:02}" if value else None
        codes: type[IntEnum] | None = {Field.BATTERY_STATUS: Status, Field.HEALTH_CLAIM_VERDICT: Verdict}.get(self)
        known = codes is not None and value in {int(code) for code in codes}
        return codes(int(value)).name.lower().replace("_", " ") if codes is not None and known else None


FIELD_BY_CODE: dict[int, Field] = {f.code: f for f in Field}
FIELD_BY_KEY: dict[str, Field] = {f.key: f for f in Field}


class Status(IntEnum):
    """What BATTERY_STATUS says (Regulation (EU) 2023/1542 Annex XIII 4(c))."""

    ORIGINAL = 1  # as it was placed on the market
    REPURPOSED = 2  # prepared for another purpose than the one it was made for
    RE_USED = 3  # used again, for the same purpose
    REMANUFACTURED = 4  # brought back to at least 90 % of its rated capacity (Article 3(1)(32))
    WASTE = 5  # discarded


class Verdict(IntEnum):
    """What HEALTH_CLAIM_VERDICT says of the BMS's state of health beside ours."""

    NOT_ENOUGH_EVIDENCE = 0  # no claim, or no session from which to judge it
    CONSISTENT = 1  # within what both may be wrong by
    DOUBTFUL = 2  # apart by more than that, but not yet three times in a row
    CONTRADICTED = 3  # apart by more than that in three sessions in a row


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
    COULOMB_COUNTING = 6  # charge between two anchors of known state of charge, several sessions fused
    PULSE_10_S = 7  # voltage over current change 10 s after a current step, median of the newest
    PULSE_1_S = 8  # the same within 1 s: mostly ohmic
    POWER_FROM_RESISTANCE = 9  # open-circuit voltage, 10 s resistance and voltage limit (HPPC)
    EQUAL_CHARGE_LOOP = 10  # energy out over energy in between two moments of equal state of charge
    REST_PAIR = 11  # open-circuit voltages at both ends of a long rest
    RELATIVE_TO_INITIAL = 12  # change against the declared begin-of-life value
    ENTERED = 13  # put in by a person or taken over from the static passport
    AT_STATUS_CHANGE = 14  # as it stood when the battery's status was last set
    RAINFLOW = 15  # cycles of the state of charge by depth (ASTM E1049)
    RECONCILED = 16  # the BMS's counter, followed over its resets and roll-overs
    COMPARED = 17  # two originators' values set against each other
    USABLE_ENERGY = 18  # remaining capacity times the mean discharge voltage


class Missing(IntEnum):
    """Why a value is not available."""

    NO_DATA = 1  # the battery delivers it, but nothing usable has come yet
    NOT_REPORTED = 2  # this BMS or profile does not deliver what is needed
    NOT_DECLARED = 3  # the static data that it needs was not entered
    FLAWED = 4  # what came was out of range or marked invalid
    PLACEHOLDER = 5  # the firmware is known to send a constant
    NO_EVIDENCE = 6  # nothing has happened yet from which it could be determined
    TOO_UNCERTAIN = 7  # it could be determined, but not well enough to be of use


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
