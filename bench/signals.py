"""Samples as a pack gives them: random walks, quantised as a BMS quantises its signals, once a second.

Invented: the steps are those of a driven 96-cell pack. How well they compress decides the sizes, so the walks keep
a BMS's own resolutions and let slow quantities stand still for most samples.
"""

import csv
import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, Instant, Sample

WALL_NS = 1_800_000_000 * NS_PER_S
MONO_NS = 5_000 * NS_PER_S
RETURN_S = 600  # how slowly a walk comes back to its start, so that no pack wanders out of its limits
DRIVES = Path(__file__).parents[2] / "shared/data/bmw_i3_trips/trips_1hz.csv.gz"
"""60 recorded drives of a BMW i3, where they are present beside the project."""


class Walk(NamedTuple):
    """Where a channel starts, the resolution its BMS sends, and the standard deviation of a second's step."""

    start: float
    resolution: float
    step: float


PACK = {
    Channel(Quantity.PACK_VOLTAGE_V): Walk(378.0, 0.1, 0.3),
    Channel(Quantity.PACK_CURRENT_A): Walk(-30.0, 0.1, 4.0),
    Channel(Quantity.STATE_OF_CHARGE_PCT): Walk(80.0, 0.1, 0.02),
    Channel(Quantity.TEMPERATURE_MAX_C): Walk(27.0, 0.5, 0.05),
}
REST = {
    Channel(Quantity.STATE_OF_HEALTH_PCT): Walk(93.5, 0.1, 0.0),
    Channel(Quantity.TEMPERATURE_MIN_C): Walk(24.0, 0.5, 0.05),
    Channel(Quantity.CELL_VOLTAGE_MAX_V): Walk(3.95, 0.001, 0.003),
    Channel(Quantity.CELL_VOLTAGE_MIN_V): Walk(3.91, 0.001, 0.003),
    Channel(Quantity.FULL_CHARGE_CAPACITY_AH): Walk(56.1, 0.1, 0.0),
    Channel(Quantity.CHARGE_CHARGED_AH): Walk(12_040.0, 0.01, 0.002),
    Channel(Quantity.CHARGE_DISCHARGED_AH): Walk(12_100.0, 0.01, 0.008),
    Channel(Quantity.ENERGY_CHARGED_KWH): Walk(4_300.0, 0.01, 0.001),
    Channel(Quantity.ENERGY_DISCHARGED_KWH): Walk(4_250.0, 0.01, 0.003),
    Channel(Quantity.CYCLES): Walk(201.0, 1.0, 0.0),
    Channel(Quantity.INTERNAL_RESISTANCE_OHM): Walk(0.071, 0.0001, 0.00002),
    Channel(Quantity.PACK_POWER_W): Walk(-11_700.0, 100.0, 1_600.0),
}
SENSORS = {Channel(Quantity.TEMPERATURE_C, i): Walk(25.0 + i / 4, 0.5, 0.05) for i in range(8)}
CELLS = {Channel(Quantity.CELL_VOLTAGE_V, i): Walk(3.92 + i / 1000, 0.001, 0.001) for i in range(16)}
FORTY = {**PACK, **REST, **SENSORS, **CELLS}


def walked(walks: dict[Channel, Walk], count: int, seed: int = 1) -> list[Sample]:
    """Return `count` samples, one a second."""
    chance = random.Random(seed)
    present = {channel: walk.start for channel, walk in walks.items()}
    samples = []
    for second in range(count):
        for channel, walk in walks.items():
            drift = (walk.start - present[channel]) / RETURN_S
            present[channel] += chance.gauss(drift, walk.step)
        values = {c: round(round(v / walks[c].resolution) * walks[c].resolution, 6) for c, v in present.items()}
        samples.append(Sample(instant(second), values))
    return samples


def drives() -> Iterator[Sample]:
    """Yield the recorded drives, one after another on one clock; the file must be there."""
    columns = {
        "v_v": Channel(Quantity.PACK_VOLTAGE_V),
        "i_a": Channel(Quantity.PACK_CURRENT_A),
        "temp_c": Channel(Quantity.TEMPERATURE_C),
        "soc_pct": Channel(Quantity.STATE_OF_CHARGE_PCT),
    }
    with gzip.open(DRIVES, "rt", newline="") as file:
        for second, row in enumerate(csv.DictReader(file)):
            yield Sample(instant(second), {c: float(row[n]) for n, c in columns.items() if row[n]})


def instant(second: int) -> Instant:
    """Return the moment so many seconds after the start."""
    return Instant(MONO_NS + second * NS_PER_S, WALL_NS + second * NS_PER_S, ClockQuality.NTP)
