"""Truth: against hand calculations, and against the product's own meter fed with perfect samples of a whole day."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.passport import Field
from packseal.core.quantities import Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, Instant, Sample
from packseal_hil.battery import BatterySpec, Bms, SimulatedBattery, Spread, open_battery
from packseal_hil.battery.truth import Moment, Truth, above, positive

DECLARED = Declared(
    rated_capacity_ah=50,
    temperature_min_c=0,
    temperature_max_c=40,
    cell_voltage_min_v=2.5,
    cell_voltage_max_v=4.2,
)
ENDS = st.floats(-100, 100)


def moment(current_a: float = 0, voltage_v: float = 300, temperature_c: float = 20, cell_v: float = 3.5) -> Moment:
    return Moment(current_a, voltage_v, temperature_c, temperature_c, cell_v, cell_v)


def through(moments: list[Moment], seconds: float) -> Truth:
    truth = Truth(DECLARED)
    for before, after in pairwise(moments):
        truth.step(before, after, seconds)
    return truth


def metered(battery: SimulatedBattery, seconds: int, every_s: int) -> Meter:
    """Feed everything that a perfect BMS says to the product's meter."""
    meter = Meter(battery.declared(), frozenset(Quantity), period_s=every_s)
    for i in range(seconds // every_s + 1):
        if i:
            battery.advance(every_s)
        ns = i * every_s * NS_PER_S
        meter.feed(Sample(Instant(ns, 1_700_000_000 * NS_PER_S + ns, ClockQuality.NTP), dict(battery.said())))
    return meter


def values(meter: Meter) -> dict[Field, float]:
    return {r.field: r.value for r in meter.snapshot().readings if r.value is not None}


@settings(deadline=None)
@given(ENDS, ENDS)
def test_the_parts_of_a_line_above_and_below_zero_make_up_the_line(first: float, last: float) -> None:
    assert positive(first, last) - positive(-first, -last) == pytest.approx((first + last) / 2, abs=1e-9)
    assert 0 <= above(first, last) <= 1
    if first and last:
        assert above(first, last) + above(-first, -last) == pytest.approx(1)


def test_a_line_through_zero_is_split_where_it_crosses() -> None:
    # From 30 to -10 in 4 s: 3 s above with a mean of 15, 1 s below with a mean of 5.
    assert positive(30, -10) * 4 == pytest.approx(45)
    assert positive(-30, 10) * 4 == pytest.approx(5)
    assert above(30, -10) == pytest.approx(0.75)


def test_charge_and_energy_by_hand() -> None:
    # An hour at 10 A and 300 V in, half an hour at 20 A and 280 V out, in steps of 30 min, with jumps between.
    course = [moment(10), moment(10), moment(10)]
    truth = through(course, 1800)
    truth.step(moment(-20, 280), moment(-20, 280), 1800)
    got = truth.counters()
    assert got[Field.CAPACITY_CHARGED] == pytest.approx(10)
    assert got[Field.CAPACITY_DISCHARGED] == pytest.approx(10)
    assert got[Field.CAPACITY_THROUGHPUT] == pytest.approx(20)
    assert got[Field.ENERGY_CHARGED] == pytest.approx(3)
    assert got[Field.ENERGY_DISCHARGED] == pytest.approx(2.8)
    assert got[Field.ENERGY_THROUGHPUT] == pytest.approx(5.8)
    assert got[Field.FULL_EQUIVALENT_CYCLES] == pytest.approx(10 / 50)


def test_time_in_extreme_temperature_by_hand() -> None:
    # 30 to 50 °C in 20 min crosses 40 °C half way; 10 min more at 50 °C while charging at 5 A.
    truth = through([moment(0, temperature_c=30), moment(0, temperature_c=50)], 1200)
    truth.step(moment(5, temperature_c=50), moment(5, temperature_c=50), 600)
    # 5 min at -5 °C, with 0.5 A, which is less than C/50 of 50 Ah and so no charging.
    truth.step(moment(0.5, temperature_c=-5), moment(0.5, temperature_c=-5), 300)
    got = truth.counters()
    assert got[Field.TIME_EXTREME_HIGH] == pytest.approx(20)
    assert got[Field.TIME_EXTREME_HIGH_CHARGING] == pytest.approx(10)
    assert got[Field.TIME_EXTREME_LOW] == pytest.approx(5)
    assert got[Field.TIME_EXTREME_LOW_CHARGING] == 0


def test_a_deep_discharge_counts_after_ten_seconds_and_again_after_recovery() -> None:
    def dips(*cell_v: float) -> float:
        return through([moment(cell_v=v) for v in cell_v], 5).counters()[Field.DEEP_DISCHARGE_EVENTS]

    assert dips(3.0, 2.4, 2.4, 3.0) == 0  # below for about 9 s
    assert dips(3.0, 2.4, 2.4, 2.4, 3.0) == 1
    assert dips(3.0, 2.4, 2.4, 2.4, 2.55, 2.4, 2.4, 2.4) == 1  # not 100 mV within in between
    assert dips(3.0, 2.4, 2.4, 2.4, 2.7, 2.4, 2.4, 2.4) == 2


def test_an_overcharge_counts_after_one_second() -> None:
    def peaks(seconds: float, *cell_v: float) -> float:
        return through([moment(cell_v=v) for v in cell_v], seconds).counters()[Field.OVERCHARGE_EVENTS]

    assert peaks(0.5, 4.1, 4.25, 4.1) == 0
    assert peaks(0.5, 4.1, 4.25, 4.25, 4.25, 4.1) == 1


def test_the_extreme_of_cells_and_sensors_counts() -> None:
    uneven = Moment(0, 300, coldest_c=-5, hottest_c=45, lowest_v=2.4, highest_v=4.25)
    got = through([uneven, uneven], 60).counters()
    assert got[Field.TIME_EXTREME_HIGH] == got[Field.TIME_EXTREME_LOW] == 1
    assert got[Field.DEEP_DISCHARGE_EVENTS] == got[Field.OVERCHARGE_EVENTS] == 1


def test_a_constant_charge_of_a_battery_by_hand() -> None:
    # 7.5 A after a minute's ramp that begins at 10 s: in the first hour 7.5 * (3600 - 10 - 30) As.
    battery = open_battery(BatterySpec(cells=3, load="overnight_charge"), 1)
    battery.advance(3600)
    charged = battery.truth()[Field.CAPACITY_CHARGED]
    assert charged == pytest.approx(7.5 * 3560 / 3600, rel=1e-6)
    assert battery.truth()[Field.STATE_OF_CHARGE] == pytest.approx(25 + 100 * charged / 60 - 2 / 720, abs=1e-6)
    assert battery.truth()[Field.CAPACITY_DISCHARGED] == 0


def test_capacity_is_from_the_first_full_to_the_first_empty_cell() -> None:
    battery = open_battery(BatterySpec(cells=2, load="rest"), 1)
    cells = battery.cells
    cells.capacity_ah[:] = [50, 60]
    cells.soc[:] = [0.6, 0.4]
    # 24 Ah until the second is empty, 20 Ah until the first is full.
    assert battery.capacity_ah == pytest.approx(44)
    assert battery.soc_pct == pytest.approx(100 * 24 / 44)


HOT = BatterySpec(cells=4, ambient_c=42, ambient_swing_k=4, spread=Spread(capacity=0.01, soc_pct=0.5), age=0.3)


@pytest.mark.parametrize(
    ("chemistry", "load", "begin_h", "end_h", "every_s"),
    [("nmc", "commuter_day", 6, 13, 2), ("lfp", "pv_day", 0, 24, 10)],
)
def test_the_meter_finds_the_truth_of_a_day_in_perfect_samples(
    chemistry: str, load: str, begin_h: float, end_h: float, every_s: int
) -> None:
    """A day in hot weather: no sensor errors, so what differs is what sampling alone makes of it."""
    spec = msgspec.structs.replace(HOT, chemistry=chemistry, load=load, load_starts_h=begin_h, step_s=every_s)
    battery = open_battery(spec, 7)
    found, true = values(metered(battery, round(3600 * (end_h - begin_h)), every_s)), battery.truth()
    # A vehicle's passport carries no remaining capacity (EC guidance no. 62).
    assert set(true) - set(found) <= {Field.REMAINING_CAPACITY}
    assert true[Field.CAPACITY_DISCHARGED] > 15
    assert 30 < true[Field.TIME_EXTREME_HIGH] < 60 * (end_h - begin_h) - 30
    assert true[Field.TIME_EXTREME_HIGH_CHARGING] > 1
    # Where current crosses zero within an interval the meter counts half of each end, more than a straight line's part;
    # in traffic sampled every 2 s that makes 0.2 %. What is left of charge after discharge has no such error.
    net = [v[Field.CAPACITY_CHARGED] - v[Field.CAPACITY_DISCHARGED] for v in (found, true)]
    assert net[0] == pytest.approx(net[1], abs=1e-3)
    for field in set(true) & set(found):
        if field.unit in ("Ah", "kWh", "1") and field is not Field.REMAINING_CAPACITY:
            assert found[field] == pytest.approx(true[field], rel=0.003), field
        elif field.unit == "min":
            assert found[field] == pytest.approx(true[field], abs=1), field
    for field in (Field.STATE_OF_HEALTH_BMS, Field.CAPACITY_FADE):
        assert found[field] == pytest.approx(true[field], rel=1e-6, abs=1e-6), field
    # What balancing bleeds no BMS counts.
    assert found[Field.STATE_OF_CHARGE] == pytest.approx(true[Field.STATE_OF_CHARGE], abs=2)


def test_the_meter_counts_the_same_harm() -> None:
    """Driven flat without protection, five times: events in truth and meter are the same."""
    spec = BatterySpec(cells=3, load="drive", start_soc_pct=3, bms=Bms(protects=False))
    battery = open_battery(spec, 1)
    found, true = values(metered(battery, 900, 1)), battery.truth()
    assert true[Field.DEEP_DISCHARGE_EVENTS] > 0
    assert found[Field.DEEP_DISCHARGE_EVENTS] == true[Field.DEEP_DISCHARGE_EVENTS]
    assert found[Field.OVERCHARGE_EVENTS] == true[Field.OVERCHARGE_EVENTS] == 0


def test_overcharging_is_harm_too() -> None:
    spec = BatterySpec(cells=3, load="fast_charge", start_soc_pct=95, bms=Bms(protects=False))
    battery = open_battery(spec, 1)
    found, true = values(metered(battery, 900, 1)), battery.truth()
    assert found[Field.OVERCHARGE_EVENTS] == true[Field.OVERCHARGE_EVENTS] == 1


def test_steps_of_any_length_give_the_same_truth() -> None:
    spec = BatterySpec(cells=2, load="overnight_charge")
    one, many = open_battery(spec, 1), open_battery(spec, 1)
    one.advance(600)
    for _ in range(6000):
        many.advance(0.1)
    assert many.time_s == pytest.approx(600)
    assert dict(many.truth()) == pytest.approx(dict(one.truth()), rel=1e-4)
