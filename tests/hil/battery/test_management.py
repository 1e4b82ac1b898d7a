"""What a BMS believes: whole percents, drift, jumps at a full charge, and a state of health that may be a lie."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal.core.passport import Field
from packseal.core.quantities import Channel, Quantity
from packseal_hil.battery import BatterySpec, Bms, Sensor, Sensors, SimulatedBattery, ageing, open_battery

SOC, SOH = Channel(Quantity.STATE_OF_CHARGE_PCT), Channel(Quantity.STATE_OF_HEALTH_PCT)
FULL = Channel(Quantity.FULL_CHARGE_CAPACITY_AH)


def soc_error(battery: SimulatedBattery) -> float:
    return battery.said()[SOC] - battery.soc_pct


def test_an_honest_bms_states_the_true_health_and_a_liar_what_it_likes() -> None:
    honest, liar = (open_battery(BatterySpec(cells=2, age=0.7, bms=Bms(soh=soh)), 1) for soh in ("truth", 100.0))
    assert honest.said()[SOH] == pytest.approx(honest.truth()[Field.STATE_OF_HEALTH_BMS])
    assert honest.said()[SOH] < 95
    assert liar.said()[SOH] == 100
    assert liar.said()[FULL] == 60
    assert liar.truth() == pytest.approx(honest.truth())
    assert liar.truth()[Field.CAPACITY_FADE] > 5


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([0.5, 1.0, 2.0]), st.floats(1, 85), st.integers(1, 3))
def test_a_coarse_state_of_charge_is_a_multiple_of_its_step_and_near(step: float, start: float, minutes: int) -> None:
    spec = BatterySpec(cells=2, start_soc_pct=start, load="overnight_charge", bms=Bms(soc_step_pct=step), step_s=10)
    battery = open_battery(spec, 1)
    battery.advance(600 * minutes)
    said = battery.said()[SOC]
    assert said % step == 0
    assert abs(said - battery.soc_pct) <= step / 2 + 0.05


def test_an_offset_of_the_current_sensor_drifts_and_a_full_charge_sets_it_right() -> None:
    sensors = Sensors(current=Sensor(offset=-0.6))
    spec = BatterySpec(cells=2, sensors=sensors, load="overnight_charge", start_soc_pct=40, step_s=10)
    battery = open_battery(spec, 1)
    battery.advance(4 * 3600)
    # 0.6 A for 4 h of 60 Ah is 4 %.
    assert soc_error(battery) == pytest.approx(-4, abs=0.1)
    jumps, before = [], battery.said()[SOC]
    for _ in range(3 * 360):
        battery.advance(10)
        jumps.append(battery.said()[SOC] - before)
        before = battery.said()[SOC]
    assert max(jumps) > 4
    assert before == 100
    assert abs(soc_error(battery)) < 1


def test_one_that_does_not_calibrate_keeps_its_error() -> None:
    spec = BatterySpec(cells=2, load="overnight_charge", start_soc_pct=90, step_s=10)
    errors = {}
    for calibrates in (True, False):
        bms = Bms(calibrates=calibrates, soc_start_error_pct=-8)
        battery = open_battery(msgspec.structs.replace(spec, bms=bms), 1)
        battery.advance(3 * 3600)
        errors[calibrates] = soc_error(battery)
    assert errors[False] == pytest.approx(-8, abs=0.2)
    assert abs(errors[True]) < 1


def test_the_cut_off_is_a_fixed_point_too() -> None:
    spec = BatterySpec(cells=2, load="drive", start_soc_pct=15, bms=Bms(soc_start_error_pct=10))
    battery = open_battery(spec, 1)
    battery.advance(1800)
    assert battery.said()[SOC] < 1
    assert battery.soc_pct < 5


def test_drift_by_the_day_is_what_the_spec_says() -> None:
    bms = Bms(soc_drift_pct_per_day=2.4)
    spec = BatterySpec(cells=2, load="rest", start_soc_pct=50, bms=bms, self_discharge_pct_per_month=0, step_s=10)
    battery = open_battery(spec, 1)
    battery.advance(5 * 3600)
    assert soc_error(battery) == pytest.approx(0.5)


def test_protection_keeps_cells_within_their_window_and_without_it_they_leave_it() -> None:
    extremes = {}
    for protects in (True, False):
        battery = open_battery(BatterySpec(cells=4, load="drive", start_soc_pct=5, bms=Bms(protects=protects)), 1)
        lowest = 5.0
        for _ in range(900):
            battery.advance(1)
            lowest = min(lowest, battery.signals()["cell_voltage_min_v"])
        extremes[protects] = lowest, battery.truth()[Field.DEEP_DISCHARGE_EVENTS]
    assert extremes[True][0] > 2.7
    assert extremes[True][1] == 0
    assert extremes[False][0] < 2.5
    assert extremes[False][1] >= 1


@pytest.mark.parametrize("step_s", [1, 10])
def test_recuperation_of_a_cold_old_battery_stays_at_the_limit_in_steps_of_any_length(step_s: float) -> None:
    spec = BatterySpec(cells=1, load="drive", start_soc_pct=85, ambient_c=0, age=1, step_s=step_s)
    battery = open_battery(spec, 1)
    highest = 0.0
    for _ in range(60):
        battery.advance(10)
        highest = max(highest, battery.signals()["cell_voltage_max_v"])
    assert highest == pytest.approx(4.2, abs=0.01)


def test_charging_tapers_at_the_limit_and_ends_full() -> None:
    battery = open_battery(BatterySpec(cells=4, load="fast_charge", start_soc_pct=50), 1)
    highest, currents = 0.0, []
    for _ in range(3600):
        battery.advance(1)
        highest = max(highest, battery.signals()["cell_voltage_max_v"])
        currents.append(battery.signals()["pack_current_a"])
    assert highest == pytest.approx(4.2, abs=0.005)
    assert max(currents) == pytest.approx(72)
    assert currents[-1] == 0
    assert battery.soc_pct > 98


def test_counters_of_an_aged_battery_begin_with_what_it_has_lived() -> None:
    aged = open_battery(BatterySpec(cells=2, age=0.5), 1).said()
    points = ageing.load("nmc_okane2022").points
    middle = points[(len(points) - 1) // 2]
    assert len(points) % 2 == 1
    assert aged[Channel(Quantity.CYCLES)] == pytest.approx(middle.throughput_ah / 2 / points[0].capacity_ah)
    assert aged[Channel(Quantity.OPERATING_TIME_H)] == pytest.approx(24 * middle.days)
    assert aged[Channel(Quantity.CHARGE_DISCHARGED_AH)] == pytest.approx(60 * aged[Channel(Quantity.CYCLES)])
    assert open_battery(BatterySpec(cells=2), 1).said()[Channel(Quantity.CYCLES)] < 2
