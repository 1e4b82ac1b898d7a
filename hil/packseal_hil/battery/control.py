"""What a BMS does to the current and to single cells: limits, end of charge, cut-off, passive balancing."""

from enum import Enum

from packseal_hil.battery.cells import Cells, highest, lowest
from packseal_hil.battery.chemistry import Chemistry
from packseal_hil.battery.spec import BatterySpec

TAPER_C = 0.05
"""A charge ends where the current at the voltage limit has fallen to C/20, the usual condition of data sheets."""

CUT_OFF_C = 0.02
"""A discharge ends where the cell at the lower limit gives no more than C/50."""

BLEED_OHM = 40.0
"""Resistor across a cell, about 100 mA at 4 V: what monitor chips of cars bleed with."""

BLEED_ABOVE_V = 0.005
"""A cell is bled where it is this much above the lowest."""

BALANCE_BELOW_LIMIT_V = 0.15
"""Balancing starts where the lowest cell has come this near to the end of charge, where differences show."""


class Stop(Enum):
    """Why no current flows in one direction."""

    NONE = 0
    FULL = 1
    EMPTY = 2


class Control:
    """Decides on the current that flows. `stop` holds until current has flowed the other way.

    Without protection it says which limit the cells are beyond, and stops nothing.
    """

    def __init__(self, spec: BatterySpec, chemistry: Chemistry) -> None:
        self._bms, self._chemistry, self._capacity_ah = spec.bms, chemistry, spec.capacity_ah
        self.stop = Stop.NONE

    def allow(self, wanted_a: float, cells: Cells, from_a: float, seconds: float) -> float:
        """Return the current at a step's end when a load wants so much; notes the end of a charge or discharge."""
        if not self._bms.protects:
            self.stop = self._reached(cells)
            return wanted_a
        if not wanted_a:
            return 0.0
        if self.stop is (Stop.FULL if wanted_a > 0 else Stop.EMPTY):
            return 0.0
        self.stop = Stop.NONE
        limits = self._chemistry
        least_a, most_a = cells.allowed_a(limits.discharge_limit_v, limits.charge_limit_v, from_a, seconds)
        if wanted_a > most_a < TAPER_C * self._capacity_ah:
            self.stop = Stop.FULL
            return 0.0
        if wanted_a < least_a > -CUT_OFF_C * self._capacity_ah:
            self.stop = Stop.EMPTY
            return 0.0
        rated = self._capacity_ah
        least_a = max(least_a, -self._chemistry.discharge_c * rated)
        return min(max(wanted_a, least_a), most_a, self._chemistry.charge_c * rated)

    def _reached(self, cells: Cells) -> Stop:
        if highest(cells.volts) >= self._chemistry.charge_limit_v:
            return Stop.FULL
        return Stop.EMPTY if lowest(cells.volts) <= self._chemistry.discharge_limit_v else Stop.NONE

    def balance(self, cells: Cells) -> None:
        """Switch the bleeding resistors."""
        if not self._bms.balances:
            return
        volts = cells.volts
        lowest_v = lowest(volts)
        if lowest_v > self._chemistry.charge_limit_v - BALANCE_BELOW_LIMIT_V:
            cells.bleed_a = (volts > lowest_v + BLEED_ABOVE_V) * volts / BLEED_OHM
        elif cells.bleed_a.any():
            cells.bleed_a = 0 * volts
