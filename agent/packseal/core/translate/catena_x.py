"""Catena-X battery_pass 6.1.0: a patch (RFC 7396) of `performance.dynamic`.

Names: urn:samm:io.catenax.battery.battery_pass:6.1.0 (CC BY 4.0). The model keeps events and the operating environment
as lists of documents; what we know of them is one short text each. A merge patch replaces a list as a whole, so who
applies it to a passport with other entries there must add them first.
"""

from collections.abc import Mapping
from typing import Any

from packseal.core.passport import Field, Reading
from packseal.core.translate.subject import (
    MAX_COUNT,
    Document,
    Model,
    Slot,
    Subject,
    choose,
    count,
    number,
    required,
    stamp,
)

_ROOT = "performance.dynamic"
_RATED = "it is in the manufacturer's part of the model: "

RECORDS: Mapping[Field, Slot] = {
    Field.STATE_OF_CHARGE: Slot("stateOfCharge", "%"),
    Field.FULL_EQUIVALENT_CYCLES: Slot(
        "fullCycles", "1", "a whole number: rounded down", whole=True, least=0, most=MAX_COUNT
    ),
    Field.REMAINING_POWER_AT_80: Slot("power.remaining", "W", "room for one value"),
    Field.REMAINING_POWER_AT_20: Slot("power.remaining", "W", "room for one value: only without that at 80 %"),
    Field.POWER_FADE: Slot("power.fade", "%"),
    Field.REMAINING_CAPACITY: Slot("capacity.capacity", "Ah"),
    Field.CAPACITY_THROUGHPUT: Slot("capacity.throughput", "Ah", "charging and discharging"),
    Field.CAPACITY_FADE: Slot("capacity.fade", "%"),
    Field.REMAINING_ROUND_TRIP_EFFICIENCY: Slot("roundTripEfficiency.remaining", "%"),
    Field.ROUND_TRIP_EFFICIENCY_FADE: Slot("roundTripEfficiency.fade", "%"),
    Field.INTERNAL_RESISTANCE: Slot("resistance.remaining.pack", "Ω", "by a pulse of 10 s"),
    Field.INTERNAL_RESISTANCE_INCREASE: Slot("resistance.increase.pack", "%"),
    Field.STATE_OF_CERTIFIED_ENERGY: Slot("energy.soce", "%"),
    Field.REMAINING_ENERGY: Slot("energy.remaining", "kWh"),
    Field.ENERGY_THROUGHPUT: Slot("energy.throughput", "kWh", "charging and discharging"),
}
RATE = Slot("selfDischargingRate", "%/month", "no time beside it")
_TEXT = "a document: one line of text with count or value, unit and time"
DOCUMENTS: Mapping[Field, Slot] = {
    Field.DEEP_DISCHARGE_EVENTS: Slot("negativeEvents[]", "1", _TEXT, whole=True, least=0, most=MAX_COUNT),
    Field.OVERCHARGE_EVENTS: Slot("negativeEvents[]", "1", _TEXT, whole=True, least=0, most=MAX_COUNT),
    Field.ACCIDENTS: Slot("negativeEvents[]", "1", _TEXT, whole=True, least=0, most=MAX_COUNT),
    Field.TEMPERATURE: Slot("operatingEnvironment[]", "°C", _TEXT),
    Field.TIME_EXTREME_HIGH: Slot("operatingEnvironment[]", "min", _TEXT),
    Field.TIME_EXTREME_LOW: Slot("operatingEnvironment[]", "min", _TEXT),
    Field.TIME_EXTREME_HIGH_CHARGING: Slot("operatingEnvironment[]", "min", _TEXT),
    Field.TIME_EXTREME_LOW_CHARGING: Slot("operatingEnvironment[]", "min", _TEXT),
}


def _under_root(slot: Slot) -> Slot:
    return Slot(f"{_ROOT}.{slot.path}", slot.unit, slot.note, slot.whole, slot.least, slot.most)


SLOTS: dict[Field, Slot] = {
    f: _under_root(slot) for f, slot in {**RECORDS, Field.SELF_DISCHARGE_RATE: RATE, **DOCUMENTS}.items()
}
ABSENT = {
    Field.SELF_DISCHARGE_EVOLUTION: "the model does not have it",
    Field.OHMIC_RESISTANCE: "the model has one resistance in use, which is that of the 10 s pulse",
    Field.RATED_CAPACITY: _RATED + "performance.rated.capacity",
    Field.POWER_AT_80: _RATED + "performance.rated.power",
    Field.POWER_AT_20: _RATED + "performance.rated.power",
    Field.ROUND_TRIP_EFFICIENCY: _RATED + "performance.rated.roundTripEfficiency",
    Field.EXPECTED_LIFE_CYCLES: _RATED + "performance.rated.lifetime",
    Field.EXPECTED_LIFE_YEARS: _RATED + "performance.rated.lifetime",
    Field.BATTERY_STATUS: "it is outside performance.dynamic: sustainability.status",
    Field.DATE_INTO_SERVICE: "it is outside performance.dynamic: operation.intoServiceDate",
}
REQUIRED = tuple(
    f"{_ROOT}.{path}"
    for path in (
        "stateOfCharge",
        "fullCycles",
        "selfDischargingRate",
        *("power.fade", "power.remaining"),
        *("capacity.fade", "capacity.throughput", "capacity.capacity"),
        *("roundTripEfficiency.fade", "roundTripEfficiency.remaining"),
        *("resistance.increase.pack", "resistance.increase.cell"),
        *("resistance.remaining.pack", "resistance.remaining.cell"),
        *("energy.soce", "energy.remaining"),
    )
)
"""Of the dynamic part. The cells' own resistance is never determined here, and no category may fill all the others."""


def translate(subject: Subject) -> Document:
    """Return the patch."""
    chosen = choose(subject, SLOTS, ABSENT)
    if Field.REMAINING_POWER_AT_80 in chosen.readings:
        chosen.drop(Field.REMAINING_POWER_AT_20, "the model has room for one power, which is that at 80 %")
    known = chosen.readings
    dynamic: dict[str, Any] = {}
    for which, slot in RECORDS.items():
        if which in known:
            record = {"value": number(known[which], slot), "time": stamp(known[which].last_update_ms)}
            _put(dynamic, slot.path, record)
    if rate := known.get(Field.SELF_DISCHARGE_RATE):
        dynamic[RATE.path] = number(rate)
    for which, slot in DOCUMENTS.items():
        if which in known:
            dynamic.setdefault(slot.path.removesuffix("[]"), []).append(_document(known[which], slot))
    body: dict[str, Any] = {"performance": {"dynamic": dynamic}} if dynamic else {}
    return Document(body, chosen.left_out, required(body, REQUIRED))


def _put(tree: dict[str, Any], path: str, leaf: object) -> None:
    *branches, name = path.split(".")
    for branch in branches:
        tree = tree.setdefault(branch, {})
    tree[name] = leaf


def _document(reading: Reading, slot: Slot) -> dict[str, str]:
    value = f"{count(reading)}" if slot.whole else f"{number(reading)} {slot.unit}"
    content = f"{value}, last update {stamp(reading.last_update_ms)}"
    return {"contentType": "text/plain", "header": reading.field.value.title, "content": content}


MODEL = Model(
    "catena-x",
    "Catena-X battery_pass 6.1.0, a patch of performance.dynamic",
    "https://github.com/eclipse-tractusx/sldt-semantic-models",
    SLOTS,
    ABSENT,
    translate,
)
