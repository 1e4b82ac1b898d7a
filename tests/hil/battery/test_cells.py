"""The equivalent circuit keeps charge and energy, and answers currents as its parameters say."""

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hil.battery.circuit import cells

from packseal_hil.battery import BatterySpec, Bms, Spread, open_battery
from packseal_hil.battery import chemistry as chem
from packseal_hil.battery.cells import COOLING_S, EDGE_COOLING, GRID

SPREAD = Spread(capacity=0.02, resistance=0.1, self_discharge=0.3, soc_pct=1)
CURRENTS = st.lists(st.tuples(st.floats(-120, 120), st.floats(0.1, 10)), min_size=1, max_size=40)


@settings(deadline=None, max_examples=40)
@given(CURRENTS, st.sampled_from(["nmc", "lfp"]), st.floats(0, 1))
def test_all_charge_that_flows_is_in_the_cells_or_has_leaked(
    course: list[tuple[float, float]], chemistry: str, age: float
) -> None:
    spec = BatterySpec(chemistry=chemistry, cells=12, start_soc_pct=50, age=age, spread=SPREAD)  # type: ignore[arg-type]
    pack = cells(spec)
    before_ah, now_a, flowed_ah, hours = pack.soc * pack.capacity_ah, 0.0, 0.0, 0.0
    for current_a, seconds in course:
        pack.step(now_a, current_a, seconds, 20)
        flowed_ah += (now_a + current_a) / 2 * seconds / 3600
        hours += seconds / 3600
        now_a = current_a
    stored_ah = pack.soc * pack.capacity_ah - before_ah
    assert stored_ah == pytest.approx(flowed_ah - pack.leak_a * hours, abs=1e-9)


@pytest.mark.parametrize("chemistry", ["nmc", "lfp"])
@pytest.mark.parametrize("current_a", [-60.0, 60.0])
def test_energy_at_the_terminals_is_stored_or_heat(chemistry: str, current_a: float) -> None:
    spec = BatterySpec(chemistry=chemistry, cells=8, start_soc_pct=50, spread=SPREAD, self_discharge_pct_per_month=0)  # type: ignore[arg-type]
    pack = cells(spec)
    start, terminal_j, now_a = pack.soc.copy(), 0.0, 0.0
    for _ in range(1200):
        before_w = now_a * pack.volts.sum()
        pack.step(now_a, current_a, 1, 20)
        terminal_j += (before_w + current_a * pack.volts.sum()) / 2
        now_a = current_a
    ways = [np.linspace(a, b, 2001) for a, b in zip(start, pack.soc, strict=True)]
    stored_j = sum(
        3600 * q * np.trapezoid(pack.curve_v(way), way) for q, way in zip(pack.capacity_ah, ways, strict=True)
    )
    assert pack.heat_j > 0
    assert terminal_j == pytest.approx(stored_j + pack.heat_j, rel=2e-4)


def test_charging_lifts_voltage_and_charge_discharging_lowers_both() -> None:
    for sign in (1, -1):
        pack = cells(BatterySpec(cells=3, start_soc_pct=50))
        rest_v, soc = pack.volts.copy(), pack.soc.copy()
        pack.step(0, sign * 60, 1, 20)
        assert (sign * (pack.volts - rest_v) > 0.03).all()
        assert (sign * (pack.soc - soc) > 0).all()
        assert (sign * (pack.volts - pack.ocv_v()) > 0).all()


@pytest.mark.parametrize("chemistry", ["nmc", "lfp"])
def test_a_pulse_of_ten_seconds_shows_the_resistance_that_the_chemistry_states(chemistry: str) -> None:
    spec = BatterySpec(chemistry=chemistry, cells=1, start_soc_pct=50, ambient_c=25)  # type: ignore[arg-type]
    pack = cells(spec)
    ocv_v, rest_v = pack.ocv_v()[0], pack.volts[0]
    pack.step(-60, -60, 10, 25)
    by_pulse = (rest_v - pack.volts[0] - (ocv_v - pack.ocv_v()[0])) / 60
    hysteresis = chem.CHEMISTRIES[spec.chemistry].hysteresis_v / 60
    stated = chem.CHEMISTRIES[spec.chemistry].pulse_ohm_ah / 60
    assert stated * 0.99 < by_pulse < stated * 1.01 + hysteresis
    assert pack.pulse_ohm == pytest.approx(stated)


