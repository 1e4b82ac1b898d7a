"""Harm: a simulated battery is taken past the voltages that its manufacturer declares, and back to where it was."""

from collections.abc import Sequence

from packseal_hil.battery import SimulatedBattery

RATE_C = 0.25
BEYOND_V = 0.03
"""Ten times what a cell's voltage sensor is off by, so that the meter can see each event."""
BEYOND_S = 60
"""Longer than the 10 s after which a deep discharge counts."""


class Harm:
    """Forces `battery` at each of `moments` (second, DOWN or UP), one after the other, asked once a second."""

    DOWN, UP = -1.0, 1.0

    def __init__(self, battery: SimulatedBattery, moments: Sequence[tuple[int, float]], rate_c: float = RATE_C) -> None:
        self._battery, self._moments, self._rate_c = battery, list(moments), rate_c
        self._moved_c_s = 0.0
        self._beyond_s = 0

    @property
    def is_over(self) -> bool:
        """Whether all of it was done."""
        return not self._moments

    def goes_on(self, second: int) -> bool:
        """Decide on the current of the next second; return whether it is forced."""
        battery = self._battery
        if battery.forced_c is None:
            if not self._moments or second < self._moments[0][0]:
                return False
            battery.forced_c, self._moved_c_s, self._beyond_s = self._rate_c * self._moments[0][1], 0.0, 0
        sign = self._moments[0][1]
        if battery.forced_c * sign > 0:
            self._beyond_s += self._is_beyond(sign)
            if self._beyond_s >= BEYOND_S:
                battery.forced_c = -self._rate_c * sign
        elif self._moved_c_s * sign <= 0:
            battery.forced_c = None
            del self._moments[0]
            return False
        self._moved_c_s += battery.forced_c
        return True

    def _is_beyond(self, sign: float) -> bool:
        said, declared = self._battery.signals(), self._battery.declared()
        low, high = declared.cell_voltage_min_v, declared.cell_voltage_max_v
        if low is None or high is None:
            raise ValueError("the battery declares no limits of its cells")
        if sign == self.UP:
            return said["cell_voltage_max_v"] >= high + BEYOND_V
        return said["cell_voltage_min_v"] <= low - BEYOND_V
