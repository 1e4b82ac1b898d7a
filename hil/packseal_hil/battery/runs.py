"""A run as files: what the BMS said as CSV, and what was true as JSON beside it."""

import csv
from pathlib import Path

import msgspec

from packseal.core.quantities import Channel, Quantity
from packseal_hil.battery.battery import SimulatedBattery
from packseal_hil.rig.protocols import RigError

COLUMNS = {
    "v_v": Channel(Quantity.PACK_VOLTAGE_V),
    "i_a": Channel(Quantity.PACK_CURRENT_A),
    "temp_c": Channel(Quantity.TEMPERATURE_MAX_C),
    "soc_pct": Channel(Quantity.STATE_OF_CHARGE_PCT),
    "soh_pct": Channel(Quantity.STATE_OF_HEALTH_PCT),
    "cell_min_v": Channel(Quantity.CELL_VOLTAGE_MIN_V),
    "cell_max_v": Channel(Quantity.CELL_VOLTAGE_MAX_V),
}
"""Columns of what the BMS says; the first four are those that `packseal demo --replay` reads."""

DIGITS = 5


def write_csv(path: Path, battery: SimulatedBattery, seconds: float, every_s: float) -> None:
    """Advance a battery by `seconds` and write a row every `every_s`; true signals follow in columns named `true_…`.

    An empty cell is a sensor that was silent.

    Raises:
        RigError: the file cannot be written.
    """
    try:
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["t_s", *COLUMNS, *(f"true_{name}" for name in battery.signals())])
            table.writerow(_row(battery))
            for _ in range(round(seconds / every_s)):
                battery.advance(every_s)
                table.writerow(_row(battery))
    except OSError as error:
        raise RigError(f"cannot write {path}: {error.strerror}") from error


def write_truth(path: Path, battery: SimulatedBattery) -> None:
    """Write the truth document as JSON; raises RigError when the file cannot be written."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(battery.truth_document()), indent=1) + b"\n")
    except OSError as error:
        raise RigError(f"cannot write {path}: {error.strerror}") from error


def truth_path(csv_path: Path) -> Path:
    """Return where the truth of a run lies: beside its CSV."""
    return csv_path.with_suffix(".truth.json")


def _row(battery: SimulatedBattery) -> list[float | str]:
    said = battery.said()
    told = [round(said[c], DIGITS) if c in said else "" for c in COLUMNS.values()]
    return [round(battery.time_s, DIGITS), *told, *(round(v, DIGITS) for v in battery.signals().values())]
