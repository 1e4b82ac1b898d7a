"""The plain JSON documents: absolute values, UTC, and null with a reason in place of a silent 0."""

import pytest

from packseal.core.passport import Field, Method, Missing, Originator, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import LinkState
from packseal.publish import documents
from packseal.publish.protocol import Live

MS = 1_795_000_000_123


def test_a_reading_carries_all_that_is_known_of_it() -> None:
    of = Reading(Field.ENERGY_CHARGED, 12.3456, None, Originator.DERIVED, Method.TRAPEZOID, MS, 0.0123, 0.98)
    assert documents.reading(of) == {
        "value": 12.3456,
        "unit": "kWh",
        "method": "trapezoid",
        "originator": "derived",
        "uncertainty": 0.0123,
        "coverage": 0.98,
        "last_update": "2026-11-18T11:06:40.123Z",
    }


@pytest.mark.parametrize("why", list(Missing), ids=lambda why: why.name.lower())
def test_what_is_not_available_is_null_with_its_reason(why: Missing) -> None:
    said = documents.reading(Reading(Field.CAPACITY_FADE, missing=why))
    assert said == {"value": None, "unit": "%", "reason": why.name.lower()}


@pytest.mark.parametrize(
    ("field", "value", "plain"),
    [
        (Field.BATTERY_STATUS, 3, "re-used"),
        (Field.HEALTH_CLAIM_VERDICT, 0, "not-enough-evidence"),
        (Field.DATE_INTO_SERVICE, 202703, "2027-03"),
        (Field.ACCIDENTS, 2, 2),
        (Field.STATE_OF_CHARGE, 0, 0),
    ],
    ids=lambda of: of.key if isinstance(of, Field) else "",
)
def test_codes_are_words_and_counts_are_integers(field: Field, value: float, plain: object) -> None:
    said = documents.plain(Reading(field, value))
    assert said == plain
    assert field.decimals or isinstance(said, int | str)


def test_live_values_are_by_quantity_and_lists_have_their_gaps() -> None:
    heard = Live(
        LinkState.HEALTHY,
        wall_ms=MS,
        values={
            Channel(Quantity.PACK_VOLTAGE_V): 52.12345,
            Channel(Quantity.PACK_CURRENT_A): -10.0,
            Channel(Quantity.TEMPERATURE_C, 2): 23.0,
            Channel(Quantity.CELL_VOLTAGE_V, 1): 3.3,
            Channel(Quantity.CELL_VOLTAGE_V, 0): 3.25,
            Channel(Quantity.CELL_VOLTAGE_V, documents.MAX_PLACES): 9.9,  # a mistake in a profile
        },
    )
    assert documents.live("urn:x:1", heard) == {
        "battery": "urn:x:1",
        "time": "2026-11-18T11:06:40.123Z",
        "link": "healthy",
        "present": {
            "pack_voltage_v": 52.123,
            "pack_current_a": -10.0,
            "temperature_c": [None, None, 23.0],
            "cell_voltage_v": [3.25, 3.3],
        },
        "derived": {"pack_power_w": -521.2, "cell_highest_v": 3.3, "cell_lowest_v": 3.25, "cell_spread_v": 0.05},
    }


def test_a_time_that_no_calendar_has_is_null() -> None:
    assert documents.utc(1 << 62) is None
