"""Resistance, power, efficiency and self-discharge on recorded batteries: what is told is true, or why not."""

import csv
import gzip
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.meter.feeding import NAMES, WALL_NS

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.passport import Field, Missing, Reading
from packseal.core.quantities import Channel
from packseal.core.sample import ClockQuality, Instant, Sample

DATA = Path(__file__).parents[3] / "../shared/data"
TRIPS = DATA / "bmw_i3_trips/trips_1hz.csv.gz"
HPPC = DATA / "panasonic_18650pf/hppc_25degC_10hz.parquet"
STREAM, CYCLES = DATA / "camp_nmc532/stream.parquet", DATA / "camp_nmc532/cycles.csv"
NASA = DATA / "nasa_pcoe/B0005.parquet"
NO_PARQUET = importlib.util.find_spec("pyarrow") is None
V, A, T, SOC = (NAMES[key] for key in ("v", "a", "t", "soc"))
COLUMNS = {"v_v": V, "i_a": A, "temp_c": T, "soc_pct": SOC}
FIELDS = (
    Field.INTERNAL_RESISTANCE,
    Field.OHMIC_RESISTANCE,
    Field.REMAINING_POWER_AT_80,
    Field.REMAINING_POWER_AT_20,
    Field.REMAINING_ROUND_TRIP_EFFICIENCY,
    Field.SELF_DISCHARGE_RATE,
)


def sample(t_s: float, values: dict[Channel, float]) -> Sample:
    ns = round(t_s * 1e9)
    return Sample(Instant(ns, WALL_NS + ns, ClockQuality.NTP), values)


def told(meter: Meter) -> dict[Field, Reading]:
    return {r.field: r for r in meter.snapshot().readings}


def rows(path: Path, *names: str) -> Iterator[tuple[float, ...]]:
    """Give the named columns of a parquet file, row by row."""
    columns = importlib.import_module("pyarrow.parquet").read_table(path, columns=list(names)).to_pydict()
    yield from zip(*(columns[name] for name in names), strict=True)


needs_trips = pytest.mark.skipif(not TRIPS.is_file(), reason="the BMW i3 trips are not beside this checkout")


def needs(path: Path) -> pytest.MarkDecorator:
    why = f"{path.parent.name}/{path.name} is not beside this checkout, or pyarrow is not installed to read it"
    return pytest.mark.skipif(NO_PARQUET or not path.is_file(), reason=why)


@needs_trips
def test_twenty_two_hours_of_driving_show_no_step_out_of_rest_and_no_closed_loop() -> None:
    pack = Declared(
        rated_capacity_ah=60, rated_energy_kwh=21.6, cells_in_series=96, chemistry="nmc", cell_voltage_min_v=2.8
    )
    meter = Meter(pack, frozenset({V.quantity, A.quantity, T.quantity, SOC.quantity}))
    base_s, now_s, trip = 0.0, 0.0, ""
    with gzip.open(TRIPS, "rt") as file:
        for row in csv.DictReader(file):
            if row["trip"] != trip:
                trip, base_s = row["trip"], now_s + 60
            now_s = base_s + float(row["t_s"])
            values = {ch: float(row[name]) for name, ch in COLUMNS.items() if row[name]}
            meter.feed(sample(now_s, values))
    found = told(meter)
    assert {f.key: found[f].missing for f in FIELDS} == {f.key: Missing.NO_EVIDENCE for f in FIELDS}


@needs(HPPC)
def test_a_hybrid_pulse_test_at_ten_hertz_gives_the_resistance_of_its_pulses() -> None:
    cell = Declared(rated_capacity_ah=2.9, cells_in_series=1, chemistry="nca", cell_voltage_min_v=2.5)
    meter = Meter(cell, frozenset({V.quantity, A.quantity, T.quantity}), gap_limit_s=100)
    last_s = -1.0
    for t_s, volts, amps, celsius in rows(HPPC, "t", "v", "i", "T"):
        if t_s > last_s:
            meter.feed(sample(t_s, {V: volts, A: amps, T: celsius}))
            last_s = t_s
    found = told(meter)
    ohm, ohmic = found[Field.INTERNAL_RESISTANCE], found[Field.OHMIC_RESISTANCE]
    # read off the table: 10 s pulses of 0.5 to 6 C between 30 and 70 % charge show 37.8 to 43.2 mohm
    assert 0.0378 < (ohm.value or 0) < 0.0432
    assert (ohm.uncertainty or 1) < 0.002
    assert 0.02 < (ohmic.value or 0) < (ohm.value or 0)


@needs(STREAM)
def test_the_round_trip_of_a_cycled_cell_is_that_of_its_tester() -> None:
    with CYCLES.open() as file:
        tester = [float(r["energy_discharge"]) / (float(r["energy_charge"]) or 1.0) for r in csv.DictReader(file)]
    cell = Declared(
        rated_capacity_ah=1.5, nominal_voltage_v=3.7, cells_in_series=1, chemistry="nmc", category="stationary"
    )
    meter = Meter(cell, frozenset({V.quantity, A.quantity}), gap_limit_s=1000)
    last = 0
    for cycle, t_s, amps, volts in rows(STREAM, "cycle", "t_s", "i_a", "v_v"):
        meter.feed(sample(t_s, {V: volts, A: amps}))
        if cycle != last and cycle in {60, 300, 600, 900}:
            found = told(meter)[Field.REMAINING_ROUND_TRIP_EFFICIENCY]
            truth = 100 * sum(tester[int(cycle) - 10 : int(cycle)]) / 10
            assert abs((found.value or 0) - truth) < 0.5
            assert abs((found.value or 0) - truth) < 1.96 * (found.uncertainty or 0)
        last = int(cycle)


@needs(NASA)
def test_sampling_of_ten_seconds_and_more_shows_no_pulse() -> None:
    cell = Declared(rated_capacity_ah=2.0, cells_in_series=1, chemistry="nca")
    meter = Meter(cell, frozenset({V.quantity, A.quantity}))
    last_s = -1.0
    for t_s, volts, amps in rows(NASA, "t_s", "v_v", "i_a"):
        if t_s > last_s:
            meter.feed(sample(t_s, {V: volts, A: amps}))
            last_s = t_s
    assert told(meter)[Field.INTERNAL_RESISTANCE].missing is Missing.NO_EVIDENCE
