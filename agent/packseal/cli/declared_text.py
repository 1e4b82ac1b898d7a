"""Declared data for people: what each is called, in which unit, what needs it; and a value as it was typed."""

import re
from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec

from packseal.core.declared import CATEGORIES, CHEMISTRIES, STATUSES, Declared
from packseal.core.fields import ROWS

MOST_NEEDERS = 4
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
"""1,000 is a thousand to some and one to others."""

LABELS = {
    "category": ("category", ", ".join(CATEGORIES)),
    "chemistry": ("chemistry", ", ".join(CHEMISTRIES)),
    "rated_capacity_ah": ("rated capacity", "Ah"),
    "rated_energy_kwh": ("rated energy", "kWh"),
    "certified_energy_kwh": ("certified usable energy of a vehicle", "kWh"),
    "nominal_voltage_v": ("nominal voltage of the battery", "V"),
    "cells_in_series": ("cells in series", "number"),
    "temperature_min_c": ("lower end of the temperature range", "°C"),
    "temperature_max_c": ("upper end of the temperature range", "°C"),
    "cell_voltage_min_v": ("lower voltage limit of a cell", "V"),
    "cell_voltage_max_v": ("upper voltage limit of a cell", "V"),
    "max_charge_current_a": ("greatest charging current", "A"),
    "max_discharge_current_a": ("greatest discharging current, for 10 s", "A"),
    "initial_resistance_ohm": ("resistance at begin of life, 10 s pulse", "Ω"),
    "initial_power_at_80_w": ("power at begin of life, at 80 % charge", "W"),
    "initial_power_at_20_w": ("power at begin of life, at 20 % charge", "W"),
    "initial_round_trip_efficiency_pct": ("round-trip efficiency at begin of life", "%"),
    "initial_self_discharge_pct_month": ("self-discharge at begin of life", "%/month"),
    "expected_life_cycles": ("expected life", "cycles"),
    "expected_life_years": ("expected life", "years"),
    "date_into_service": ("month put into service", "YYYY-MM"),
    "date_of_manufacture": ("month of manufacture", "YYYY-MM"),
    "status": ("status", ", ".join(STATUSES)),
    "accidents": ("accidents on record", "number"),
    "current_uncertainty": ("relative standard uncertainty of the current", "0.01 is 1 %"),
    "voltage_uncertainty": ("relative standard uncertainty of the voltage", "0.005 is 0.5 %"),
}
"""What each is called, and its unit or what is allowed."""


def needed_by(name: str) -> str:
    """Return which fields need the value, the first few by name."""
    keys = [row.field.key for row in ROWS if name in row.declared]
    more = len(keys) - MOST_NEEDERS
    return ", ".join(keys[:MOST_NEEDERS]) + (f" and {more} more" if more > 0 else "")


def typed(name: str, text: str) -> Any:
    """Return what `text` says of the declared value `name`; raises ValueError in one sentence."""
    kind = get_type_hints(Declared)[name]
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    value: Any = text.strip()
    if str not in kinds:
        whole = int in kinds
        if THOUSANDS.fullmatch(value):
            raise ValueError(f"{name}: {value} may be two numbers: write it without a comma, 1000 or 1.0")
        try:
            value = int(value) if whole else float(value.replace(",", "."))
        except ValueError:
            what = "a whole number" if whole else "a number"
            unit = "" if LABELS[name][1] == "number" else f" ({LABELS[name][1]})"
            raise ValueError(f"{name} must be {what}{unit}, not {value!r}") from None
    try:
        msgspec.convert({name: value}, Declared)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    return value
