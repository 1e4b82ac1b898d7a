"""A battery as simple as can be, for tests of what carries its words."""

from collections.abc import Mapping
from math import sin

from packseal.core.quantities import Channel, Quantity


class SlowPack:
    """A hundred cells of which every quantity moves a little with its own time."""

    def __init__(self, cells: int = 96, shift_pct: float = 0.0) -> None:
        self.time_s = 0.0
        self._cells = cells
        self._shift_pct = shift_pct

    def advance(self, dt_s: float) -> None:
        assert dt_s >= 0
        self.time_s += dt_s

    def said(self) -> Mapping[Channel, float]:
        t = self.time_s
        cell_v = 3.6 + 0.2 * sin(t / 500)
        values = {
            Channel(Quantity.PACK_VOLTAGE_V): self._cells * cell_v,
            Channel(Quantity.PACK_CURRENT_A): 90 * sin(t / 37),
            Channel(Quantity.STATE_OF_CHARGE_PCT): 50 + self._shift_pct + 40 * sin(t / 1000),
            Channel(Quantity.TEMPERATURE_MAX_C): 30 + 5 * sin(t / 900),
        }
        cells = {Channel(Quantity.CELL_VOLTAGE_V, i): cell_v + i / 10_000 for i in range(self._cells)}
        sensors = {Channel(Quantity.TEMPERATURE_C, i): 25.0 + i for i in range(8)}
        return values | cells | sensors
