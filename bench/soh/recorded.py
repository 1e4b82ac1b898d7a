"""Recorded: the data sets as Streams. They lie beside the checkout; `missing` says so where they do not."""

import csv
import gzip
import importlib
from math import isfinite
from pathlib import Path
from typing import Any

from bench.soh.stream import Row, Stream
from packseal.core.declared import Declared

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
NASA, CAMP, PANASONIC = DATA / "nasa_pcoe", DATA / "camp_nmc532", DATA / "panasonic_18650pf"
TRIPS = DATA / "bmw_i3_trips" / "trips_1hz.csv.gz"
NASA_CUT_OFF_V = 2.7
"""Down to where the set counts a discharge's capacity; some of its cells were then discharged further, to 2.0 V."""
SHUNT = 0.005
LONGEST_RUN_S = 200.0


def missing() -> str:
    """Return why nothing can be measured here, "" if it can."""
    if not DATA.is_dir():
        return f"the recorded cells are not there ({DATA.name} beside the checkout's shared folder)"
    try:
        importlib.import_module("pyarrow.parquet")
    except ImportError:
        return "pyarrow is not installed, which reads the recorded cells: pip install pyarrow"
    return ""


def columns(path: Path) -> dict[str, list[Any]]:
    """Return a parquet file's columns."""
    parquet: Any = importlib.import_module("pyarrow.parquet")
    found: dict[str, list[Any]] = parquet.read_table(path).to_pydict()
    return found


def nasa(cell: str) -> Stream:
    """Return one 18650 cell of the NASA ageing set; the truth is the discharge of each test."""
    table = columns(NASA / f"{cell}.parquet")
    with (NASA / "tests.csv").open() as file:
        mine = [row for row in csv.DictReader(file) if row["battery"] == cell and row["capacity_ah"]]
    truth = {int(row["test_id"]): float(row["capacity_ah"]) for row in mine if isfinite(float(row["capacity_ah"]))}
    names = ("test_id", "t_s", "v_v", "i_a", "temp_c")
    rows: list[Row] = [r for r in zip(*(table[n] for n in names), strict=True) if isfinite(r[2]) and isfinite(r[3])]
    declared = Declared(
        chemistry="lco",
        rated_capacity_ah=2.0,
        cells_in_series=1,
        nominal_voltage_v=3.7,
        cell_voltage_max_v=4.2,
        cell_voltage_min_v=NASA_CUT_OFF_V,
        current_uncertainty=SHUNT,
    )
    return Stream(cell, rows, truth, truth[min(truth)], declared, 20.0)


def camp() -> Stream:
    """Return the NMC532 pouch cell; the truth is the discharge of each cycle at C/2."""
    table = columns(CAMP / "stream.parquet")
    with (CAMP / "cycles.csv").open() as file:
        truth = {int(row["cycle_number"]): float(row["capacity_discharge"]) for row in csv.DictReader(file)}
    names = ("cycle", "t_s", "v_v", "i_a")
    rows: list[Row] = [(*r, None) for r in zip(*(table[n] for n in names), strict=True)]
    declared = Declared(
        chemistry="nmc",
        rated_capacity_ah=1.5,
        cells_in_series=1,
        nominal_voltage_v=3.7,
        cell_voltage_max_v=4.2,
        cell_voltage_min_v=3.0,
        current_uncertainty=SHUNT,
    )
    return Stream("CAMP", rows, {n: ah for n, ah in truth.items() if ah > 0.5}, truth[1], declared, LONGEST_RUN_S)


def camp_pulses() -> list[bool]:
    """Return of every row of the pouch cell whether it lies in a pulse of a pulse test."""
    return [method == "pulse" for method in columns(CAMP / "stream.parquet")["method"]]


def panasonic() -> Stream:
    """Return the NCA cell under drive cycles; the numbers are the recording's segments."""
    table = columns(PANASONIC / "stream_1hz.parquet")
    names = ("seg", "t_s", "v_v", "i_a", "temp_c")
    declared = Declared(
        category="ev",
        chemistry="nca",
        rated_capacity_ah=2.9,
        cells_in_series=1,
        nominal_voltage_v=3.6,
        cell_voltage_max_v=4.2,
        cell_voltage_min_v=2.5,
        current_uncertainty=SHUNT,
    )
    rows: list[Row] = list(zip(*(table[n] for n in names), strict=True))
    return Stream("Panasonic", rows, {}, 2.9, declared, 60.0)


def panasonic_ah() -> list[tuple[int, float]]:
    """Return (segment, Ah) of every row by the tester's own counter, which begins anew in each segment."""
    table = columns(PANASONIC / "stream_1hz.parquet")
    return list(zip(table["seg"], table["ah"], strict=True))


def trips() -> dict[str, list[tuple[float, float, float, float]]]:
    """Return the BMW i3's trips: s, V, A, °C by name."""
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    with gzip.open(TRIPS, "rt") as file:
        for row in csv.DictReader(file):
            t_s, volts, amps, warm = (float(row[n]) for n in ("t_s", "v_v", "i_a", "temp_c"))
            found.setdefault(row["trip"], []).append((t_s, volts, amps, warm))
    return found


def trip_rows() -> list[tuple[float, float, float, float, float]]:
    """Return the BMW i3's trips one after the other, an hour apart: s, V, A, °C, %."""
    found: list[tuple[float, float, float, float, float]] = []
    trip, base_s, now_s = "", 0.0, 0.0
    with gzip.open(TRIPS, "rt") as file:
        for row in csv.DictReader(file):
            if row["trip"] != trip:
                trip, base_s = row["trip"], now_s + 3600
            values = [row[name] for name in ("t_s", "v_v", "i_a", "temp_c", "soc_pct")]
            if all(values):
                t_s, volts, amps, warm, soc = map(float, values)
                now_s = base_s + t_s
                found.append((now_s, volts, amps, warm, soc))
    return found
