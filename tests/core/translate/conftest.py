"""Snapshots of every kind, and the public schemas where they are at hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from packseal.core.declared import CATEGORIES
from packseal.core.passport import Field, Method, Missing, Originator, Reading, Snapshot
from packseal.core.translate import Subject

WALL_MS = 1_800_000_000_123
BATTERY, PASSPORT = "urn:example:battery:1", "https://example.org/dpp/1"
SCHEMAS = Path(__file__).resolve().parents[4] / "shared" / "reference" / "schemas"
EXTREMES = (0.0, -0.0, 1e-9, -1e-9, -1.0, 1e9, 4_294_967_296.0, 1e20, -1e20, 1e39, 1e308, float("inf"), float("nan"))


def schema(name: str) -> Any:
    """A public schema; the test says so when the schemas, which are not part of the project, are not there."""
    path = SCHEMAS / name
    if not path.exists():
        pytest.skip(f"the public schema {name} is not here: {SCHEMAS} is no folder of this project")
    return json.loads(path.read_text("utf-8"))


def jsonschema() -> Any:
    return pytest.importorskip("jsonschema", reason="jsonschema is not installed: documents are not validated")


def value_of(which: Field) -> float:
    """A plausible value, different for each field."""
    special = {Field.BATTERY_STATUS: 3.0, Field.DATE_INTO_SERVICE: 202_703.0, Field.ACCIDENTS: 0.0}
    return special.get(which, round(which.code + 1 / 7, which.decimals))


def reading(which: Field, value: float | None = None, at: int = WALL_MS) -> Reading:
    """An available reading, 1 s older for each code."""
    originator = Originator.BMS if which is Field.STATE_OF_CERTIFIED_ENERGY else Originator.DERIVED
    given = value_of(which) if value is None else value
    return Reading(which, given, None, originator, Method.TRAPEZOID, at - 1000 * which.code, 0.25, 0.987)


def whole(category: str | None = None, **values: float) -> Subject:
    """A snapshot with every field; `values` by the fields' keys."""
    readings = [reading(f, values.get(f.key)) for f in Field]
    return Subject(Snapshot(readings), BATTERY, category, PASSPORT)


def _any_reading(which: Field) -> st.SearchStrategy[Reading]:
    missing = st.builds(lambda why: Reading(which, missing=why), st.sampled_from(Missing))
    values = st.floats() | st.sampled_from(EXTREMES) | st.floats(0, 1000) | st.just(value_of(which))
    times = st.integers(0, 2**63) | st.integers(WALL_MS, WALL_MS + 10**9)
    known = st.builds(
        Reading,
        st.just(which),
        values,
        st.none(),
        st.sampled_from(Originator),
        st.sampled_from(Method),
        times,
        st.none() | st.floats(),
        st.none() | st.floats(),
    )
    return known | missing


@st.composite
def subjects(draw: st.DrawFn) -> Subject:
    """Any snapshot at all: fields that are not there, not available, ordinary, extreme or no numbers."""
    chosen = draw(st.lists(st.sampled_from(Field), unique=True))
    readings = [draw(_any_reading(f)) for f in sorted(chosen, key=lambda f: f.code)]
    category = draw(st.sampled_from([None, *CATEGORIES]))
    return Subject(Snapshot(readings), BATTERY, category, draw(st.sampled_from([None, PASSPORT])))
