"""The AAS submodel is read and verified by the published meta-model, and says the same as the template."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.core.translate.conftest import PASSPORT, schema, subjects, whole

from packseal.core.passport import Field
from packseal.core.translate import MODELS, Subject

AAS = MODELS["aas"]


def read(body: Any) -> Any:
    """The submodel as the meta-model's library reads it, with no constraint of IDTA-01001 broken."""
    why = "aas-core3.0 is not installed: AAS documents are not verified"
    jsonization = pytest.importorskip("aas_core3.jsonization", reason=why)
    verification = pytest.importorskip("aas_core3.verification", reason=why)
    submodel = jsonization.submodel_from_jsonable(json.loads(json.dumps(body)))
    assert [f"{e.path}: {e.cause}" for e in verification.verify(submodel)] == []
    return submodel


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(subject=subjects())
def test_any_snapshot_keeps_the_meta_models_constraints(subject: Subject) -> None:
    read(AAS.translate(subject).body)


def test_each_element_is_as_in_the_template() -> None:
    document = AAS.translate(whole())
    assert document.body["id"] == f"{PASSPORT}/ProductCondition"
    (template,) = schema("idta/aas-02035-5-product-condition-1.0.1.json")["submodels"]
    by_name = {e["idShort"]: e for e in template["submodelElements"]}
    elements = document.body["submodelElements"]
    assert {e["idShort"] for e in elements} == set(by_name)
    for element in elements:
        compare(element, by_name[element["idShort"]])
    assert document.body["semanticId"] == template["semanticId"]


def compare(element: dict[str, Any], template: dict[str, Any]) -> None:
    """Kind, meaning and value type of an element and of all in it, against the template."""
    for name in ("modelType", "semanticId", "valueType", "typeValueListElement", "valueTypeListElement"):
        assert element.get(name) == template.get(name), (element.get("idShort"), name)
    inner = template.get("value")
    if not isinstance(inner, list) or "value" not in element:
        return
    if element["modelType"] == "SubmodelElementList":
        for each in element["value"]:
            compare(each, inner[0])
        return
    parts = {e["idShort"]: e for e in inner}
    for each in element["value"]:
        compare(each, parts[each["idShort"]])


def test_each_value_says_what_stands_behind_it() -> None:
    elements = {e["idShort"]: e for e in AAS.translate(whole()).body["submodelElements"]}
    power = elements["RemainingPowerCapability"]["value"][0]["value"][-1]
    assert {q["type"]: q["value"] for q in power["qualifiers"]} == {
        "unit": "W",
        "method": "trapezoid",
        "originator": "derived",
        "standardUncertainty": "0.25",
        "coverage": "0.987",
    }
    hottest = elements["TemperatureInformation"]["value"][0]
    assert hottest["qualifiers"][0]["value"] == Field.TEMPERATURE.unit
