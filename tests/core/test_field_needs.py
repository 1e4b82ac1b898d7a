"""What the field table says a field needs is what the meter asks for: without that it is missing, and says why."""

from dataclasses import dataclass

import msgspec
import pytest

from packseal.core.declared import Declared
from packseal.core.fields import ROWS, Row
from packseal.core.meter import Meter
from packseal.core.passport import Field, Missing, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Sample

ALL = frozenset(Quantity)
FULL = Declared(
    chemistry="nmc",
    rated_capacity_ah=60,
    certified_energy_kwh=20,
    nominal_voltage_v=350,
    cells_in_series=96,
    temperature_min_c=-20,
    temperature_max_c=45,
    cell_voltage_min_v=2.8,
    cell_voltage_max_v=4.2,
    initial_resistance_ohm=0.1,
    initial_power_at_80_w=1000,
    initial_power_at_20_w=900,
    initial_round_trip_efficiency_pct=95,
    initial_self_discharge_pct_month=2,
    expected_life_cycles=1000,
    expected_life_years=10,
    date_into_service="2027-01",
    status="original",
    accidents=1,
)
STATED = (Quantity.FULL_CHARGE_CAPACITY_AH, Quantity.FULL_CHARGE_ENERGY_KWH)
"""What the BMS states in place of our own estimate: it is left out here, for the table is about the estimate."""
JUDGED = (Field.HEALTH_CLAIM_VERDICT, Field.ACCIDENTS)
"""The verdict's value says itself that there is not enough evidence; no accident said is none on record."""
OTHERWISE: dict[Field, set[str | Quantity]] = {
    Field.REMAINING_ROUND_TRIP_EFFICIENCY: {Quantity.STATE_OF_CHARGE_PCT},
    Field.ROUND_TRIP_EFFICIENCY_FADE: {Quantity.STATE_OF_CHARGE_PCT},
    Field.POWER_FADE: {"initial_power_at_80_w"},
}
"""What another thing can stand in for, as the field's derivation says."""
VALUES = {
    Quantity.PACK_VOLTAGE_V: 350.0,
    Quantity.CELL_VOLTAGE_V: 3.6,
    Quantity.CELL_VOLTAGE_MIN_V: 3.6,
    Quantity.CELL_VOLTAGE_MAX_V: 3.6,
}


@dataclass(frozen=True)
class Lack:
    """What is taken away, and the reason that is to be given."""

    declared: Declared
    delivers: frozenset[Quantity]
    reason: Missing | None


def says(lack: Lack) -> dict[Field, Reading]:
    meter = Meter(lack.declared, lack.delivers)
    for second in range(3):
        at = Instant(second * 10**9, 1_800_000_000_000_000_000 + second * 10**9, ClockQuality.NTP)
        meter.feed(Sample(at, {Channel(q): VALUES.get(q, 20.0) for q in lack.delivers}))
    return {reading.field: reading for reading in meter.snapshot().readings}


def lacks(row: Row) -> list[Lack]:
    delivers = ALL - set(STATED)
    if row.field is Field.REMAINING_CAPACITY_BMS:
        delivers = ALL
    spared = OTHERWISE.get(row.field, set())
    singles = [frozenset({q}) for q in row.quantities if q not in spared]
    taken = [frozenset(row.quantities)] if row.any_quantity else singles
    names = [name for name in row.declared if name not in spared]
    bare = [Lack(msgspec.structs.replace(FULL, **{name: None}), delivers, Missing.NOT_DECLARED) for name in names]
    return [*bare, *(Lack(FULL, delivers - some, Missing.NOT_REPORTED) for some in taken)]


@pytest.mark.parametrize("row", [r for r in ROWS if r.field not in JUDGED], ids=lambda r: r.field.key)
def test_what_is_needed_is_missed(row: Row) -> None:
    assert row.quantities or row.declared
    for lack in lacks(row):
        assert says(lack)[row.field].missing is lack.reason, lack


@pytest.mark.parametrize("row", [r for r in ROWS if r.field not in JUDGED], ids=lambda r: r.field.key)
def test_nothing_else_is_needed(row: Row) -> None:
    """With just what the table names, nothing is said to be undeclared or not reported."""
    only = {n: getattr(FULL, n) for n in row.declared}
    found = says(Lack(Declared(**only), frozenset(row.quantities), None))[row.field]
    assert found.missing not in (Missing.NOT_DECLARED, Missing.NOT_REPORTED)
