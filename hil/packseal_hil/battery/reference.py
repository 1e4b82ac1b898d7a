"""What a battery would show in a test bay at 25 °C, from full: worked out, not simulated.

The conditions are ours, since the standards' texts are not free: C/3 for vehicles and C/5 for the others (as IEC
62660-1 and IEC 62620 do), down to the lower limit of the BMS, resistances settled; pulses of 10 s.
"""

from typing import NamedTuple

import numpy as np

from packseal_hil.battery.ageing import Floats
from packseal_hil.battery.cells import Cells, highest, lowest
from packseal_hil.battery.chemistry import Chemistry

RATE_C = {"ev": 1 / 3, "lmt": 1 / 5, "stationary": 1 / 5, "industrial": 1 / 5}
STEPS = 500
J_PER_KWH = 3.6e6
S_PER_H = 3600.0
POWER_AT_PCT = (80, 20)
"""States of charge at which power capability is stated: Regulation (EU) 2023/1542 Annex IV part B (4)."""


class Loop(NamedTuple):
    """A discharge from full to the limit, and the charge that makes it full again."""

    discharged_ah: float
    discharged_kwh: float
    charged_kwh: float

    @property
    def efficiency_pct(self) -> float:
        """Energy out per energy in."""
        return 100 * self.discharged_kwh / self.charged_kwh


def loop(cells: Cells, rate_a: float, low_v: float) -> Loop:
    """Return the reference discharge and charge at a constant current; self-discharge and heating left out."""
    gives, takes = cells.deliverable_ah
    full: Floats = cells.soc + takes / cells.capacity_ah
    drawn = np.linspace(0, gives + takes, STEPS + 1)
    soc = full - drawn[:, np.newaxis] / cells.capacity_ah
    drop = rate_a * cells.settled_ohm(soc)
    rest = cells.curve_v(soc)
    above = np.nonzero((rest - drop).min(axis=1) >= low_v)[0]
    last = int(above[-1]) + 1 if len(above) else 1
    hours = drawn[:last] / rate_a
    joule = S_PER_H * rate_a
    given = np.trapezoid((rest - drop)[:last].sum(axis=1), hours) * joule
    taken = np.trapezoid((rest + drop)[:last].sum(axis=1), hours) * joule
    return Loop(float(drawn[last - 1]), float(given) / J_PER_KWH, float(taken) / J_PER_KWH)


def power_w(cells: Cells, chemistry: Chemistry, rated_ah: float, soc_pct: float) -> float:
    """Return the power of a 10 s discharge that takes the weakest of equally charged cells to its limit."""
    soc = np.full(len(cells.soc), soc_pct / 100)
    rest, ohm = cells.curve_v(soc), cells.pulse_ohm_at(soc)
    current_a = min(lowest((rest - chemistry.discharge_limit_v) / ohm), chemistry.discharge_c * rated_ah)
    return max(0.0, current_a) * float((rest - max(0.0, current_a) * ohm).sum())


def spread_mv(cells: Cells) -> float:
    """Return the difference of the cells' open-circuit voltages, in mV."""
    rest = cells.ocv_v()
    return 1000 * (highest(rest) - lowest(rest))
