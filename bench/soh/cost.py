"""Cost: CPU time per sample of the whole meter, and how large what it remembers becomes in ten years."""

import gc
import statistics
import time
from collections.abc import Iterator

from bench.soh import recorded
from bench.soh.stream import SOC, SOH, A, T, V
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Sample

PASSES, BLOCK, SAMPLES = 7, 250, 40_000
DAYS_PER_YEAR, YEARS = 365, 10
HALF_HOUR_S = 1800
PACK = Declared(
    category="ev",
    chemistry="nmc",
    rated_capacity_ah=60.0,
    rated_energy_kwh=21.6,
    nominal_voltage_v=360.0,
    cells_in_series=96,
    temperature_min_c=0.0,
    temperature_max_c=45.0,
    cell_voltage_min_v=2.8,
    cell_voltage_max_v=4.2,
)
LOWEST, HIGHEST = Channel(Quantity.CELL_VOLTAGE_MIN_V), Channel(Quantity.CELL_VOLTAGE_MAX_V)
COUNTERS = tuple(
    Channel(q)
    for q in (
        Quantity.CYCLES,
        Quantity.CHARGE_CHARGED_AH,
        Quantity.CHARGE_DISCHARGED_AH,
        Quantity.ENERGY_DISCHARGED_KWH,
    )
)


def micros_per_sample() -> list[float]:
    """Return the CPU time of `Meter.feed` in µs per sample, one figure a pass, over a BMW i3's drives.

    Voltage, current, state of charge and one temperature, once a second. A block of samples is made outside the
    clock right before it is fed, so that they are as near at hand as in the agent.
    """
    rows = recorded.trip_rows()[:SAMPLES]
    gc.collect()
    found = []
    for _ in range(PASSES):
        meter = Meter(PACK, frozenset(c.quantity for c in (V, A, T, SOC)))
        feed, spent = meter.feed, 0.0
        for start in range(0, len(rows), BLOCK):
            block = [_sample(t, {V: v, A: a, T: warm, SOC: soc}) for t, v, a, warm, soc in rows[start : start + BLOCK]]
            began = time.process_time()
            for sample in block:
                feed(sample)
            spent += time.process_time() - began
        found.append(1e6 * spent / len(rows))
    return found


def median_micros() -> float:
    """Return the median of the passes."""
    return statistics.median(micros_per_sample())


def state_bytes() -> tuple[int, int]:
    """Return the size of what a meter saves after one year and after ten, of a battery that does all it can."""
    quantities = {c.quantity for c in (V, A, T, SOC, SOH, LOWEST, HIGHEST, *COUNTERS)}
    meter = Meter(PACK, frozenset(quantities), gap_limit_s=HALF_HOUR_S)
    first = 0
    for day in range(YEARS * DAYS_PER_YEAR):
        for sample in _day(day):
            meter.feed(sample)
        if day + 1 == DAYS_PER_YEAR:
            first = len(meter.save())
    return first, len(meter.save())


def _day(day: int) -> Iterator[Sample]:
    """Return a day: a pulse out of rest, a discharge to empty and a charge to full, other weather each day."""
    begin_s, fade = 86_400.0 * day, 1 - 0.3 * day / (YEARS * DAYS_PER_YEAR)
    capacity_ah, warm = 60 * fade, -15 + (day * 37) % 65
    soc = 1.0
    courses = [(40, 1.0, 0.0), (15, 1.0, -20.0), (20, HALF_HOUR_S, -capacity_ah / 10.2), (3, HALF_HOUR_S, 0.0)]
    courses += [(20, HALF_HOUR_S, capacity_ah / 9.9)]
    at_s = begin_s
    for count, step_s, amps in courses:
        for _ in range(count):
            at_s += step_s
            soc = min(1.0, max(0.0, soc + amps * step_s / 3600 / capacity_ah))
            cell_v = 2.8 + 1.37 * soc**0.5 + 0.0012 * amps / 10
            yield _said(at_s, day, amps, soc, cell_v, warm + soc)


def _said(at_s: float, day: int, amps: float, soc: float, cell_v: float, warm: float) -> Sample:
    given_ah = 60.0 * (day + 1 - soc)
    counters = dict(zip(COUNTERS, (given_ah / 60, given_ah, given_ah, given_ah * 0.36), strict=True))
    values = {V: 96 * cell_v, A: amps, T: warm, SOC: round(200 * soc) / 2, SOH: float(100 - day // 150)}
    return _sample(at_s, values | {LOWEST: cell_v - 0.01, HIGHEST: cell_v + 0.01} | counters)


def _sample(at_s: float, values: dict[Channel, float]) -> Sample:
    ns = round(at_s * 1e9)
    return Sample(Instant(ns, 1_800_000_000_000_000_000 + ns, ClockQuality.NTP), values)
