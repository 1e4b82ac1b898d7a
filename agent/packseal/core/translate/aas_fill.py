"""Fill: our values put into an AAS submodel element that a server holds, which keeps all else that it says.

IDTA 01001: a Property has `value` as text of its `valueType`, a SubmodelElementCollection elements with an idShort, a
SubmodelElementList elements without.
"""

from collections.abc import Mapping, Sequence
from typing import Any

WHOLE_NAMES = (
    "integer int long short byte nonNegativeInteger nonPositiveInteger positiveInteger negativeInteger "
    "unsignedLong unsignedInt unsignedShort unsignedByte"
)
WHOLE_TYPES = frozenset(f"xs:{name}" for name in WHOLE_NAMES.split())
"""The types of whole numbers (XML Schema part 2 §3.3)."""


def filled(held: Mapping[str, Any] | None, ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return the held element with our values and qualifiers; ours as it is where nothing is held."""
    if held is None or held.get("modelType") != ours["modelType"]:
        return dict(ours)
    result = dict(held)
    if ours["modelType"] == "SubmodelElementCollection":
        result["value"] = _inner(held.get("value") or (), ours.get("value") or ())
    elif ours["modelType"] == "SubmodelElementList":
        result["value"] = list(ours.get("value") or ())
        if not result["value"]:
            del result["value"]  # IDTA 01001: no empty lists
    else:
        result["value"] = text(ours["value"], held.get("valueType"))
        if qualifiers := _qualifiers(held.get("qualifiers") or (), ours.get("qualifiers") or ()):
            result["qualifiers"] = qualifiers
    return result


def with_value(held: Mapping[str, Any], value: object) -> dict[str, Any] | None:
    """Return the held Property, or collection or list of such, with this value-only value; None if it does not fit."""
    kind, inner = held.get("modelType"), held.get("value") or ()
    if kind == "Property" and not isinstance(value, Mapping | list):
        return {**held, "value": text(value, held.get("valueType"))}
    if kind == "SubmodelElementCollection" and isinstance(value, Mapping):
        by_name = {e.get("idShort", "").lower(): e for e in inner}
        changed = {
            name.lower(): by_name.get(name.lower()) and with_value(by_name[name.lower()], v)
            for name, v in value.items()
        }
        if not all(changed.values()):
            return None
        return {**held, "value": [changed.get(e.get("idShort", "").lower(), e) for e in inner]}
    if kind == "SubmodelElementList" and isinstance(value, list) and len(value) == len(inner):
        entries = [with_value(e, v) for e, v in zip(inner, value, strict=True)]
        return {**held, "value": entries} if all(entries) else None
    return None


def text(value: object, value_type: object) -> str:
    """Return a value as the text of its type; a whole number has no point."""
    if value_type in WHOLE_TYPES and not isinstance(value, bool):
        try:
            return str(int(float(str(value))))
        except (ValueError, OverflowError):
            return str(value)
    return str(value)


def _inner(held: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    given = {e.get("idShort"): e for e in ours}
    kept = [filled(e, given.pop(e.get("idShort"))) if e.get("idShort") in given else dict(e) for e in held]
    return [*kept, *(dict(e) for e in given.values())]


def _qualifiers(held: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    types = {q.get("type") for q in ours}
    return [*(dict(q) for q in held if q.get("type") not in types), *(dict(q) for q in ours)]
