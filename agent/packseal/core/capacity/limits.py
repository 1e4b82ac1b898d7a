"""Limits: what the estimator must know of a battery beforehand, declared or by its chemistry."""

from collections.abc import Sequence
from typing import NamedTuple

from packseal.core.declared import Declared

AS_PER_AH = 3600.0

# End-of-charge and cut-off voltage of a cell where none is declared: usual datasheet values of the chemistry.
FULL_V = {"lfp": 3.6, "lto": 2.7, "sodium": 3.95}
EMPTY_V = {"lfp": 2.5, "lto": 1.6, "sodium": 2.0}
USUAL_FULL_V, USUAL_EMPTY_V = 4.2, 2.7

REST_S = {"lfp": 7200.0}
USUAL_REST_S = 1800.0
"""Rest until a cell shows its open-circuit voltage: 30 min, and 2 h for the hysteresis of LFP."""

UNKNOWN_SD = 0.1
"""Relative, of the rated capacity as a first guess: batteries in use hold 70 to 105 % of it."""


class Generic(NamedTuple):
    """A published open-circuit curve of a chemistry: `volts` at `shares` of the charge; cells lie `sd_v` apart."""

    shares: Sequence[float]
    volts: Sequence[float]
    sd_v: float


class Limits(NamedTuple):
    """Bounds of one cell and the rated capacity (ampere seconds); currents of the whole pack."""

    rated_as: float
    full_v: float
    empty_v: float
    rest_s: float
    rest_a: float
    tail_a: float
    gain_sd: float
    cell_ohm: float
    generic: Generic | None

    @classmethod
    def of(cls, declared: Declared, generic: Generic | None = None) -> "Limits | None":
        """Return the limits of a declared battery; None without a rated capacity, on which all scales rest."""
        rated_ah = declared.rated_capacity_ah
        if rated_ah is None:
            return None
        chemistry = declared.chemistry or ""
        return cls(
            rated_as=rated_ah * AS_PER_AH,
            full_v=declared.cell_voltage_max_v or FULL_V.get(chemistry, USUAL_FULL_V),
            empty_v=declared.cell_voltage_min_v or EMPTY_V.get(chemistry, USUAL_EMPTY_V),
            rest_s=REST_S.get(chemistry, USUAL_REST_S),
            rest_a=rated_ah / 50,
            tail_a=rated_ah / 250,
            gain_sd=declared.current_uncertainty,
            # 20 mΩ of a 3 Ah 18650 cell, as much again for its slow part.
            cell_ohm=0.12 / rated_ah,
            generic=generic,
        )

    @property
    def span_v(self) -> float:
        """From empty to full."""
        return self.full_v - self.empty_v
