"""The IDTA 02035-5 submodel as an AAS v3 submodel instance in JSON (IDTA-01001, IDTA-02035-5 v1.0.1).

The same values as in `idta`, as typed properties. Each value carries unit, method, originator, standard uncertainty and
coverage as qualifiers of the kind ValueQualifier, which IDTA-01001 means for what qualifies a value at run time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from packseal.core.passport import Field, Reading
from packseal.core.translate import idta
from packseal.core.translate.condition import SINGLES
from packseal.core.translate.evidence import evidence
from packseal.core.translate.subject import Document, Model, Subject

_SUBMODEL = "urn:samm:io.admin-shell.idta.batterypass.product_condition:1.0.0#ProductCondition"
_ELEMENT = "urn:samm:io.admin-shell.idta.batterypass.product_condition:1.0.1#"
_EVENT = f"{_ELEMENT}NegativeEvent"
_DOCUMENTS = "InformationOnAccidents"
_TEMPLATE = "https://admin-shell.io/idta-02035-5"
_BY_GROUP = {group: which for which, (group, _) in SINGLES.items()}
_BY_NAME = {slot.path: which for which, slot in idta.TEMPERATURES.items()}


def translate(subject: Subject) -> Document:
    """Return the submodel; its id is `<passport or battery>/ProductCondition`."""
    values = idta.translate(subject)
    readings = {r.field: r for r in subject.snapshot.readings}
    body: dict[str, Any] = {
        "modelType": "Submodel",
        "id": f"{subject.passport or subject.battery}/ProductCondition",
        "idShort": "ProductCondition",
        "kind": "Instance",
        "administration": {"version": "1", "revision": "0", "templateId": _TEMPLATE},
        "semanticId": _reference(_SUBMODEL),
    }
    if elements := [element(name, value, readings) for name, value in values.body.items()]:
        body["submodelElements"] = elements
    return Document(body, values.left_out, values.lacking)


def element(name: str, value: object, readings: Mapping[Field, Reading]) -> dict[str, Any]:
    """Return one top-level element; what a list holds has no name of its own (IDTA-01001 AASd-120)."""
    if isinstance(value, list):
        return _documents(name) if name == _DOCUMENTS else _events(name, value)
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is neither a list nor an object")
    named = {
        "RemainingPowerCapabilityDynamicAt" if k == "RemainingPowerCapabilityValue" else k: v for k, v in value.items()
    }
    inner = next((v for v in named.values() if isinstance(v, Mapping)), {})
    power = Field.REMAINING_POWER_AT_20 if inner.get("AtSoC") == 20.0 else Field.REMAINING_POWER_AT_80  # noqa: PLR2004
    which = _BY_GROUP.get(name, power)
    return _collection(name, _ELEMENT + _lower(name), named, (which, readings))


def _events(name: str, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "modelType": "SubmodelElementList",
        "idShort": name,
        "semanticId": _meaning(name),
        "orderRelevant": False,
        "typeValueListElement": "SubmodelElementCollection",
        "semanticIdListElement": _reference(_EVENT),
        "value": [_collection(None, _EVENT, entry, None) for entry in entries],
    }


def _documents(name: str) -> dict[str, Any]:
    """Return the list of accident documents, which `idta` gives only when there are none."""
    return {
        "modelType": "SubmodelElementList",
        "idShort": name,
        "semanticId": _meaning(name),
        "orderRelevant": False,
        "typeValueListElement": "Property",
        "valueTypeListElement": "xs:string",
    }


def _collection(
    name: str | None,
    semantic_id: str,
    parts: Mapping[str, Any],
    behind: tuple[Field, Mapping[Field, Reading]] | None,
) -> dict[str, Any]:
    head = {"modelType": "SubmodelElementCollection", **({"idShort": name} if name else {})}
    elements = []
    for key, value in parts.items():
        if isinstance(value, Mapping):
            elements.append(_collection(key, _ELEMENT + _lower(key), value, behind))
        else:
            elements.append(_property(key, value, _reading_behind(key, behind)))
    return {**head, "semanticId": _reference(semantic_id), "value": elements}


def _reading_behind(key: str, behind: tuple[Field, Mapping[Field, Reading]] | None) -> Reading | None:
    if behind is None or key in {"LastUpdate", "RPCLastUpdated", "AtSoC"}:
        return None
    which, readings = behind
    return readings.get(_BY_NAME.get(key, which))


def _property(name: str, value: object, reading: Reading | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "modelType": "Property",
        "idShort": name,
        "semanticId": _meaning(name),
        "valueType": _type(name, value),
        "value": str(value),
    }
    if reading is not None:
        body["qualifiers"] = _qualifiers(reading)
    return body


def _qualifiers(reading: Reading) -> Sequence[dict[str, str]]:
    known = {"unit": reading.field.unit, **evidence(reading)}
    return [
        {
            "kind": "ValueQualifier",
            "type": name,
            "valueType": "xs:string" if isinstance(fact, str) else "xs:double",
            "value": str(fact),
        }
        for name, fact in known.items()
    ]


def _type(name: str, value: object) -> str:
    """Return the type that the template gives the property."""
    if name in {"LastUpdate", "RPCLastUpdated"}:
        return "xs:dateTime"
    if name == "NumberOfFullCyclesValue":
        return "xs:unsignedInt"
    return "xs:string" if isinstance(value, str) else "xs:float"


def _meaning(name: str) -> dict[str, Any]:
    return _reference(_ELEMENT + _lower(name))


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _reference(value: str) -> dict[str, Any]:
    return {"type": "ExternalReference", "keys": [{"type": "GlobalReference", "value": value}]}


MODEL = Model(
    "aas",
    "AAS v3 submodel instance of IDTA 02035-5 v1.0.1",
    "https://github.com/admin-shell-io/submodel-templates",
    idta.SLOTS,
    idta.ABSENT,
    translate,
)
