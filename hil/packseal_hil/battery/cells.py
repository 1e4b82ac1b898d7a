"""Cells in series as an equivalent circuit, all in one step: numpy arrays of one number per cell.

Open-circuit voltage, R0 by state of charge and temperature, two RC pairs, heat (Bernardi's irreversible part,
doi:10.1149/1.2113792) against cooling to the ambient air, self-discharge, bleeding. Currents in A, charging positive.
"""

from math import exp

import numpy as np

from packseal_hil.battery import chemistry as chem
from packseal_hil.battery.ageing import Floats, State
from packseal_hil.battery.chemistry import Chemistry
from packseal_hil.battery.spec import BatterySpec

S_PER_H = 3600.0
HOURS_PER_MONTH = 720.0
PULSE_S = 10.0
GRID = np.linspace(-0.1, 1.1, 961)
"""States of charge at which curves are tabulated; what lies beyond is as its end."""

COOLING_S = 7200.0
"""Time constant of cooling: a car's pack takes hours."""

EDGE_COOLING = 0.5
"""How much faster the outermost cells cool than the middle one."""

HYSTERESIS_SHARE = 0.03
"""The share of the capacity over which the hysteresis turns over, as 1/e (Plett, BMS vol. 1, 2015, section 2.7)."""


class Cells:
    """The state of every cell. `soc` is 0 to 1 of the cell's own present capacity; `volts` follow the last current."""

    def __init__(self, spec: BatterySpec, chemistry: Chemistry, state: State, rng: np.random.Generator) -> None:
        n, spread = spec.cells, spec.spread
        self._chemistry, self._rated_ah = chemistry, spec.capacity_ah
        self._capacity_factor = _spread(rng, n, spread.capacity)
        self._resistance_factor = _spread(rng, n, spread.resistance)
        leak_a = spec.capacity_ah * spec.self_discharge_pct_per_month / 100 / HOURS_PER_MONTH
        self.leak_a = leak_a * _spread(rng, n, spread.self_discharge)
        start = (spec.start_soc_pct or 0.0) / 100
        self.soc: Floats = np.clip(start + _spread(rng, n, spread.soc_pct / 100) - 1, 0.0, 1.0)
        self.temperature_c: Floats = np.full(n, spec.ambient_c)
        self._fast_v, self._slow_v, self._hysteresis = np.zeros(n), np.zeros(n), np.zeros(n)
        self._heat_j_per_k = chem.SPECIFIC_HEAT_J_PER_KG_K * chemistry.mass_kg_per_ah * spec.capacity_ah
        place = np.abs(np.linspace(-1, 1, n)) if n > 1 else np.ones(1)
        self._cooling_s: Floats = COOLING_S / (1 + EDGE_COOLING * place)
        self.bleed_a: Floats = np.zeros(n)
        self.heat_j = 0.0
        """Heat set free in all cells since the beginning."""
        self._decays: dict[float, tuple[float, float, Floats]] = {}
        self.age(state)
        self.volts = self._settle(0.0)

    def age(self, state: State) -> None:
        """Take over the curve, capacity and resistance of an age; the states of charge stay."""
        self.state = state
        self.capacity_ah: Floats = self._rated_ah * state.capacity * self._capacity_factor
        # A published half-cell table is measured and dips here and there by less than 1 mV; a cell never does.
        self._curve: Floats = np.maximum.accumulate(state.ocv_v(GRID))
        pulse = self._chemistry.pulse_ohm_ah / self._rated_ah * state.resistance
        self.pulse_ohm = float((pulse * self._resistance_factor).sum())
        """10 s resistance of all cells in series at half charge and 25 °C."""
        shares = pulse / _pulse_share() * self._resistance_factor
        self._r0, self._r1, self._r2 = (shares * s for s in (chem.OHMIC_SHARE, chem.FAST_SHARE, chem.SLOW_SHARE))

    def allowed_a(self, low_v: float, high_v: float, from_a: float, seconds: float) -> tuple[float, float]:
        """Return the largest discharge (negative) and charge current that keep every cell within both voltages.

        They may be reached in a straight line from `from_a` within so many seconds, in which the RC pairs move too.
        """
        fast, slow, _ = self._decay(seconds)
        half_ohm = ((1 - fast) / 2 * self._r1 + (1 - slow) / 2 * self._r2) * self._warmth
        rest = self.volts - self._drop_v + (fast - 1) * self._fast_v + (slow - 1) * self._slow_v + half_ohm * from_a
        ohm = self._ohm + half_ohm
        return min(0.0, highest((low_v - rest) / ohm)), max(0.0, lowest((high_v - rest) / ohm))

    def step(self, from_a: float, to_a: float, seconds: float, ambient_c: float) -> None:
        """Let the current go in a straight line from one value to the other."""
        fast, slow, cooling = self._decay(seconds)
        mean_a = (from_a + to_a) / 2
        warm = self._warmth
        over_v = self._overvoltage + mean_a * self._ohm
        heat_w = mean_a * over_v
        self.soc += (mean_a - self.leak_a - self.bleed_a) * (seconds / S_PER_H) / self.capacity_ah
        self._fast_v = self._fast_v * fast + (1 - fast) * mean_a * warm * self._r1
        self._slow_v = self._slow_v * slow + (1 - slow) * mean_a * warm * self._r2
        if self._chemistry.hysteresis_v:
            self._turn(mean_a, seconds)
        self.heat_j += float(heat_w.sum()) * seconds
        end_c = ambient_c + heat_w * self._cooling_s / self._heat_j_per_k
        self.temperature_c = end_c + (self.temperature_c - end_c) * cooling
        self.volts = self._settle(to_a)

    @property
    def deliverable_ah(self) -> tuple[float, float]:
        """Return what the pack gives until its first cell is empty, and takes until its first cell is full."""
        full, now = self.capacity_ah, self.soc * self.capacity_ah
        return lowest(now), lowest(full - now)

    def ocv_v(self) -> Floats:
        """Return each cell's open-circuit voltage without hysteresis."""
        return np.interp(self.soc, GRID, self._curve)

    def curve_v(self, soc: Floats) -> Floats:
        """Return the open-circuit voltage at states of charge, of any shape."""
        return np.interp(soc, GRID, self._curve)

    def settled_ohm(self, soc: Floats) -> Floats:
        """Return each cell's resistance at 25 °C after a long time; the last axis of `soc` is the cells."""
        ohm: Floats = self._r0 * np.interp(soc, *chem.RESISTANCE_BY_SOC) + self._r1 + self._r2
        return ohm

    def pulse_ohm_at(self, soc: Floats, pulse_s: float = PULSE_S) -> Floats:
        """Return each cell's resistance at 25 °C after 10 s, or `pulse_s`."""
        fast, slow, _ = self._decay(pulse_s)
        ohm: Floats = self._r0 * np.interp(soc, *chem.RESISTANCE_BY_SOC)
        return ohm + (1 - fast) * self._r1 + (1 - slow) * self._r2

    def _settle(self, current_a: float) -> Floats:
        """Return the terminal voltages, and keep what the next step and its limits need of them."""
        kelvin = self.temperature_c + chem.ZERO_C_IN_K
        self._warmth = np.exp(chem.ACTIVATION_J_PER_MOL / chem.GAS_J_PER_MOL_K * (1 / kelvin - 1 / chem.REFERENCE_K))
        self._ohm = self._r0 * self._warmth * np.interp(self.soc, *chem.RESISTANCE_BY_SOC)
        self._overvoltage = self._fast_v + self._slow_v + self._hysteresis * self._chemistry.hysteresis_v
        self._drop_v = current_a * self._ohm
        volts: Floats = self.ocv_v() + self._overvoltage + self._drop_v
        return volts

    def _turn(self, mean_a: float, seconds: float) -> None:
        moved = np.exp(-abs(mean_a) * seconds / S_PER_H / (HYSTERESIS_SHARE * self.capacity_ah))
        self._hysteresis = self._hysteresis * moved + (1 - moved) * np.sign(mean_a)

    def _decay(self, seconds: float) -> tuple[float, float, Floats]:
        if seconds not in self._decays:
            if len(self._decays) > 100:  # noqa: PLR2004  # whoever asks for odd steps shall not fill the memory
                self._decays.clear()
            fast, slow = exp(-seconds / chem.FAST_S), exp(-seconds / chem.SLOW_S)
            self._decays[seconds] = fast, slow, np.exp(-seconds / self._cooling_s)
        return self._decays[seconds]


def lowest(values: Floats) -> float:
    """Return the least of an array."""
    return float(values.min(0))


def highest(values: Floats) -> float:
    """Return the greatest of an array."""
    return float(values.max(0))


def _spread(rng: np.random.Generator, n: int, deviation: float) -> Floats:
    """Draw factors around 1, cut at three standard deviations."""
    return 1 + deviation * np.clip(rng.standard_normal(n), -3, 3)


def _pulse_share() -> float:
    """Return what a 10 s pulse sees of R0, R1 and R2 as given, per 10 s resistance."""
    seen = (1 - exp(-PULSE_S / chem.FAST_S)) * chem.FAST_SHARE + (1 - exp(-PULSE_S / chem.SLOW_S)) * chem.SLOW_SHARE
    return chem.OHMIC_SHARE + seen
