"""Ageing shifts the open-circuit curve; it is not the old curve over fewer ampere hours."""

from itertools import pairwise

import numpy as np
import pytest

from packseal_hil.battery import BatterySpec, ageing, open_battery
from packseal_hil.rig.protocols import RigError

SOC = np.linspace(0, 1, 101)


@pytest.mark.parametrize("name", ageing.names())
def test_the_curve_from_both_electrodes_is_the_one_that_pybamm_gave(name: str) -> None:
    trajectory = ageing.load(name)
    last = len(trajectory.points) - 1
    for i, point in enumerate(trajectory.points):
        ours = trajectory.at(i / last).ocv_v(SOC)
        # Within 3 mV but for the steepest end, where a table of straight lines cannot follow.
        assert np.abs(ours - point.ocv_v)[2:] == pytest.approx(0, abs=0.003)


@pytest.mark.parametrize("name", ageing.names())
def test_with_age_capacity_falls_and_resistance_and_losses_rise(name: str) -> None:
    points = ageing.load(name).points
    assert len(points) >= 10
    for before, after in pairwise(points):
        assert after.capacity_ah < before.capacity_ah
        assert after.pulse_ohm > before.pulse_ohm
        assert after.lithium_loss_pct > before.lithium_loss_pct
        assert after.negative_loss_pct > before.negative_loss_pct
    assert points[-1].capacity_ah < 0.88 * points[0].capacity_ah


def test_at_the_same_share_of_its_own_capacity_an_aged_cell_has_another_voltage() -> None:
    trajectory = ageing.load("nmc_okane2022")
    shift_v = trajectory.at(1).ocv_v(SOC) - trajectory.at(0).ocv_v(SOC)
    assert np.abs(shift_v[5:95]).max() > 0.04
    assert np.abs(shift_v[[0, 100]]) == pytest.approx(0, abs=0.005)


def test_lost_lithium_empties_the_flat_of_lfp() -> None:
    """On the plateau the voltage hardly moves; the step of graphite does, by some percent of the charge."""
    trajectory = ageing.load("lfp_prada2013")

    def step_at(age: float) -> float:
        inner = (SOC > 0.3) & (SOC < 0.95)
        slopes = np.gradient(trajectory.at(age).ocv_v(SOC), SOC)
        return float(SOC[inner][np.argmax(slopes[inner])])

    assert abs(step_at(1) - step_at(0)) > 0.02


def test_a_window_of_voltage_misleads_whoever_scales_the_old_curve() -> None:
    """The charge between two voltages does not fall as the capacity does: partial windows are hard, as in the field."""
    trajectory = ageing.load("nmc_okane2022")
    new, aged = trajectory.at(0), trajectory.at(1)

    def charge(state: ageing.State, low_v: float, high_v: float) -> float:
        low, high = np.interp([low_v, high_v], state.ocv_v(SOC), SOC)
        return float((high - low) * state.capacity)

    by_window = charge(aged, 3.7, 3.9) / charge(new, 3.7, 3.9)
    assert abs(by_window - aged.capacity / new.capacity) > 0.05


def test_between_two_points_everything_is_between() -> None:
    trajectory = ageing.load("nmc_okane2022")
    first, second = trajectory.points[:2]
    middle = trajectory.at(0.5 / (len(trajectory.points) - 1))
    assert middle.mix("capacity_ah") == pytest.approx((first.capacity_ah + second.capacity_ah) / 2)
    assert min(first.window.y0, second.window.y0) < middle.window.y0 < max(first.window.y0, second.window.y0)
    assert trajectory.at(1).mix("cycles") == trajectory.points[-1].cycles


def test_an_aged_battery_holds_and_resists_as_its_trajectory_says() -> None:
    state = ageing.load("nmc_okane2022").at(0.5)
    new, aged = (open_battery(BatterySpec(cells=4, age=age), 1) for age in (0.0, 0.5))
    assert aged.capacity_ah == pytest.approx(60 * state.capacity)
    assert aged.cells.pulse_ohm / new.cells.pulse_ohm == pytest.approx(state.resistance)
    assert aged.declared() == new.declared()


def test_in_fast_motion_a_battery_ages_while_it_runs() -> None:
    battery = open_battery(BatterySpec(cells=2, load="rest", age_per_day=1, step_s=10), 1)
    capacities = []
    for _ in range(3):
        capacities.append(battery.capacity_ah)
        battery.advance(2 * 3600)
    assert capacities[0] > capacities[1] > capacities[2]
    assert battery.age == pytest.approx(6 / 24, abs=0.001)


def test_what_does_not_exist_or_does_not_fit_is_said() -> None:
    with pytest.raises(RigError, match=r"no ageing trajectory 'gold'.*nmc_okane2022"):
        open_battery(BatterySpec(trajectory="gold"), 1)
    with pytest.raises(RigError, match="is of nmc, not of lfp"):
        open_battery(BatterySpec(chemistry="lfp", trajectory="nmc_okane2022"), 1)