def test_cold_resists_more_by_the_law_of_arrhenius_and_empty_more_than_half_full() -> None:
    def drop_v(ambient_c: float, soc_pct: float) -> float:
        pack = cells(BatterySpec(cells=1, start_soc_pct=soc_pct, ambient_c=ambient_c))
        pack.step(0, -1e-3, 1e-6, ambient_c)
        return float(pack.ocv_v()[0] - pack.volts[0])

    law = exp(25_000 / 8.314462618 * (1 / 263.15 - 1 / 298.15))
    assert drop_v(-10, 50) / drop_v(25, 50) == pytest.approx(law, rel=1e-3)
    assert drop_v(25, 5) > 1.5 * drop_v(25, 50)


def test_heat_leaves_with_the_stated_time_constant() -> None:
    pack = cells(BatterySpec(cells=3, start_soc_pct=50, ambient_c=20))
    pack.temperature_c = np.full(3, 30.0)
    pack.step(0, 0, COOLING_S, 20)
    assert pack.temperature_c[1] == pytest.approx(20 + 10 * exp(-1))
    assert pack.temperature_c[0] == pytest.approx(20 + 10 * exp(-1 - EDGE_COOLING))


def test_a_month_of_rest_loses_what_the_spec_says() -> None:
    pack = cells(BatterySpec(cells=2, start_soc_pct=80, self_discharge_pct_per_month=3))
    for _ in range(30):
        pack.step(0, 0, 86_400, 25)
    assert pack.soc * 100 == pytest.approx(77, abs=1e-6)


def test_cells_scatter_as_the_spec_says_and_alike_for_the_same_seed() -> None:
    spec = BatterySpec(cells=400, spread=SPREAD, start_soc_pct=50)
    one, same, other = cells(spec, 1), cells(spec, 1), cells(spec, 2)
    assert (one.capacity_ah == same.capacity_ah).all()
    assert (one.capacity_ah != other.capacity_ah).any()
    assert one.capacity_ah.std() == pytest.approx(0.02 * 60, rel=0.15)
    assert one.soc.std() == pytest.approx(0.01, rel=0.15)


def test_balancing_brings_full_cells_together_and_nothing_else_does() -> None:
    widths = {}
    for balances in (True, False):
        spread = Spread(soc_pct=0.5)
        bms = Bms(balances=balances)
        spec = BatterySpec(cells=12, start_soc_pct=97, load="rest", spread=spread, bms=bms, step_s=10)
        battery = open_battery(spec, 3)
        first_mv = 1000 * np.ptp(battery.cells.ocv_v())
        battery.advance(6 * 3600)
        widths[balances] = 1000 * np.ptp(battery.cells.ocv_v()) / first_mv
    assert widths[False] == pytest.approx(1, abs=0.01)
    assert widths[True] < 0.6


def test_lfp_rests_higher_after_charging_than_after_discharging() -> None:
    rests = {}
    for sign in (1, -1):
        pack = cells(BatterySpec(chemistry="lfp", cells=1, start_soc_pct=50 - sign * 10))
        for _ in range(360):
            pack.step(sign * 60, sign * 60, 1, 20)
        for _ in range(100):
            pack.step(0, 0, 60, 20)
        assert pack.soc[0] == pytest.approx(0.5, abs=0.001)
        rests[sign] = float(pack.volts[0])
    assert rests[1] - rests[-1] == pytest.approx(0.024, abs=0.002)


def test_the_curve_never_falls_and_is_that_of_the_trajectory() -> None:
    for chemistry in ("nmc", "lfp"):
        pack = cells(BatterySpec(chemistry=chemistry, start_soc_pct=50))
        within = GRID[(GRID >= 0) & (GRID <= 1)]
        assert (np.diff(pack.curve_v(within)) >= 0).all()
        assert np.abs(pack.curve_v(within) - pack.state.ocv_v(within)).max() < 0.001
