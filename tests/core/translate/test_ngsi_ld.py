"""The NGSI-LD entity keeps to ETSI GS CIM 009: normalised attributes, UN/CEFACT unit codes, UTC times, core context."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.core.translate.conftest import BATTERY, PASSPORT, subjects, whole

from packseal.core.passport import Field
from packseal.core.translate import MODELS, Subject
from packseal.core.translate.ngsi_ld import name_of

NGSI_LD = MODELS["ngsi-ld"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # GS CIM 009 §4.6.2
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")  # §4.6.3: a DateTime ends in Z
MEMBERS = {"type", "value", "object", "unitCode", "observedAt"}  # §4.5.2, §4.5.3; others are attributes themselves
CODES = {"P1", "AMH", "KWH", "MIN", "WTT", "OHM", "CEL", "ANN", "H71", "C62"}  # UN/CEFACT Recommendation 20


def check_attribute(name: str, attribute: Mapping[str, Any]) -> None:
    assert NAME.fullmatch(name)
    if attribute["type"] == "Relationship":
        assert set(attribute) == {"type", "object"}
        return
    assert attribute["type"] == "Property"
    assert isinstance(attribute["value"], int | float | str)  # never null: that would delete it
    assert attribute.get("unitCode", "P1") in CODES
    if "observedAt" in attribute:
        assert UTC.fullmatch(attribute["observedAt"])
    for inner, value in attribute.items():
        if inner not in MEMBERS:
            check_attribute(inner, value)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(subject=subjects())
def test_any_snapshot_makes_a_normalised_entity(subject: Subject) -> None:
    body = NGSI_LD.translate(subject).body
    assert (body["id"], body["type"]) == (BATTERY, "Battery")
    assert body["@context"][-1].startswith("https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context")
    for name, attribute in body.items():
        if name not in {"id", "type", "@context"}:
            check_attribute(name, attribute)


def test_a_value_has_its_unit_its_time_and_what_stands_behind_it() -> None:
    assert NGSI_LD.translate(whole()).body["selfDischargeRate"] == {
        "type": "Property",
        "value": 29.143,
        "unitCode": "H71",
        "observedAt": "2027-01-15T07:59:31.123Z",
        "method": {"type": "Property", "value": "trapezoid"},
        "originator": {"type": "Property", "value": "derived"},
        "standardUncertainty": {"type": "Property", "value": 0.25, "unitCode": "H71"},
        "coverage": {"type": "Property", "value": 0.987},
    }


def test_the_entity_names_its_passport() -> None:
    assert NGSI_LD.translate(whole()).body["passport"] == {"type": "Relationship", "object": PASSPORT}


@pytest.mark.parametrize("which", NGSI_LD.slots, ids=lambda f: f.key)
def test_each_field_has_its_unit_code(which: Field) -> None:
    attribute = NGSI_LD.translate(whole()).body[name_of(which)]
    codes = {"%": "P1", "Ah": "AMH", "kWh": "KWH", "min": "MIN", "W": "WTT", "Ω": "OHM", "°C": "CEL", "a": "ANN"}
    words = {Field.BATTERY_STATUS: "re-used", Field.DATE_INTO_SERVICE: "2027-03"}
    if which in words:
        assert (attribute["value"], "unitCode" in attribute) == (words[which], False)
    else:
        assert attribute["unitCode"] == {**codes, "1": "C62", "%/month": "H71"}[which.unit]
