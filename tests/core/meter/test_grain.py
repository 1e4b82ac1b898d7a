"""A voltage that is told in steps: one small current step is doubted for it, many average it out."""

from random import Random

import pytest
from tests.core.meter.feeding import ALL, sample

from packseal.core.declared import Declared
from packseal.core.meter.resistance import Resistance, ResistanceState
from packseal.core.meter.view import Viewer
from packseal.core.passport import Reading

PACK = Declared(rated_capacity_ah=20, chemistry="nmc", cells_in_series=14)
OHM, GRAIN_V, STEP_A = 0.037, 0.05, 5.0
REST_S, HELD_S = 60, 30


def told(volts: float) -> float:
    return round(volts / GRAIN_V) * GRAIN_V


def read(steps: int, rng: Random) -> Reading:
    family, viewer, at_s = Resistance(PACK, ALL, 10**10, ResistanceState()), Viewer(PACK, ALL), 3
    for second in range(at_s):
        family.feed(viewer.see(sample(second, v=told(52 + second * GRAIN_V), a=0.0, soc=50.0, t=25.0)))
    for _ in range(steps):
        rest_v = 52 + rng.random()
        for second in range(REST_S + HELD_S):
            amps = STEP_A if second > REST_S else 0.0
            family.feed(viewer.see(sample(at_s + second, v=told(rest_v + amps * OHM), a=amps, soc=50.0, t=25.0)))
        at_s += REST_S + HELD_S
    return next(r for r in family.readings() if r.value is not None)


def test_a_single_step_is_inside_its_interval_though_the_voltage_is_coarse() -> None:
    found = [read(1, Random(seed)) for seed in range(40)]
    assert max(abs((r.value or 0) - OHM) for r in found) > 0.15 * OHM, "the voltage is too fine to show anything"
    assert sum(abs((r.value or 0) - OHM) <= 1.96 * (r.uncertainty or 0) for r in found) >= 36


def test_many_steps_are_doubted_less() -> None:
    one, many = read(1, Random(1)).uncertainty, read(16, Random(1)).uncertainty
    assert one is not None
    assert many is not None
    assert many < one / 1.5
    assert one == pytest.approx(((GRAIN_V / 6**0.5 / STEP_A * 1.2533) ** 2 + (0.05 * OHM) ** 2) ** 0.5, rel=0.2)
