"""Hours by what the battery does, and the map of charge and temperature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import ALL, PACK, WALL_NS, readings, sample, value

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.meter.usage import Usage, UsageState
from packseal.core.meter.view import Viewer
from packseal.core.passport import Field, Missing
from packseal.core.quantities import Quantity

LIMIT_NS = 10_000_000_000


def test_hours_by_mode_with_the_bound_at_a_fiftieth_of_the_capacity() -> None:
    meter = Meter(PACK, ALL)
    for t in range(0, 3601, 5):
        meter.feed(sample(t, a=1.0))
    for t in range(3605, 7201, 5):
        meter.feed(sample(t, a=1.001))
    for t in range(7205, 10801, 5):
        meter.feed(sample(t, a=-1.001))
    assert value(meter, Field.TIME_IDLE) == pytest.approx(1, abs=0.001)
    assert value(meter, Field.TIME_CHARGING) == pytest.approx(1, abs=0.001)
    assert value(meter, Field.TIME_DISCHARGING) == pytest.approx(1, abs=0.001)
    assert readings(meter)[Field.TIME_IDLE].coverage == 1


def usage() -> tuple[Usage, Viewer]:
    return Usage(PACK, ALL, LIMIT_NS, UsageState()), Viewer(PACK, ALL)


def test_the_map_holds_every_hour_at_its_charge_and_temperature() -> None:
    family, viewer = usage()
    for t in range(0, 3601, 10):
        family.feed(viewer.see(sample(t, a=0, soc=95, t=21.3)))
    for t in range(3610, 7201, 10):
        family.feed(viewer.see(sample(t, a=0, soc=100, t=-20)))
    for t in range(7210, 10801, 10):
        family.feed(viewer.see(sample(t, a=0, soc=0, t=140)))
    found = family.map_h()
    assert set(found) == {"0-10 %", "90-100 %"}
    assert found["90-100 %"] == pytest.approx({"-20--15 °C": 1, "20-25 °C": 1}, abs=0.003)
    assert found["0-10 %"] == pytest.approx({"85-90 °C": 1}, abs=0.003)
    high = next(r for r in family.readings() if r.field is Field.TIME_HIGH_CHARGE)
    assert high.value == pytest.approx(2, abs=0.003)


def test_without_a_temperature_the_place_is_unknown_and_not_zero_degrees() -> None:
    family, viewer = usage()
    family.feed(viewer.see(sample(0, a=0, soc=45)))
    family.feed(viewer.see(sample(9, a=0, soc=45)))
    assert family.map_h() == {"40-50 %": {"unknown": 9 / 3600}}


@given(st.lists(st.tuples(st.floats(0.1, 20), st.floats(-100, 100), st.floats(0, 100), st.floats(-60, 100))))
def test_modes_and_map_hold_all_covered_time_and_a_restart_changes_nothing(
    steps: list[tuple[float, float, float, float]],
) -> None:
    family, viewer = usage()
    now_s = 0.0
    for dt, current, soc, temperature in steps:
        now_s += dt
        view = viewer.see(sample(now_s, a=current, soc=soc, t=temperature))
        family.feed(view)
    covered_s = family.state.observed.covered_ns / 1e9
    assert sum(family.state.seconds) == pytest.approx(covered_s)
    assert sum(family.state.places.values()) == pytest.approx(covered_s)
    assert len(family.state.places) <= 10 * 27


def test_why_there_is_no_value() -> None:
    silent = readings(Meter(Declared(), frozenset({Quantity.PACK_CURRENT_A})))
    assert silent[Field.TIME_IDLE].missing is Missing.NO_DATA
    assert silent[Field.TIME_HIGH_CHARGE].missing is Missing.NOT_REPORTED
    blind = readings(Meter(Declared(), frozenset({Quantity.PACK_VOLTAGE_V})))
    assert blind[Field.TIME_CHARGING].missing is Missing.NOT_REPORTED
    assert blind[Field.STATE_OF_CERTIFIED_ENERGY].missing is Missing.NOT_REPORTED
    assert blind[Field.TEMPERATURE].missing is Missing.NOT_REPORTED


def test_temperature_is_the_hottest_and_certified_energy_is_passed_on() -> None:
    meter = Meter(PACK, ALL)
    meter.feed(sample(0, t=-3.5, soce=91.5))
    found = readings(meter)
    assert found[Field.TEMPERATURE].value == -3.5
    assert found[Field.STATE_OF_CERTIFIED_ENERGY].value == 91.5
    assert found[Field.STATE_OF_CERTIFIED_ENERGY].last_update_ms == WALL_NS // 1_000_000
