"""The simulated pack: plausible, repeatable, and a pure function of time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.quantities import Channel, Quantity
from packseal.demo.pack import CAPACITY_AH, CELLS, CYCLE_S, SimulatedPack

PACK = SimulatedPack()
CURRENT, SOC = Channel(Quantity.PACK_CURRENT_A), Channel(Quantity.STATE_OF_CHARGE_PCT)


@given(st.floats(0, 1e6))
def test_at_any_time_every_value_fits_the_others(t_s: float) -> None:
    said = PACK.values(t_s)
    cells = [v for c, v in said.items() if c.quantity is Quantity.CELL_VOLTAGE_V]
    assert len(cells) == CELLS
    assert all(2.8 < volts < 4.2 for volts in cells)
    assert sum(cells) == pytest.approx(said[Channel(Quantity.PACK_VOLTAGE_V)])
    assert (min(cells), max(cells)) == (
        said[Channel(Quantity.CELL_VOLTAGE_MIN_V)],
        said[Channel(Quantity.CELL_VOLTAGE_MAX_V)],
    )
    temperatures = [v for c, v in said.items() if c.quantity is Quantity.TEMPERATURE_C]
    assert max(temperatures) == said[Channel(Quantity.TEMPERATURE_MAX_C)]
    assert all(15 < celsius < 60 for celsius in temperatures)
    assert said == PACK.values(t_s)


def test_current_has_both_signs_and_the_state_of_charge_follows_it() -> None:
    step_s, charge_ah = 0.1, 0.0
    start = PACK.values(0)
    last = start[CURRENT]
    currents = []
    for n in range(1, round(CYCLE_S / step_s)):
        said = PACK.values(n * step_s + 1e-6)
        charge_ah += (said[CURRENT] + last) / 2 * step_s / 3600
        last = said[CURRENT]
        currents.append(last)
        assert said[SOC] - start[SOC] == pytest.approx(100 * charge_ah / CAPACITY_AH, abs=0.01)
    assert min(currents) < -200
    assert max(currents) > 100


def test_cycles_join_without_a_jump_and_counters_never_fall() -> None:
    before, after = PACK.values(CYCLE_S - 0.05), PACK.values(CYCLE_S + 0.05)
    for quantity, most in ((Quantity.STATE_OF_CHARGE_PCT, 0.05), (Quantity.TEMPERATURE_MAX_C, 0.2)):
        assert after[Channel(quantity)] == pytest.approx(before[Channel(quantity)], abs=most)
    for quantity in (Quantity.CHARGE_DISCHARGED_AH, Quantity.ENERGY_CHARGED_KWH, Quantity.CYCLES):
        seen = [PACK.values(t)[Channel(quantity)] for t in range(300)]
        assert seen == sorted(seen)
        assert seen[-1] > seen[0]


def test_something_changes_visibly_every_two_seconds() -> None:
    for t_s in range(0, CYCLE_S, 2):
        now, then = PACK.values(t_s), PACK.values(t_s + 2)
        volts = Channel(Quantity.PACK_VOLTAGE_V)
        assert abs(now[volts] - then[volts]) > 0.05 or abs(now[CURRENT] - then[CURRENT]) > 0.5
