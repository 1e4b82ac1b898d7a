"""Cells on their own, for tests that set the current themselves."""

import numpy as np

from packseal_hil.battery import BatterySpec, ageing
from packseal_hil.battery.cells import Cells
from packseal_hil.battery.chemistry import CHEMISTRIES


def cells(spec: BatterySpec, seed: int = 1) -> Cells:
    chemistry = CHEMISTRIES[spec.chemistry]
    state = ageing.load(chemistry.trajectory).at(spec.age)
    return Cells(spec, chemistry, state, np.random.default_rng(seed))
