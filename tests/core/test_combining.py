"""What a whole says at one instant, calculated by hand."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.combining import Arrangement, Combiner, Part
from packseal.core.quantities import Channel, Quantity

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
W, SOC = Channel(Quantity.PACK_POWER_W), Channel(Quantity.STATE_OF_CHARGE_PCT)
CELL, SENSOR = Quantity.CELL_VOLTAGE_V, Quantity.TEMPERATURE_C
HOT, COLD = Channel(Quantity.TEMPERATURE_MAX_C), Channel(Quantity.TEMPERATURE_MIN_C)
HIGH, LOW = Channel(Quantity.CELL_VOLTAGE_MAX_V), Channel(Quantity.CELL_VOLTAGE_MIN_V)
ALL = frozenset(Quantity)
SERIES, PARALLEL = Arrangement.SERIES, Arrangement.PARALLEL


def part(name: str, cells: int = 2, sensors: int = 1, rated_ah: float | None = None) -> Part:
    return Part(f"urn:part:{name}", 10.0, ALL, {CELL: cells, SENSOR: sensors}, rated_ah)


def whole(arrangement: Arrangement, *parts: Part, tolerance_pct: float | None = None) -> Combiner:
    return Combiner(arrangement, parts or (part("a"), part("b")), tolerance_pct)


def module(
    volts: float, amperes: float, cells: Mapping[int, float], celsius: float, soc: float
) -> dict[Channel, float]:
    listed = {Channel(CELL, index): value for index, value in cells.items()}
    return {V: volts, A: amperes, W: volts * amperes, SOC: soc, Channel(SENSOR): celsius, **listed}


@pytest.mark.parametrize("sign", [1, -1])
def test_series(sign: int) -> None:
    said = [module(7.0, sign * 40.0, {0: 3.4, 1: 3.6}, 21, 60), module(7.5, sign * 41.0, {0: 3.7, 1: 3.8}, 25, 55)]
    combined = whole(SERIES).combine(said)
    assert combined.spread is None
    assert combined.values == {
        V: 14.5,
        A: sign * 40.5,
        W: sign * (280 + 307.5),
        SOC: 55,
        Channel(CELL, 0): 3.4,
        Channel(CELL, 1): 3.6,
        Channel(CELL, 2): 3.7,
        Channel(CELL, 3): 3.8,
        Channel(SENSOR, 0): 21,
        Channel(SENSOR, 1): 25,
        HIGH: 3.8,
        LOW: 3.4,
        HOT: 25,
        COLD: 21,
    }


@pytest.mark.parametrize("sign", [1, -1])
def test_parallel(sign: int) -> None:
    said = [module(50.0, sign * 30.0, {0: 3.4, 1: 3.6}, -5, 60), module(50.4, sign * 10.0, {0: 3.7, 1: 3.8}, 25, 40)]
    combined = whole(PARALLEL, part("a", rated_ah=150), part("b", rated_ah=50)).combine(said)
    assert combined.spread is None
    assert combined.values[V] == pytest.approx(50.2)
    assert combined.values[A] == sign * 40
    assert combined.values[W] == pytest.approx(sign * 2004)
    assert combined.values[SOC] == (60 * 150 + 40 * 50) / 200
    assert [combined.values[Channel(CELL, i)] for i in range(4)] == [3.4, 3.6, 3.7, 3.8]
    assert (combined.values[HOT], combined.values[COLD]) == (25, -5)


def test_in_parallel_a_part_that_feeds_another_counts_with_its_sign() -> None:
    said = [module(50, 12.0, {}, 20, 30), module(50, -12.5, {}, 20, 30)]
    assert whole(PARALLEL).combine(said).values[A] == -0.5


def test_in_parallel_there_is_no_state_of_charge_without_every_rated_capacity() -> None:
    said = [module(50, 1, {}, 20, 30), module(50, 1, {}, 20, 30)]
    assert SOC not in whole(PARALLEL, part("a", rated_ah=100), part("b")).combine(said).values


@pytest.mark.parametrize(("arrangement", "stays"), [(SERIES, {A: 40.0}), (PARALLEL, {V: 7.0})])
def test_without_one_part_only_what_all_share_is_said(arrangement: Arrangement, stays: dict[Channel, float]) -> None:
    said = [module(7.0, 40.0, {0: 3.4, 1: 3.6}, 21, 60), {}]
    assert whole(arrangement, part("a", rated_ah=1), part("b", rated_ah=1)).combine(said).values == stays


@pytest.mark.parametrize(
    ("arrangement", "channel", "values", "spread"),
    [
        (SERIES, A, (100.0, 94.1), None),
        (SERIES, A, (100.0, 93.9), 6.1),
        (SERIES, A, (-100.0, -93.9), 6.1),
        (SERIES, A, (0.4, -0.5), None),
        (SERIES, A, (10.0, -10.0), 20.0),
        (PARALLEL, V, (400.0, 390.1), None),
        (PARALLEL, V, (400.0, 389.9), 10.1),
    ],
)
def test_parts_that_disagree_say_nothing(
    arrangement: Arrangement, channel: Channel, values: tuple[float, float], spread: float | None
) -> None:
    combined = whole(arrangement).combine([{channel: value} for value in values])
    assert combined.spread == (None if spread is None else pytest.approx(spread))
    assert (channel in combined.values) is (spread is None)


def test_the_tolerance_can_be_set() -> None:
    assert whole(SERIES, tolerance_pct=50).combine([{A: 100}, {A: 60}]).values == {A: 80}


def test_a_part_with_more_cells_than_are_known_is_not_mixed_up_with_the_next() -> None:
    said = [{Channel(CELL, i): 3.0 + i / 10 for i in range(3)}, {Channel(CELL, 0): 2.9, Channel(CELL, 1): 3.9}]
    assert whole(SERIES).combine(said).values == {HIGH: 3.9, LOW: 2.9}
    wider = whole(SERIES, part("a", cells=4), part("b"))
    assert set(wider.combine(said).values) == {HIGH, LOW, *(Channel(CELL, i) for i in (0, 1, 2, 4, 5))}
    assert wider.widths[CELL] == 6


def test_stated_extremes_count_where_there_are_no_cells() -> None:
    assert whole(SERIES).combine([{HIGH: 3.9, LOW: 3.1}, {Channel(CELL, 0): 3.3}]).values == {HIGH: 3.9, LOW: 3.1}


def test_what_the_whole_delivers() -> None:
    shunt = Part("urn:a", 10, frozenset({V.quantity, A.quantity, SENSOR, SOC.quantity}), {SENSOR: 1})
    plain = Part("urn:b", 10, frozenset({V.quantity, HOT.quantity, SOC.quantity, Quantity.CYCLES}), {})
    assert whole(SERIES, shunt, plain).delivers == {V.quantity, A.quantity, HOT.quantity}
    assert whole(PARALLEL, shunt, plain).delivers == {V.quantity, HOT.quantity}


volts = st.floats(1, 1000)
amperes = st.floats(-1000, 1000)


@given(
    st.lists(st.tuples(volts, amperes, st.lists(st.floats(-40, 80), min_size=1, max_size=4)), min_size=2, max_size=8)
)
def test_the_sum_of_the_parts_is_the_whole(said: list[tuple[float, float, list[float]]]) -> None:
    parts = [part(str(i), sensors=len(t)) for i, (_, _, t) in enumerate(said)]
    samples = [{V: v, A: a, **{Channel(SENSOR, i): c for i, c in enumerate(t)}} for v, a, t in said]
    series, parallel = (whole(kind, *parts).combine(samples).values for kind in (SERIES, PARALLEL))
    assert series[V] == pytest.approx(sum(v for v, _, _ in said))
    assert parallel[A] == pytest.approx(sum(a for _, a, _ in said))
    sensors = [c for _, _, t in said for c in t]
    for values in (series, parallel):
        assert [values[Channel(SENSOR, i)] for i in range(len(sensors))] == sensors
        assert (values[HOT], values[COLD]) == (max(sensors), min(sensors))
