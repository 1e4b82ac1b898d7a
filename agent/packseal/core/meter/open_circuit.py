"""Open-circuit voltage of one cell by state of charge: what has been learnt of this battery, else a generic table.

A generic table is of one or two published cells of the chemistry. Other cells of the same name lie apart from it by
`GENERIC_SD_V`, which goes into the uncertainty of all that rests on it.
"""

from bisect import bisect_right
from typing import NamedTuple, Protocol

from packseal.core.declared import Declared

SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)

GENERIC_V = {
    # The middle of NMC532/graphite (Argonne CAMP pouch cell batch_B10A cell 3, new, mean of charge and discharge at
    # C/20: github.com/ROVI-org/auto-soh, MIT) and NMC811/graphite with silicon (LG M50: Chen et al.,
    # doi:10.1149/1945-7111/ab9050)
    "nmc": (
        *(2.774, 3.278, 3.389, 3.473, 3.520, 3.559, 3.595, 3.650, 3.711, 3.795, 3.894, 3.943, 3.994, 4.042, 4.079),
        *(4.124, 4.198),
    ),
    # NCA/graphite, Panasonic NCR18650PF at 25 °C, mean of charge and discharge at C/20: P. Kollmeyer,
    # doi:10.17632/wykht8y7tg.1
    "nca": (
        *(2.713, 3.311, 3.364, 3.427, 3.486, 3.533, 3.566, 3.621, 3.685, 3.788, 3.876, 3.916, 3.961, 4.016, 4.069),
        *(4.111, 4.185),
    ),
    # LFP/graphite, A123 26650: Prada et al., doi:10.1149/2.053304jes
    "lfp": (
        *(2.0, 2.784, 2.977, 3.106, 3.168, 3.185, 3.205, 3.252, 3.266, 3.269, 3.274, 3.291, 3.309, 3.313, 3.314, 3.316),
        3.6,
    ),
}
"""V at SHARES, rising."""

GENERIC_SD_V = {"nmc": 0.06, "nca": 0.05, "lfp": 0.03}
"""How far cells of one chemistry lie from the table: NMC532 and NMC811 by 0.05 V, aged ones by 0.02 V more."""

LEARNT_SD_V = 0.015
"""Of a curve learnt from slow charges of the same battery: its overvoltage and the sensor."""

GENERIC_SLOPE_SD, UNKNOWN_SLOPE_SD = 0.25, 1.0
GENERIC_SLOPE_V = {"nmc": (3.75, 4.02), "nca": (3.75, 4.02)}
"""Relative, and the voltages between which the slopes of cells of one chemistry agree; above, NMC811 alone is flat."""
LEARNT_SLOPE_SD = 0.1
"""Relative, of a curve learnt of the same battery."""

UNKNOWN_CAPACITY_SD = 0.1
"""Relative, when only the rated capacity is known: batteries in use hold 70 to 105 % of it."""


class Value(NamedTuple):
    """A value and its standard uncertainty, in the same unit."""

    value: float
    sd: float


class SharedKnowledge(Protocol):
    """What the capacity estimator has learnt of this battery; None for what it does not know."""

    def capacity_ah(self) -> tuple[float, float] | None:
        """Return the capacity and its standard uncertainty."""

    def ocv_v(self, soc: float) -> float | None:
        """Return a cell's open-circuit voltage at a state of charge of 0 to 1."""

    def soc_of(self, ocv_v: float) -> tuple[float, float] | None:
        """Return the state of charge of an open-circuit voltage, and the slope there in V per unit of charge."""


class Slope(NamedTuple):
    """A state of charge, 0 to 1, where the curve rises by `v_per_soc` (relative uncertainty `relative_sd`)."""

    soc: float
    v_per_soc: float
    relative_sd: float


class OpenCircuit:
    """The curve of one battery's mean cell, and its capacity."""

    def __init__(self, declared: Declared, knowledge: SharedKnowledge | None = None) -> None:
        self._declared, self._knowledge = declared, knowledge
        self._table = GENERIC_V.get(declared.chemistry or "")
        self._sd_v = GENERIC_SD_V.get(declared.chemistry or "", 0.0)

    def voltage(self, soc: float) -> Value | None:
        """Return a cell's open-circuit voltage at a state of charge of 0 to 1, None where no curve is known."""
        learnt = self._knowledge.ocv_v(soc) if self._knowledge is not None else None
        if learnt is not None:
            return Value(learnt, LEARNT_SD_V)
        if self._table is None:
            return None
        i = min(max(bisect_right(SHARES, soc), 1), len(SHARES) - 1)
        return Value(self._table[i - 1] + self._rise(i) * (soc - SHARES[i - 1]), self._sd_v)

    def charge(self, ocv_v: float) -> Slope | None:
        """Return the state of charge of an open-circuit voltage, its nearer end beyond the curve; None without one."""
        learnt = self._knowledge.soc_of(ocv_v) if self._knowledge is not None else None
        if learnt is not None:
            return Slope(learnt[0], learnt[1], LEARNT_SLOPE_SD)
        table = self._table
        if table is None:
            return None
        ocv_v = min(max(ocv_v, table[0]), table[-1])
        i = min(max(bisect_right(table, ocv_v), 1), len(table) - 1)
        rise = self._rise(i)
        low_v, high_v = GENERIC_SLOPE_V.get(self._declared.chemistry or "", (0.0, 0.0))
        sd = GENERIC_SLOPE_SD if low_v <= ocv_v <= high_v else UNKNOWN_SLOPE_SD
        return Slope(SHARES[i - 1] + (ocv_v - table[i - 1]) / rise, rise, sd)

    def capacity_ah(self) -> Value | None:
        """Return the capacity as learnt, else the rated one with a wide uncertainty."""
        learnt = self._knowledge.capacity_ah() if self._knowledge is not None else None
        if learnt is not None:
            return Value(*learnt)
        rated = self._declared.rated_capacity_ah
        return None if rated is None else Value(rated, UNKNOWN_CAPACITY_SD * rated)

    def _rise(self, i: int) -> float:
        """Return the slope of the table's piece that ends at `i`, in V per unit of charge."""
        assert self._table is not None  # noqa: S101  # only called where there is one
        return (self._table[i] - self._table[i - 1]) / (SHARES[i] - SHARES[i - 1])
