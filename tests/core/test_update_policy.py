"""When a value is sent: first, on a status, on an event, on its threshold, daily, and otherwise not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.fields import ROW_OF, Update
from packseal.core.passport import Field
from packseal.core.translate.en18223 import SLOTS
from packseal.core.update_policy import DAY_MS, THRESHOLDS, Due, Policy, Sent

CHARGE, CYCLES, THROUGHPUT = Field.STATE_OF_CHARGE, Field.FULL_EQUIVALENT_CYCLES, Field.CAPACITY_THROUGHPUT
NOW = 1_800_000_000_000


def due(which: Field, before: float, after: float, policy: Policy | None = None, age_ms: int = 1000) -> Due | None:
    sent = Sent({which: before}, NOW - 2000, NOW - age_ms)
    return (policy or Policy()).due({which: after}, NOW, sent, NOW)


@pytest.mark.parametrize(
    ("which", "before", "after", "expected"),
    [
        (CHARGE, 50.0, 54.9, None),
        (CHARGE, 50.0, 55.0, Due.VARIANCE),
        (CHARGE, 50.0, 45.0, Due.VARIANCE),
        (CYCLES, 61.2, 62.1, None),
        (CYCLES, 61.2, 62.2, Due.VARIANCE),
        (THROUGHPUT, 1000.0, 1009.0, None),
        (THROUGHPUT, 1000.0, 1010.0, Due.VARIANCE),
        (Field.DEEP_DISCHARGE_EVENTS, 2.0, 2.0, None),
        (Field.DEEP_DISCHARGE_EVENTS, 2.0, 3.0, Due.EVENT),
        (Field.BATTERY_STATUS, 1.0, 3.0, Due.STATUS),
        (Field.RATED_CAPACITY, 50.0, 49.9, Due.EVENT),
    ],
)
def test_a_change_is_sent_when_it_is_great_enough(
    which: Field, before: float, after: float, expected: Due | None
) -> None:
    assert due(which, before, after) is expected


def test_a_threshold_of_the_configuration_takes_the_place_of_the_default() -> None:
    policy = Policy({CHARGE: 1.0, Field.DEEP_DISCHARGE_EVENTS: 5.0})
    assert due(CHARGE, 50, 51.5, policy) is Due.VARIANCE
    assert due(CHARGE, 50, 50.5, policy) is None
    assert due(Field.DEEP_DISCHARGE_EVENTS, 2, 3, policy) is None


def test_what_was_never_sent_is_due_and_everything_newer_daily() -> None:
    assert Policy().due({CHARGE: 1.0}, NOW, None, NOW) is Due.FIRST
    assert due(CHARGE, 50, 50, age_ms=DAY_MS - 1) is None
    assert due(CHARGE, 50, 50, age_ms=DAY_MS) is Due.DAILY
    assert due(CHARGE, 50, 50, age_ms=-DAY_MS) is Due.DAILY  # the clock was set back


@given(st.floats(0, 100), st.floats(0, 100), st.integers(-(10**12), 0), st.integers(0, 10**12))
def test_what_is_no_newer_is_never_due(before: float, after: float, older_ms: int, age_ms: int) -> None:
    sent = Sent({CHARGE: before}, NOW, NOW - age_ms)
    assert Policy().due({CHARGE: after}, NOW + older_ms, sent, NOW) is None


def test_every_field_that_is_sent_has_its_threshold() -> None:
    once = {f for f in SLOTS if ROW_OF[f].update is Update.ONCE}
    declared = {Field.EXPECTED_LIFE_CYCLES, Field.EXPECTED_LIFE_YEARS}
    assert set(SLOTS) - once - declared == set(THRESHOLDS)
    assert all(threshold.why for threshold in THRESHOLDS.values())
