"""IDTA 02035-5 v1.0.1 "Product Condition" as value-only JSON: our canonical form, and the one that is read back.

Names and types: submodel template IDTA 02035-5 v1.0.1 (CC BY 4.0). Fades and resistance are in its part 4, status and
date of putting into service in its part 1; see `packseal.core.translate.idta_parts`.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from packseal.core.errors import FormatError
from packseal.core.passport import Field, Method, Originator, Reading, Snapshot
from packseal.core.translate import condition
from packseal.core.translate.condition import EVENTS, SINGLES, TIMES, pascal
from packseal.core.translate.idta_parts import NAMEPLATE, TECHNICAL
from packseal.core.translate.subject import MAX_FLOAT, Document, Model, Slot, Subject, choose, count, required

REQUIRED = ("NumberOfFullCycles", "InformationOnAccidents", "TemperatureInformation", "StateOfCharge")
TEMPERATURES: Mapping[Field, Slot] = {Field.TEMPERATURE: Slot("MeasuredTemp", "°C"), **TIMES}
POWER_80_TAKEN = "the model has room for one state of charge, which is 80 %"
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")
_TEXT = re.compile(r"(?P<words>.+): (?P<count>\d{1,16})")

SLOTS: dict[Field, Slot] = {
    **condition.slots(pascal),
    Field.TEMPERATURE: Slot("TemperatureInformation.MeasuredTemp", "°C"),
}
ABSENT = {
    **{f: f"it is in part 4, idta-technical: {slot.path}" for f, slot in TECHNICAL.items()},
    **{f: f"it is in part 1, idta-nameplate: {slot.path}" for f, slot in NAMEPLATE.items()},
    Field.INTERNAL_RESISTANCE: "the model has only the initial value (part 4)",
}


def translate(subject: Subject) -> Document:
    """Return the submodel's values. `InformationOnAccidents` is the empty list only when no accident is on record."""
    chosen = choose(subject, SLOTS, ABSENT)
    if Field.REMAINING_POWER_AT_80 in chosen.readings:
        chosen.drop(Field.REMAINING_POWER_AT_20, POWER_80_TAKEN)
    known = chosen.readings
    body = {
        **condition.singles(known, pascal),
        **condition.events(known, pascal, "NegativeEventValue"),
        **condition.temperatures(known, TEMPERATURES, pascal),
        **condition.power(known, pascal),
    }
    if Field.ACCIDENTS in known and count(known[Field.ACCIDENTS]) == 0:
        body["InformationOnAccidents"] = []
    return Document(body, chosen.left_out, required(body, REQUIRED))


def read(body: Mapping[str, Any]) -> Snapshot:
    """Return the readings of a document that `translate` made.

    Method, originator, uncertainty and coverage are not in the model: the readings are as entered by the operator.

    Raises:
        FormatError: something is not as the model has it.
    """
    readings = {r.field: r for r in (*_read_values(body), *_read_power(body), *_read_events(body))}
    return Snapshot(sorted(readings.values(), key=lambda r: r.field.code))


MODEL = Model(
    "idta",
    "IDTA 02035-5 v1.0.1 Product Condition, value-only JSON",
    "https://github.com/admin-shell-io/submodel-templates",
    SLOTS,
    ABSENT,
    translate,
)


def _read_values(body: Mapping[str, Any]) -> list[Reading]:
    places = {f: (group, slot.path) for f, (group, slot) in SINGLES.items()}
    places |= {f: ("TemperatureInformation", slot.path) for f, slot in TEMPERATURES.items()}
    found = []
    for which, (group, name) in places.items():
        part = _object(body.get(group, {}), group)
        if name in part:
            found.append(_reading(which, part[name], part.get("LastUpdate")))
    return found


def _read_power(body: Mapping[str, Any]) -> list[Reading]:
    if "RemainingPowerCapability" not in body:
        return []
    group = _object(body["RemainingPowerCapability"], "RemainingPowerCapability")
    part = _object(group.get("RemainingPowerCapabilityValue"), "RemainingPowerCapabilityValue")
    at_soc = part.get("AtSoC")
    if at_soc not in (80, 20):
        raise FormatError("AtSoC must be 80 or 20, the two states of charge of the passport")
    which = Field.REMAINING_POWER_AT_80 if at_soc == 80 else Field.REMAINING_POWER_AT_20  # noqa: PLR2004 - as above
    return [_reading(which, part.get("PowerCapabilityAt"), part.get("RPCLastUpdated"))]


def _read_events(body: Mapping[str, Any]) -> list[Reading]:
    by_words = {words: which for which, words in EVENTS.items()}
    found = []
    entries = body.get("NegativeEvents", [])
    if not isinstance(entries, list):
        raise FormatError("NegativeEvents must be a list")
    for entry in entries:
        part = _object(entry, "NegativeEvents")
        match = _TEXT.fullmatch(str(part.get("NegativeEventValue")))
        if match is not None and match["words"] in by_words:  # other texts are other people's
            found.append(_reading(by_words[match["words"]], int(match["count"]), part.get("LastUpdate")))
    return found


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{name} must be an object")
    return value


def _reading(which: Field, value: object, when: object) -> Reading:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MAX_FLOAT:
        raise FormatError(f"the value of {which.key} must be a number")
    try:
        at = datetime.fromisoformat(str(when))
    except ValueError as error:
        raise FormatError(f"the time of {which.key} must be such as 2027-01-15T08:00:00Z") from error
    if at.tzinfo is None:
        raise FormatError(f"the time of {which.key} has no zone, so it says no instant")
    wall_ms = (at - _EPOCH) // timedelta(milliseconds=1)
    return Reading(which, float(value), None, Originator.OPERATOR, Method.ENTERED, wall_ms)
