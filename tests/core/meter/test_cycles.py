"""The rainflow count as it comes, against the `rainflow` package's count of the whole series."""

import csv
import gzip
from pathlib import Path

import msgspec
import pytest
import rainflow  # type: ignore[import-untyped]  # has no annotations
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import ALL, PACK, readings, sample

from packseal.core.meter import Meter
from packseal.core.meter.cycles import MOST_OPEN, Cycles, CyclesState
from packseal.core.meter.view import Viewer
from packseal.core.passport import Field

TRIPS = Path(__file__).parents[3] / "../shared/data/bmw_i3_trips/trips_1hz.csv.gz"


def counted(series: list[float], restart_at: int | None = None) -> Cycles:
    family, viewer = Cycles(PACK, ALL, 10**10, CyclesState()), Viewer(PACK, ALL)
    for t, soc in enumerate(series):
        if t == restart_at:
            saved = msgspec.msgpack.encode(family.state)
            family = Cycles(PACK, ALL, 10**10, msgspec.msgpack.decode(saved, type=CyclesState))
        family.feed(viewer.see(sample(t, soc=soc)))
    return family


def total(series: list[float]) -> float:
    """The package's sum of cycles times depth."""
    return float(sum(depth * count for depth, _, count, _, _ in rainflow.extract_cycles(series)) / 100)


WHOLE = st.integers(0, 100).map(float)


@given(st.lists(WHOLE, min_size=3, max_size=60))
def test_whole_percents_are_counted_as_the_package_counts_them(series: list[float]) -> None:
    family = counted(series)
    assert family.readings()[0].value == pytest.approx(total(series))
    expected: dict[str, float] = {}
    for depth, _, count, _, _ in rainflow.extract_cycles(series):
        step = min(int(depth / 10), 9)
        if depth:
            expected[f"{10 * step}-{10 * step + 10} %"] = expected.get(f"{10 * step}-{10 * step + 10} %", 0) + count
    assert family.counts() == pytest.approx(expected)


@given(st.lists(WHOLE, min_size=2, max_size=60), st.integers(0, 60))
def test_a_restart_anywhere_changes_nothing(series: list[float], at: int) -> None:
    assert counted(series, at).counts() == counted(series).counts()


def test_the_residue_is_bounded_and_loses_nothing() -> None:
    converging = [50 + (-1) ** i * (50 - 0.4 * i) for i in range(120)]
    family = counted(converging)
    assert len(family.state.open_pct) <= MOST_OPEN
    assert family.readings()[0].value == pytest.approx(total(converging), rel=1e-6)


def test_noise_below_a_percent_is_no_cycle() -> None:
    noisy = [50 + 0.9 * (i % 2) for i in range(1000)]
    assert counted(noisy).readings()[0].value == 0


def in_steps(series: list[float]) -> list[float]:
    """The series in whole percents, changing only where it has moved by one: what such a BMS would state."""
    stated = [float(round(series[0]))]
    for soc in series:
        stated.append(float(round(soc)) if abs(soc - stated[-1]) >= 1 else stated[-1])
    return stated


def test_real_trips_agree_with_the_package() -> None:
    if not TRIPS.exists():
        pytest.skip("the recorded trips (data set bmw_i3_trips) are not on this machine")
    with gzip.open(TRIPS, "rt") as file:
        series = [float(row["soc_pct"]) for row in csv.DictReader(file) if row["soc_pct"]]
    stated = in_steps(series)
    coarse, fine = counted(stated).readings()[0], counted(series).readings()[0]
    assert coarse.value == pytest.approx(total(stated))
    assert coarse.value is not None
    assert coarse.uncertainty is not None
    assert fine.value is not None
    assert fine.value == pytest.approx(coarse.value, abs=2 * coarse.uncertainty + 0.05 * coarse.value)
    assert fine.value < total(series)  # swings below 1 %, as of recuperation, are no cycles


def test_a_battery_without_a_state_of_charge_has_none() -> None:
    assert readings(Meter(PACK, frozenset()))[Field.RAINFLOW_CYCLES].value is None
