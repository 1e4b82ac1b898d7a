"""SimulatedPack: a 96-cell pack as a pure function of time, lively enough to watch for a minute.

Invented, not measured: 60 Ah, whose drive and fast charge repeat every two minutes. Its heat capacity is small,
so that a minute shows what takes a real pack an hour. Currents are positive while charging.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from packseal.core.quantities import Channel, Quantity

CELLS = 96
SENSOR_OFFSETS_K = (0.0, 0.8, -0.6, 1.7, 0.3, -1.1, 1.0, -0.2)
CAPACITY_AH = 60.0
NOMINAL_V = 3.7
HEALTH_PCT = 93.5
CELL_OHM = 0.0007
STEP_S = 0.1
START_SOC = 0.62
AMBIENT_C = 24.0
KELVIN_PER_JOULE = 0.0006  # of the whole pack: a hundredth of a real one's heat capacity
COOLING_PER_S = 0.05
WEAK_CELL = 36
WEAK_OHM = 0.0013
WEAK_SOC = -0.035
SPREAD_SOC = 0.012
S_PER_H = 3600.0
CYCLES_TO_SETTLE = 5  # then the temperature repeats too: each one damps what is left by exp(-6)

DRIVE = (
    *((0, 0.0), (3, -40.0), (8, -260.0), (14, -120.0), (22, -95.0), (25, 85.0), (30, 40.0), (32, -15.0)),
    *((38, -310.0), (45, -140.0), (55, -90.0), (58, 110.0), (64, 30.0), (66, -4.0), (70, -14.0), (73, 130.0)),
    *((114, 90.0), (118, 20.0), (120, 0.0)),
)
"""Seconds and amperes, joined by straight lines: two launches with recuperation, a crawl, a fast charge."""

CYCLE_S = DRIVE[-1][0]
OCV = (
    *((0.0, 3.0), (0.05, 3.35), (0.1, 3.45), (0.2, 3.55), (0.4, 3.64)),
    *((0.6, 3.77), (0.8, 3.95), (0.9, 4.06), (1.0, 4.19)),
)
"""State of charge and open-circuit volts: the shape of a nickel-rich cell against graphite."""

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Moment:
    """The pack at one step of the cycle; charge and energy since the cycle began, in Ah and kWh."""

    current_a: float
    soc: float
    temperature_c: float
    charged_ah: float
    discharged_ah: float
    charged_kwh: float
    discharged_kwh: float


class SimulatedPack:
    """Gives every quantity of the reference profile at any time from 0 on."""

    def __init__(self) -> None:
        drift = self._cycle(AMBIENT_C, 0.0)[-1]
        # What a cycle takes out more than it puts in is added to every step, so that cycles join without a jump.
        balance_a = (START_SOC - drift.soc) * CAPACITY_AH * S_PER_H / CYCLE_S
        temperature_c = AMBIENT_C
        for _ in range(CYCLES_TO_SETTLE):
            self._moments = self._cycle(temperature_c, balance_a)
            temperature_c = self._moments[-1].temperature_c

    def values(self, t_s: float) -> dict[Channel, float]:
        """Return what the pack's BMS says `t_s` seconds after the start, each in its quantity's unit."""
        cycles, within_s = divmod(max(0.0, t_s), CYCLE_S)
        moment, whole = self._moments[int(within_s / STEP_S)], self._moments[-1]
        cells = [_cell_v(i, moment.soc, moment.current_a) for i in range(CELLS)]
        sensors = [moment.temperature_c + offset for offset in SENSOR_OFFSETS_K]
        volts = sum(cells)
        charged_ah = cycles * whole.charged_ah + moment.charged_ah
        discharged_ah = cycles * whole.discharged_ah + moment.discharged_ah
        said = {
            Quantity.PACK_VOLTAGE_V: volts,
            Quantity.PACK_CURRENT_A: moment.current_a,
            Quantity.PACK_POWER_W: volts * moment.current_a,
            Quantity.STATE_OF_CHARGE_PCT: 100 * moment.soc,
            Quantity.STATE_OF_HEALTH_PCT: HEALTH_PCT,
            Quantity.FULL_CHARGE_CAPACITY_AH: CAPACITY_AH * HEALTH_PCT / 100,
            Quantity.TEMPERATURE_MAX_C: max(sensors),
            Quantity.TEMPERATURE_MIN_C: min(sensors),
            Quantity.CELL_VOLTAGE_MAX_V: max(cells),
            Quantity.CELL_VOLTAGE_MIN_V: min(cells),
            Quantity.CHARGE_CHARGED_AH: charged_ah,
            Quantity.CHARGE_DISCHARGED_AH: discharged_ah,
            Quantity.ENERGY_CHARGED_KWH: cycles * whole.charged_kwh + moment.charged_kwh,
            Quantity.ENERGY_DISCHARGED_KWH: cycles * whole.discharged_kwh + moment.discharged_kwh,
            Quantity.CYCLES: discharged_ah / CAPACITY_AH,
            Quantity.INTERNAL_RESISTANCE_OHM: (CELLS - 1) * CELL_OHM + WEAK_OHM,
        }
        lists = {Quantity.CELL_VOLTAGE_V: cells, Quantity.TEMPERATURE_C: sensors}
        values = {Channel(quantity): value for quantity, value in said.items()}
        return values | {Channel(q, i): value for q, many in lists.items() for i, value in enumerate(many)}

    @staticmethod
    def _cycle(temperature_c: float, balance_a: float) -> list[_Moment]:
        moments = [_Moment(_along(DRIVE, 0) + balance_a, START_SOC, temperature_c, 0, 0, 0, 0)]
        for step in range(1, round(CYCLE_S / STEP_S) + 1):
            moments.append(_next(moments[-1], _along(DRIVE, step * STEP_S) + balance_a))
        return moments


def _next(before: _Moment, current_a: float) -> _Moment:
    """Integrate one step: charge by counting, heat by I²R against cooling to the ambient air."""
    mean_a = (before.current_a + current_a) / 2
    charge_ah = mean_a * STEP_S / S_PER_H
    kwh = abs(charge_ah) * CELLS * NOMINAL_V / 1000
    heat_w = CELLS * CELL_OHM * mean_a**2
    cooling_k = COOLING_PER_S * (before.temperature_c - AMBIENT_C) * STEP_S
    charging = charge_ah > 0
    return _Moment(
        current_a,
        before.soc + charge_ah / CAPACITY_AH,
        before.temperature_c + heat_w * STEP_S * KELVIN_PER_JOULE - cooling_k,
        before.charged_ah + max(charge_ah, 0.0),
        before.discharged_ah - min(charge_ah, 0.0),
        before.charged_kwh + (kwh if charging else 0.0),
        before.discharged_kwh + (0.0 if charging else kwh),
    )


def _cell_v(number: int, soc: float, current_a: float) -> float:
    weak = number == WEAK_CELL
    offset = WEAK_SOC if weak else SPREAD_SOC * ((number * 37 % CELLS) / CELLS - 0.5)
    return _along(OCV, min(1.0, max(0.0, soc + offset))) + current_a * (WEAK_OHM if weak else CELL_OHM)


def _along(curve: Curve, x: float) -> float:
    """Return the height of a curve of straight lines at `x`, which lies within it."""
    last = len(curve) - 2
    (x0, y0), (x1, y1) = list(pairwise(curve))[min(last, bisect_right([p[0] for p in curve], x) - 1)]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
