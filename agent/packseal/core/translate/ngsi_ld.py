"""NGSI-LD: one entity in the normalised form (ETSI GS CIM 009 §4.5.1 and §4.5.2), of the type `Battery`.

Each field is a Property with `value`, `unitCode` (UN/CEFACT Recommendation 20) and `observedAt`, and what stands behind
the value as properties of the property. The @context maps the names to those of the IDTA semantic models.
"""

from typing import Any

from packseal.core.passport import Field, Reading
from packseal.core.translate.condition import SINGLES, TIMES
from packseal.core.translate.evidence import evidence, plain
from packseal.core.translate.idta_parts import NAMEPLATE
from packseal.core.translate.subject import (
    MAX_COUNT,
    MAX_FLOAT,
    PASSPORT_FIELDS,
    Document,
    Model,
    Slot,
    Subject,
    choose,
    stamp,
)

CORE_CONTEXT = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
_CONDITION = "urn:samm:io.admin-shell.idta.batterypass.product_condition:1.0.1#"
_TECHNICAL = "urn:samm:io.admin-shell.idta.batterypass.technical_data:1.0.1#"
_UNIT_CODES = {
    "%": "P1",
    "Ah": "AMH",
    "kWh": "KWH",
    "min": "MIN",
    "W": "WTT",
    "Ω": "OHM",
    "°C": "CEL",
    "a": "ANN",
    "%/month": "H71",
    "1": "C62",
}
_NO_UNIT = {Field.BATTERY_STATUS, Field.DATE_INTO_SERVICE}
_SHARED = {
    **{f: _CONDITION + group[0].lower() + group[1:] for f, (group, _) in SINGLES.items()},
    **{f: _CONDITION + slot.path[0].lower() + slot.path[1:] for f, slot in TIMES.items()},
    Field.TEMPERATURE: f"{_CONDITION}measuredTemp",
    Field.RATED_CAPACITY: f"{_TECHNICAL}ratedCapacity",
    Field.CAPACITY_FADE: f"{_TECHNICAL}capacityFade",
    Field.ROUND_TRIP_EFFICIENCY_FADE: f"{_TECHNICAL}energyRoundTripEfficiencyFade",
    Field.INTERNAL_RESISTANCE_INCREASE: f"{_TECHNICAL}internalResistanceIncreaseAtBatteryPackLevel",
    Field.POWER_FADE: f"{_TECHNICAL}powerFade",
    Field.EXPECTED_LIFE_CYCLES: f"{_TECHNICAL}expectedNumberOfCycles",
    Field.EXPECTED_LIFE_YEARS: f"{_TECHNICAL}expectedLifetime",
}
"""What a name means where the IDTA models have the same; other names stand in the default vocabulary."""


def name_of(which: Field) -> str:
    """Return the name of the field's property: `stateOfCharge`."""
    first, *rest = which.key.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _slot(which: Field) -> Slot:
    if which in NAMEPLATE:
        return Slot(name_of(which), "-", "a word" if which is Field.BATTERY_STATUS else "YYYY-MM")
    whole = which.decimals == 0
    least, most = (0, MAX_COUNT) if whole else (-MAX_FLOAT, MAX_FLOAT)
    return Slot(name_of(which), which.unit, f"unitCode {_UNIT_CODES[which.unit]}", whole=whole, least=least, most=most)


SLOTS = {f: _slot(f) for f in PASSPORT_FIELDS}


def translate(subject: Subject) -> Document:
    """Return the entity; its id is the battery's URI."""
    chosen = choose(subject, SLOTS, {})
    known = chosen.readings
    names = {name_of(f): _SHARED[f] for f in known if f in _SHARED}
    body: dict[str, Any] = {"id": subject.battery, "type": "Battery"}
    if subject.passport is not None:
        body["passport"] = {"type": "Relationship", "object": subject.passport}
    body |= {name_of(which): _property(reading) for which, reading in known.items()}
    body["@context"] = [names, CORE_CONTEXT] if names else [CORE_CONTEXT]
    return Document(body, chosen.left_out)


def _property(reading: Reading) -> dict[str, Any]:
    body: dict[str, Any] = {"type": "Property", "value": plain(reading)}
    code = None if reading.field in _NO_UNIT else _UNIT_CODES[reading.field.unit]
    if code is not None:
        body["unitCode"] = code
    body["observedAt"] = stamp(reading.last_update_ms)
    for name, fact in evidence(reading).items():
        body[name] = {"type": "Property", "value": fact}
    if code is not None and "standardUncertainty" in body:
        body["standardUncertainty"]["unitCode"] = code
    return body


MODEL = Model(
    "ngsi-ld",
    "NGSI-LD entity, normalised (ETSI GS CIM 009)",
    "https://www.etsi.org/deliver/etsi_gs/CIM/001_099/009/",
    SLOTS,
    {},
    translate,
)
