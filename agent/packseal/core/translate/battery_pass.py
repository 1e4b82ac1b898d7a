"""Battery Pass 1.2.1, aspect PerformanceAndDurability, as a patch of the passport that holds the static half.

Names: urn:samm:io.BatteryPass.Performance:1.2.1 (CC BY 4.0). Its root key `batteryTechicalProperties` is misspelt in
the model and so it is here. No category can fill all that the model requires: it asks for the state of certified energy
and for the remaining capacity, and no category has both (EC guidance v1.0, points 61 and 62).
"""

from typing import Any

from packseal.core.passport import Field
from packseal.core.translate import condition
from packseal.core.translate.condition import TIMES, camel
from packseal.core.translate.idta import POWER_80_TAKEN
from packseal.core.translate.idta_parts import NO_TIME, powers_at
from packseal.core.translate.subject import (
    MAX_COUNT,
    Chosen,
    Document,
    Model,
    Slot,
    Subject,
    choose,
    number,
    required,
    stamp,
)

CONDITION, TECHNICAL = "batteryCondition", "batteryTechicalProperties"
MAX_SHORT = 2**15 - 1
"""xs:short, the type of the expected lifetime."""
_GENERAL = "it is in another aspect: GeneralProductInformation 1.2.0 "
_WHOLE = f"a whole number: rounded down; {NO_TIME}"
_FADE, _INCREASE = Field.CAPACITY_FADE, Field.INTERNAL_RESISTANCE_INCREASE

STATIC = {
    Field.RATED_CAPACITY: Slot(f"{TECHNICAL}.ratedCapacity", "Ah", NO_TIME),
    Field.POWER_FADE: Slot(f"{TECHNICAL}.powerFade", "%", NO_TIME),
    Field.ROUND_TRIP_EFFICIENCY: Slot(f"{TECHNICAL}.roundtripEfficiency", "%", NO_TIME),
    Field.ROUND_TRIP_EFFICIENCY_FADE: Slot(f"{TECHNICAL}.roundTripEfficiencyFade", "%", NO_TIME),
    Field.EXPECTED_LIFE_CYCLES: Slot(
        f"{TECHNICAL}.expectedNumberOfCycles", "1", _WHOLE, whole=True, least=0, most=MAX_COUNT
    ),
    Field.EXPECTED_LIFE_YEARS: Slot(f"{TECHNICAL}.expectedLifetime", "a", _WHOLE, whole=True, least=0, most=MAX_SHORT),
}
SLOTS: dict[Field, Slot] = {
    **condition.slots(camel, f"{CONDITION}."),
    _FADE: Slot(f"{CONDITION}.capacityFade.capacityFadeValue", "%"),
    _INCREASE: Slot(f"{CONDITION}.internalResistanceIncrease[].internalResistanceIncreaseValue", "%", "of the pack"),
    **STATIC,
    Field.POWER_AT_80: Slot(f"{TECHNICAL}.originalPowerCapability[]", "W", NO_TIME),
    Field.POWER_AT_20: Slot(f"{TECHNICAL}.originalPowerCapability[]", "W", NO_TIME),
}
ABSENT = {
    Field.TEMPERATURE: "the model has times at extreme temperatures, but no temperature",
    Field.INTERNAL_RESISTANCE: "the model has only the initial value",
    Field.OHMIC_RESISTANCE: "the model has only the initial value",
    Field.BATTERY_STATUS: _GENERAL + "batteryStatus",
    Field.DATE_INTO_SERVICE: _GENERAL + "puttingIntoService",
}
_CONDITION_REQUIRED = (
    "energyThroughput",
    "capacityThroughput",
    "numberOfFullCycles",
    "stateOfCertifiedEnergy",
    "capacityFade",
    "remainingEnergy",
    "remainingCapacity",
    "negativeEvents",
    *(f"temperatureInformation.{camel(slot.path)}" for slot in TIMES.values()),
    "remainingPowerCapability",
    "evolutionOfSelfDischarge",
    "currentSelfDischargingRate",
    "internalResistanceIncrease",
    "remainingRoundTripEnergyEfficiency",
    "stateOfCharge",
)
_TECHNICAL_REQUIRED = (
    "originalPowerCapability",
    "ratedMaximumPower",
    "powerCapabilityRatio",
    "ratedEnergy",
    "expectedNumberOfCycles",
    "initialSelfDischarge",
    "roundtripEfficiency",
    "ratedCapacity",
    "initialInternalResistance",
    "expectedLifetime",
    "nominalVoltage",
    "minimumVoltage",
    "maximumVoltage",
    "capacityThresholdForExhaustion",
    "lifetimeReferenceTest",
    "cRateLifeCycleTest",
    "temperatureRangeIdleState",
    "roundTripEfficiencyat50PerCentCycleLife",
    "roundTripEfficiencyFade",
    "powerFade",
)
REQUIRED = (
    *(f"{CONDITION}.{name}" for name in _CONDITION_REQUIRED),
    *(f"{TECHNICAL}.{name}" for name in _TECHNICAL_REQUIRED),
)


def translate(subject: Subject) -> Document:
    """Return the patch: `batteryCondition`, and of the technical properties those that the passport re-lists."""
    chosen = choose(subject, SLOTS, ABSENT)
    if Field.REMAINING_POWER_AT_80 in chosen.readings:
        chosen.drop(Field.REMAINING_POWER_AT_20, POWER_80_TAKEN)
    parts = {CONDITION: _condition(chosen), TECHNICAL: _technical(chosen)}
    body = {name: part for name, part in parts.items() if part}
    return Document(body, chosen.left_out, required(body, REQUIRED))


def _condition(chosen: Chosen) -> dict[str, Any]:
    known = chosen.readings
    body = {
        **condition.singles(known, camel),
        **condition.events(known, camel, "negativeEvent"),
        **condition.temperatures(known, TIMES, camel),
        **condition.power(known, camel),
    }
    if fade := known.get(_FADE):
        body["capacityFade"] = {"capacityFadeValue": number(fade), "lastUpdate": stamp(fade.last_update_ms)}
    if increase := known.get(_INCREASE):
        entry = {
            "internalResistanceIncreaseValue": number(increase),
            "lastUpdate": stamp(increase.last_update_ms),
            "batteryComponent": "pack",
        }
        body["internalResistanceIncrease"] = [entry]
    return body


def _technical(chosen: Chosen) -> dict[str, Any]:
    known = chosen.readings
    body: dict[str, Any] = {
        slot.path.removeprefix(f"{TECHNICAL}."): number(known[f], slot) for f, slot in STATIC.items() if f in known
    }
    if powers := powers_at(known):
        body["originalPowerCapability"] = powers
    return body


MODEL = Model(
    "battery-pass",
    "Battery Pass 1.2.1 PerformanceAndDurability, a patch",
    "https://github.com/batterypass/BatteryPassDataModel",
    SLOTS,
    ABSENT,
    translate,
)
