"""Declared data: what the manufacturer put in the static passport.

Without it the fields that need it are not available.
"""

import re
from math import isfinite

import msgspec

DEFAULT_CURRENT_UNCERTAINTY = 0.01
"""Relative standard uncertainty of a BMS current sensor, shunt class 0.5 to 1 %; the worse end unless declared."""

DEFAULT_VOLTAGE_UNCERTAINTY = 0.005
"""Relative standard uncertainty of a BMS pack-voltage measurement unless declared; 2 V at 400 V."""


CATEGORIES = ("ev", "lmt", "stationary", "industrial")
CHEMISTRIES = ("nmc", "nca", "lfp", "lmo", "lco", "lto", "sodium", "other")
STATUSES = ("original", "repurposed", "re-used", "remanufactured", "waste")
"""Regulation (EU) 2023/1542 Annex XIII 4(c)."""

_ABOVE_ZERO = (
    "rated_capacity_ah",
    "rated_energy_kwh",
    "certified_energy_kwh",
    "nominal_voltage_v",
    "cells_in_series",
    "cell_voltage_max_v",
    "max_charge_current_a",
    "max_discharge_current_a",
    "initial_resistance_ohm",
    "initial_power_at_80_w",
    "initial_power_at_20_w",
    "initial_round_trip_efficiency_pct",
    "initial_self_discharge_pct_month",
    "expected_life_cycles",
    "expected_life_years",
)
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Declared data of one battery; None means "not declared"."""

    category: str | None = None
    """One of ev, lmt, stationary, industrial."""
    chemistry: str | None = None
    """One of nmc, nca, lfp, lmo, lco, lto, sodium, other."""
    rated_capacity_ah: float | None = None
    rated_energy_kwh: float | None = None
    certified_energy_kwh: float | None = None
    """Certified usable battery energy of an electric vehicle (UN GTR 22)."""
    nominal_voltage_v: float | None = None
    cells_in_series: int | None = None
    temperature_min_c: float | None = None
    """Lower bound of the temperature range the manufacturer allows."""
    temperature_max_c: float | None = None
    cell_voltage_min_v: float | None = None
    """Cut-off below which a cell is deeply discharged."""
    cell_voltage_max_v: float | None = None
    """Voltage above which a cell is overcharged."""
    max_charge_current_a: float | None = None
    max_discharge_current_a: float | None = None
    """Greatest current allowed for 10 s, as a magnitude."""
    initial_resistance_ohm: float | None = None
    """Of the pack, by a pulse of 10 s, at begin of life."""
    initial_power_at_80_w: float | None = None
    initial_power_at_20_w: float | None = None
    """Power capability at begin of life, at 80 % and 20 % charge (Annex IV B(4))."""
    initial_round_trip_efficiency_pct: float | None = None
    initial_self_discharge_pct_month: float | None = None
    expected_life_cycles: int | None = None
    expected_life_years: float | None = None
    date_into_service: str | None = None
    """YYYY-MM."""
    date_of_manufacture: str | None = None
    """YYYY-MM."""
    status: str | None = None
    """One of original, repurposed, re-used, remanufactured, waste."""
    accidents: int = 0
    """How many are on record."""
    current_uncertainty: float = DEFAULT_CURRENT_UNCERTAINTY
    """Relative standard uncertainty of the pack current (0.01 = 1 %)."""
    voltage_uncertainty: float = DEFAULT_VOLTAGE_UNCERTAINTY

    def __post_init__(self) -> None:
        for name, allowed in (("category", CATEGORIES), ("chemistry", CHEMISTRIES), ("status", STATUSES)):
            if getattr(self, name) not in (None, *allowed):
                raise ValueError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}")
        self._check_finite()
        for name in _ABOVE_ZERO:
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be above zero")
        for name in ("date_into_service", "date_of_manufacture"):
            value = getattr(self, name)
            if value is not None and not _MONTH.fullmatch(value):
                raise ValueError(f"{name} must be a year and month, such as 2027-03")
        if self.accidents < 0:
            raise ValueError("accidents cannot be below zero")
        low, high = self.temperature_min_c, self.temperature_max_c
        if low is not None and high is not None and low >= high:
            raise ValueError("temperature_min_c must be below temperature_max_c")

    def _check_finite(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not isfinite(value):
                raise ValueError(f"{name} must be a finite number")
        for name in ("current_uncertainty", "voltage_uncertainty"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be from 0 to below 1 (0.01 is 1 %)")


class ContradictionError(ValueError):
    """Two declarations of one battery differ in `name`."""

    def __init__(self, name: str, first: object, second: object) -> None:
        super().__init__(f"{name} is {first} and {second}")
        self.name = name
        self.first = first
        self.second = second


def join(first: Declared, second: Declared) -> Declared:
    """Return what both say together. What has only its default is not said.

    Raises:
        ContradictionError: both say something, and not the same.
        ValueError: what they say does not fit together.
    """
    defaults, said = Declared(), {}
    for name in Declared.__struct_fields__:
        ours, theirs, default = getattr(first, name), getattr(second, name), getattr(defaults, name)
        if ours not in (default, theirs) and theirs != default:
            raise ContradictionError(name, ours, theirs)
        said[name] = theirs if ours == default else ours
    return Declared(**said)
