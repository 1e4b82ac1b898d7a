"""The BMS's own counters: followed over what happens to them, and held against ours."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import ALL, PACK, readings, sample, value

from packseal.core.bodies import LifecycleCode
from packseal.core.meter import Meter
from packseal.core.passport import Field, Method
from packseal.core.sample import EventCode, Notice


def said(meter: Meter, series: Iterable[float], name: str = "cycles", start_s: int = 0) -> list[Notice]:
    told: list[Notice] = []
    for t, count in enumerate(series, start_s):
        told += meter.feed(sample(t, **{name: count}))
    return told


def test_a_counter_is_passed_on_as_it_is() -> None:
    meter = Meter(PACK, ALL)
    assert said(meter, [100, 100, 101]) == []
    assert value(meter, Field.CYCLES_BMS) == 101
    assert readings(meter)[Field.CYCLES_BMS].method is Method.AS_REPORTED


@pytest.mark.parametrize(("after", "total"), [([0, 0, 0, 1], 501), ([3, 3, 3, 4], 504), ([200, 200, 200, 201], 501)])
def test_a_reset_or_another_bms_keeps_the_history_and_is_told_once(after: list[float], total: float) -> None:
    meter = Meter(PACK, ALL)
    told = said(meter, [499, 500, *after])
    assert [n.code for n in told] == [EventCode.COUNTER_WENT_BACK]
    assert told[0].attributes["from"] == "500.000"
    assert value(meter, Field.CYCLES_BMS) == total
    assert readings(meter)[Field.CYCLES_BMS].method is Method.RECONCILED


def test_a_roll_over_of_sixteen_bits_goes_on() -> None:
    meter = Meter(PACK, ALL)
    said(meter, [65534, 65535, 0, 0, 0, 1, 2])
    assert value(meter, Field.CYCLES_BMS) == pytest.approx(65537, abs=1)


def test_one_corrupt_message_is_no_reset_and_no_leap() -> None:
    meter = Meter(PACK, ALL)
    assert said(meter, [500, 0, 500, 500, 9000, 500, 501]) == []
    assert value(meter, Field.CYCLES_BMS) == 501


def test_counters_that_fall_together_are_those_of_another_bms() -> None:
    meter = Meter(PACK, ALL)
    told = []
    for t in range(10):
        new = t >= 4
        told += meter.feed(sample(t, cycles=80 if new else 500, out_ah=3990 if new else 25000, out_kwh=1500))
    assert [n.code for n in told] == [EventCode.COUNTER_WENT_BACK] * 2 + [EventCode.BMS_REPLACED]
    assert value(meter, Field.CAPACITY_DISCHARGED_BMS) == 25000


@pytest.mark.parametrize(
    ("new", "total"), [pytest.param([0, 1], 501, id="new"), pytest.param([9000, 9001], 501, id="used")]
)
def test_the_counters_of_a_replaced_bms_begin_anew_without_an_alarm(new: list[float], total: float) -> None:
    meter = Meter(PACK, ALL)
    said(meter, [499, 500])
    meter.mark(LifecycleCode.BMS_REPLACED, sample(2).at, {})
    assert value(meter, Field.CYCLES_BMS) == 500
    assert said(meter, new, start_s=3) == []
    assert value(meter, Field.CYCLES_BMS) == total
    assert readings(meter)[Field.CYCLES_BMS].method is Method.RECONCILED
    again = Meter(PACK, ALL, state=meter.save())
    assert said(again, [new[-1] + 1], start_s=9) == []
    assert value(again, Field.CYCLES_BMS) == total + 1


def test_a_replaced_module_leaves_the_counters_of_the_bms_as_they_are() -> None:
    meter = Meter(PACK, ALL)
    said(meter, [499, 500])
    meter.mark(LifecycleCode.MODULE_REPLACED, sample(2).at, {})
    assert said(meter, [501], start_s=3) == []
    assert readings(meter)[Field.CYCLES_BMS].method is Method.AS_REPORTED


def run(bms_share: float, cycles: float, step_ah: float = 0.1) -> list[Notice]:
    """Discharge `cycles` full cycles at 1 C, the BMS counting `bms_share` of the truth in steps."""
    meter, told = Meter(PACK, ALL), []
    for t in range(0, round(3600 * cycles) + 1, 10):
        true_ah = 50 * t / 3600
        counted = int(1000 / step_ah + true_ah * bms_share / step_ah) * step_ah
        told += meter.feed(sample(t, a=-50, v=400, out_ah=counted))
    return [n for n in told if n.code is EventCode.COUNTER_DISAGREES]


def test_a_counter_that_counts_a_tenth_too_little_is_told_once_with_the_figures() -> None:
    told = run(0.9, 6)
    assert len(told) == 1
    assert float(told[0].attributes["bms"]) == pytest.approx(0.9 * float(told[0].attributes["ours"]), rel=0.02)


@pytest.mark.parametrize("share", [0.99, 1.0, 1.01])
@pytest.mark.parametrize("step_ah", [0.01, 1.0, 50.0])
def test_a_counter_within_its_doubt_is_not_told(share: float, step_ah: float) -> None:
    assert run(share, 6, step_ah) == []


@given(st.lists(st.floats(0, 1e6), max_size=80))
def test_whatever_it_says_the_total_never_falls(series: list[float]) -> None:
    meter, last = Meter(PACK, ALL), 0.0
    for t, count in enumerate(series):
        meter.feed(sample(t, cycles=count))
        now = value(meter, Field.CYCLES_BMS)
        assert now >= last - 1e-6
        last = now
