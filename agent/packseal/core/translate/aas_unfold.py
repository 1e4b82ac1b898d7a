"""Asset Administration Shell JSON to the value-only form: an environment, one submodel, or what is value-only already.

IDTA 01001 (metamodel) and IDTA 01002 (ValueOnly): a Property is its value, a SubmodelElementCollection an object by
idShort, a SubmodelElementList an array. Other elements have nothing that is declared here.
"""

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 20
"""Deeper than any submodel template of the IDTA nests its elements; bounds the recursion."""
NUMBERS = ("xs:double", "xs:float", "xs:decimal", "xs:int", "xs:integer", "xs:long", "xs:short", "xs:unsignedInt")


def unfolded(document: object) -> list[object]:
    """Return the document's parts, each in the value-only form."""
    if isinstance(document, Mapping) and isinstance(document.get("submodels"), list):
        return [_submodel(submodel) for submodel in document["submodels"]]
    if isinstance(document, Mapping) and "submodelElements" in document:
        return [_submodel(document)]
    if isinstance(document, list):
        return [part for entry in document for part in unfolded(entry)] if len(document) <= MAX_DEPTH else []
    if isinstance(document, Mapping):
        # Several value-only submodels in one object, by name, as a repository's `$value` of a shell gives them.
        return [document, *(part for part in document.values() if isinstance(part, Mapping))]
    return [document]


def _submodel(submodel: object) -> object:
    elements = submodel.get("submodelElements") if isinstance(submodel, Mapping) else None
    return _object(elements, 0)


def _object(elements: object, depth: int) -> dict[str, Any]:
    found = {}
    for element in elements if isinstance(elements, list) and depth < MAX_DEPTH else ():
        if isinstance(element, Mapping) and isinstance(element.get("idShort"), str):
            found[element["idShort"]] = _value(element, depth)
    return found


def _value(element: Mapping[str, Any], depth: int) -> Any:
    kind, value = element.get("modelType"), element.get("value")
    if kind == "SubmodelElementCollection":
        return _object(value, depth + 1)
    if kind == "SubmodelElementList":
        entries = value if isinstance(value, list) and depth < MAX_DEPTH else []
        return [_value(entry, depth + 1) for entry in entries if isinstance(entry, Mapping)]
    if kind == "Property" and isinstance(value, str) and element.get("valueType") in NUMBERS:
        try:
            return float(value)
        except ValueError:
            return value
    return value
