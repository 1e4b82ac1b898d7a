"""What a snapshot says of the present: only what is fresh, every cell at its number, and since when it counts."""

import pytest

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Sample

WALL_MS = 1_800_000_000_000
VOLTAGE, CURRENT = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
LIMIT_S = 10


def cell(index: int) -> Channel:
    return Channel(Quantity.CELL_VOLTAGE_V, index)


def sample(t_s: float, values: dict[Channel, float], quality: ClockQuality = ClockQuality.NTP) -> Sample:
    ns = round(t_s * 1e9)
    return Sample(Instant(ns, WALL_MS * 1_000_000 + ns, quality), values)


def meter(state: bytes | None = None) -> Meter:
    return Meter(Declared(), frozenset(Quantity), state=state)


def test_a_present_value_is_kept_up_to_the_gap_limit_and_no_longer() -> None:
    m = meter()
    m.feed(sample(0, {VOLTAGE: 400, CURRENT: -5}))
    m.feed(sample(LIMIT_S, {VOLTAGE: 401}))
    assert m.snapshot().present == {VOLTAGE: 401, CURRENT: -5}
    m.feed(sample(LIMIT_S + 0.1, {VOLTAGE: 402}))
    assert m.snapshot().present == {VOLTAGE: 402}


def test_a_slow_profile_has_a_longer_limit() -> None:
    m = Meter(Declared(), frozenset({VOLTAGE.quantity, CURRENT.quantity}), period_s=60)
    m.feed(sample(0, {CURRENT: -5}))
    m.feed(sample(180, {VOLTAGE: 401}))
    assert m.snapshot().present == {VOLTAGE: 401, CURRENT: -5}


def test_a_cell_that_is_not_known_keeps_its_place() -> None:
    m = meter()
    m.feed(sample(0, {cell(0): 3.7, cell(1): 3.701, cell(3): 3.703, cell(4): 3.704}))
    assert m.snapshot().cells_mv == [3700, 3701, None, 3703, 3704]
    m.feed(sample(11, {cell(0): 3.71, cell(2): 3.712, cell(3): 3.713}))
    assert m.snapshot().cells_mv == [3710, None, 3712, 3713, None]
    m.feed(sample(22, {VOLTAGE: 400}))
    assert m.snapshot().cells_mv == []


@pytest.mark.parametrize("volts", [float("nan"), float("inf"), -float("inf"), 1e9])
def test_what_is_no_cell_voltage_is_not_kept(volts: float) -> None:
    m = meter()
    m.feed(sample(0, {cell(0): volts, cell(1): -0.02, cell(400): 3.7}))
    assert m.snapshot().cells_mv == [None, -20]


def test_the_counters_run_since_the_first_sample_also_over_a_restart() -> None:
    m = meter()
    assert m.snapshot().began_ms is None
    m.feed(sample(5, {VOLTAGE: 400}))
    m.feed(sample(6, {VOLTAGE: 400}))
    again = meter(m.save())
    again.feed(sample(1000, {VOLTAGE: 400}))
    assert m.snapshot().began_ms == again.snapshot().began_ms == WALL_MS + 5000


def test_a_clock_that_is_set_later_corrects_the_beginning() -> None:
    m = meter()
    m.feed(Sample(Instant(3 * 10**9, 0, ClockQuality.UNSYNCHRONISED), {VOLTAGE: 400}))
    assert m.snapshot().began_ms == 0
    m.feed(sample(63, {VOLTAGE: 400}))
    assert m.snapshot().began_ms == WALL_MS + 3000
    m.feed(Sample(Instant(64 * 10**9, 0, ClockQuality.UNSYNCHRONISED), {VOLTAGE: 400}))
    m.feed(sample(9999, {VOLTAGE: 400}, ClockQuality.GNSS))
    assert m.snapshot().began_ms == WALL_MS + 3000
