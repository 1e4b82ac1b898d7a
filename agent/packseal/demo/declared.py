"""Declared data of the demo's batteries, and the file that replaces it."""

from pathlib import Path

from packseal.core.declared import Declared
from packseal.core.errors import InputError
from packseal.core.toml_error import decode_toml
from packseal.demo.pack import CAPACITY_AH, CELLS, NOMINAL_V

TEMPERATURE_C = (0.0, 40.0)
"""Not a manufacturer's: lithium plates when a cell is charged below 0 °C, and ageing quickens above 40 °C."""

CELL_V = (2.8, 4.2)
"""Not a manufacturer's: the usual bounds of a nickel-rich cell."""

SIMULATED = Declared(
    category="ev",
    rated_capacity_ah=CAPACITY_AH,
    rated_energy_kwh=CAPACITY_AH * CELLS * NOMINAL_V / 1000,
    cells_in_series=CELLS,
    temperature_min_c=TEMPERATURE_C[0],
    temperature_max_c=TEMPERATURE_C[1],
    cell_voltage_min_v=CELL_V[0],
    cell_voltage_max_v=CELL_V[1],
)

REPLAYED = Declared(
    category="ev",
    rated_capacity_ah=60.0,  # BMW i3 (2013), 60 Ah cells: 96 in series, 21.6 kWh gross (doi:10.21227/6jr9-5235)
    rated_energy_kwh=21.6,
    cells_in_series=96,
    temperature_min_c=TEMPERATURE_C[0],
    temperature_max_c=TEMPERATURE_C[1],
    cell_voltage_min_v=CELL_V[0],
    cell_voltage_max_v=CELL_V[1],
)


def read(path: Path) -> Declared:
    """Return the declared data in a TOML file.

    Raises:
        InputError: it cannot be read.
        ConfigError: naming line, key and what is allowed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return decode_toml(data, Declared, str(path))
