"""Any snapshot gives a document that is valid by the public schema, or says exactly what it lacks of it."""

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from tests.core.translate.conftest import SCHEMAS, jsonschema, schema, subjects, whole

from packseal.core.declared import CATEGORIES
from packseal.core.passport import Field
from packseal.core.translate import MODELS, Subject, en18223
from packseal.core.translate.idta_parts import DIGITAL_NAMEPLATE, TECHNICAL_DATA

SCHEMA_OF = {
    "idta": "idta/ProductConditionBattery-schema.json",
    "idta-technical": "idta/TechnicalDataBattery-schema.json",
    "idta-nameplate": "idta/NameplateBattery-schema.json",
    "battery-pass": "battery-pass/PerformanceAndDurability.schema.json",
    "catena-x": "catena-x/BatteryPass-schema.json",
}
MANY = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", params=list(SCHEMA_OF))
def model(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """A model's name and the validator of its schema, which lets no name pass that it does not know."""
    return request.param, closed(schema(SCHEMA_OF[request.param]))


def closed(tree: Any) -> Any:
    """A validator by which an unknown name is a fault: the schemas let every name pass, so a typing error would too."""
    tree = copy.deepcopy(tree)
    schemas = tree["components"]["schemas"]
    for each in [tree, *schemas.values()]:
        if "properties" not in each:
            continue
        for part in each.get("allOf", ()):  # an entity that extends another: one object with the names of both
            other = schemas[part["$ref"].rsplit("/", 1)[1]]
            each["properties"] = {**other["properties"], **each["properties"]}
    extended = {
        part["$ref"].rsplit("/", 1)[1] for s in schemas.values() if "properties" in s for part in s.get("allOf", ())
    }
    for name, each in [("", tree), *schemas.items()]:
        if "properties" in each and name not in extended:
            each["additionalProperties"] = False
    return jsonschema().Draft4Validator(tree)


def faults(validator: Any, body: Any) -> tuple[set[str], list[str]]:
    """The dotted paths that are required and missing, and every other fault."""
    missing, others = set(), []
    for error in validator.iter_errors(body):
        at = [str(part) for part in error.absolute_path]
        if error.validator == "required":
            missing |= {".".join([*at, name]) for name in error.validator_value if name not in error.instance}
        else:
            others.append(f"{'.'.join(at)}: {error.message}")
    return missing, others


@MANY
@given(subject=subjects())
def test_any_snapshot_is_valid_or_says_what_it_lacks(model: tuple[str, Any], subject: Subject) -> None:
    name, validator = model
    document = MODELS[name].translate(subject)
    body = json.loads(json.dumps(document.body, allow_nan=False))
    missing, others = faults(validator, body)
    assert not others
    said = set(document.lacking)
    if name == "catena-x":  # the schema is of the whole passport, the export of one part
        missing, said = ({p for p in paths if p.startswith("performance.dynamic")} for paths in (missing, said))
    assert missing == said


@pytest.mark.parametrize("category", [None, *CATEGORIES], ids=str)
def test_a_whole_snapshot_makes_a_whole_condition(category: str | None) -> None:
    document = MODELS["idta"].translate(whole(category))
    assert list(document.lacking) == []
    missing, others = faults(closed(schema(SCHEMA_OF["idta"])), document.body)
    assert (missing, others) == (set(), [])


@pytest.mark.parametrize("name", list(SCHEMA_OF))
def test_a_name_that_the_model_does_not_have_is_a_fault(name: str) -> None:
    text = json.dumps(MODELS[name].translate(whole()).body)
    for right in ("ateOfChargeValue", '"fullCycles', '"CapacityFade', '"LifeCycleStage'):
        text = text.replace(right, f"{right}s")
    wrong = json.loads(text)
    assert wrong != MODELS[name].translate(whole()).body
    _, others = faults(closed(schema(SCHEMA_OF[name])), wrong)
    assert len(others) == 1


def test_a_catena_x_patch_fits_the_published_example() -> None:
    example = schema("catena-x/BatteryPass.json")
    patch = MODELS["catena-x"].translate(whole("lmt")).body
    merged = merge(example, patch)
    validator = jsonschema().Draft4Validator(schema(SCHEMA_OF["catena-x"]))
    before = {e.message for e in validator.iter_errors(example)}
    assert {e.message for e in validator.iter_errors(merged)} <= before
    assert merged["performance"]["dynamic"]["capacity"]["capacity"]["value"] == 12.143
    assert merged["performance"]["rated"] == example["performance"]["rated"]


def test_the_sections_of_en_18223_are_of_their_parts() -> None:
    body = en18223.translate(whole()).body
    for name, file in (
        (TECHNICAL_DATA, "idta/TechnicalDataBattery-schema.json"),
        (DIGITAL_NAMEPLATE, "idta/NameplateBattery-schema.json"),
    ):
        _, others = faults(closed(schema(file)), body[name])
        assert others == []
    assert body[DIGITAL_NAMEPLATE] == {"LifeCycleStage": "re-used", "DateOfPuttingIntoService": "2027-03-01"}


@MANY
@given(subject=subjects())
def test_any_snapshot_makes_a_patch_by_en_18222(subject: Subject) -> None:
    passport = _openapi()["DigitalProductPassportPatch"]
    body = en18223.translate(subject).body
    found = [e.message for e in jsonschema().Draft202012Validator(passport).iter_errors(body)]
    assert found == []
    assert set(body) >= {"uniqueProductIdentifier", "granularity"}


def test_a_patch_completes_the_header_of_a_passport() -> None:
    header = _openapi()["DigitalProductPassport"]
    document = en18223.translate(whole("lmt"))
    said = {
        e.message.split("'")[1] for e in jsonschema().Draft202012Validator(_bare(header)).iter_errors(document.body)
    }
    assert said == set(document.lacking)


def test_every_field_has_a_place_in_the_ngsi_ld_entity() -> None:
    document = MODELS["ngsi-ld"].translate(whole())
    assert document.left_out == []
    assert document.body["stateOfCharge"]["unitCode"] == "P1"
    assert document.body["batteryStatus"]["value"] == "re-used"
    assert Field.STATE_OF_HEALTH_ESTIMATE not in MODELS["ngsi-ld"].slots


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396 §2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        merged[name] = merge(merged.get(name), value)
    return merged


def _openapi() -> Any:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed: EN 18222 patches are not validated")
    schema("en18222/basyx-go.sample-dpp.json")  # says so when the folder is not there
    return yaml.safe_load((SCHEMAS / "en18222" / "basyx-go.openapi.yaml").read_text("utf-8"))["components"]["schemas"]


def _bare(header: Any) -> Any:
    """The header's schema without what refers to other parts of the API description."""
    kept = {k: v for k, v in header["properties"].items() if k not in {"granularity", "elements"}}
    return {"type": "object", "required": header["required"], "properties": kept}
