"""Declared data: what the manufacturer put in the static passport.

Without it the fields that need it are not available.
"""

import msgspec

DEFAULT_CURRENT_UNCERTAINTY = 0.01
"""Relative standard uncertainty of a BMS current sensor, shunt class 0.5 to 1 %; the worse end unless declared."""

DEFAULT_VOLTAGE_UNCERTAINTY = 0.005
"""Relative standard uncertainty of a BMS pack-voltage measurement unless declared; 2 V at 400 V."""


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Declared data of one battery; None means "not declared"."""

    category: str | None = None
    """One of ev, lmt, stationary, industrial."""
    rated_capacity_ah: float | None = None
    rated_energy_kwh: float | None = None
    cells_in_series: int | None = None
    temperature_min_c: float | None = None
    """Lower bound of the temperature range the manufacturer allows."""
    temperature_max_c: float | None = None
    cell_voltage_min_v: float | None = None
    """Cut-off below which a cell is deeply discharged."""
    cell_voltage_max_v: float | None = None
    """Voltage above which a cell is overcharged."""
    current_uncertainty: float = DEFAULT_CURRENT_UNCERTAINTY
    """Relative standard uncertainty of the pack current (0.01 = 1 %)."""
    voltage_uncertainty: float = DEFAULT_VOLTAGE_UNCERTAINTY

    def __post_init__(self) -> None:
        if self.category not in (None, "ev", "lmt", "stationary", "industrial"):
            raise ValueError("category must be ev, lmt, stationary or industrial")
        for name in ("rated_capacity_ah", "rated_energy_kwh", "cells_in_series", "cell_voltage_max_v"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above zero")
        low, high = self.temperature_min_c, self.temperature_max_c
        if low is not None and high is not None and low >= high:
            raise ValueError("temperature_min_c must be below temperature_max_c")
