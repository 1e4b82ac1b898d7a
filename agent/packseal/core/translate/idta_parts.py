"""The parts of IDTA 02035 beside part 5 that hold dynamic fields: part 4 Technical Data and part 1 Digital Nameplate.

What is re-listed there "at the last status change" equals the declared value until the status changes; a battery whose
status changes gets a new passport (Regulation (EU) 2023/1542 Article 77(7)), of which it is the first value.
"""

from collections.abc import Mapping
from typing import Any

from packseal.core.passport import Field, Reading, Status
from packseal.core.translate.subject import Document, Model, Slot, Subject, choose, count, month, number, required

TECHNICAL_DATA = "urn:samm:io.admin-shell.idta.batterypass.technical_data:1.0.1#TechnicalData"
DIGITAL_NAMEPLATE = "urn:samm:io.admin-shell.idta.batterypass.digital_nameplate:1.0.0#BatteryNameplate"
_AREAS = "TechnicalPropertyAreas"
MAX_UNSIGNED_INT = 2**32 - 1  # xs:unsignedInt, XML Schema part 2 §3.3.22
NO_TIME = "the model has no time beside it"
_LIST = f"a list with both states of charge; {NO_TIME}"
_WHOLE = "a whole number: rounded down"

TECHNICAL: Mapping[Field, Slot] = {
    Field.RATED_CAPACITY: Slot(f"{_AREAS}.CapacityEnergyVoltage.RatedCapacity", "Ah", NO_TIME),
    Field.CAPACITY_FADE: Slot(f"{_AREAS}.CapacityEnergyVoltage.CapacityFade", "%", NO_TIME),
    Field.ROUND_TRIP_EFFICIENCY: Slot(
        f"{_AREAS}.RoundTripEnergyEfficiency.InitialRoundTripEnergyEfficiency", "%", NO_TIME
    ),
    Field.ROUND_TRIP_EFFICIENCY_FADE: Slot(
        f"{_AREAS}.RoundTripEnergyEfficiency.EnergyRoundTripEfficiencyFade", "%", NO_TIME
    ),
    Field.INTERNAL_RESISTANCE_INCREASE: Slot(
        f"{_AREAS}.Resistance.InternalResistanceIncreaseAtBatteryPackLevel", "%", NO_TIME
    ),
    Field.POWER_FADE: Slot(f"{_AREAS}.PowerCapability.PowerFade", "%", NO_TIME),
    Field.POWER_AT_80: Slot(f"{_AREAS}.PowerCapability.OriginalPowerCapability[]", "W", _LIST),
    Field.POWER_AT_20: Slot(f"{_AREAS}.PowerCapability.OriginalPowerCapability[]", "W", _LIST),
    Field.EXPECTED_LIFE_CYCLES: Slot(
        f"{_AREAS}.Lifetime.ExpectedNumberOfCycles", "1", _WHOLE, whole=True, least=0, most=MAX_UNSIGNED_INT
    ),
    Field.EXPECTED_LIFE_YEARS: Slot(
        f"{_AREAS}.Lifetime.ExpectedLifetimeInCalendarYears", "a", _WHOLE, whole=True, least=0, most=MAX_UNSIGNED_INT
    ),
}
NAMEPLATE: Mapping[Field, Slot] = {
    Field.BATTERY_STATUS: Slot("LifeCycleStage", "-", "a word"),
    Field.DATE_INTO_SERVICE: Slot("DateOfPuttingIntoService", "-", "a day; only the month is known: its first"),
}


def status_word(reading: Reading) -> str:
    """Return the status as IDTA writes it, which is as the regulation does."""
    return Status(count(reading)).name.lower().replace("re_used", "re-used")


def technical_data(readings: Mapping[Field, Reading]) -> dict[str, Any]:
    """Return what of part 4 is dynamic, as a patch of the part: it requires many static values beside."""
    body: dict[str, Any] = {}
    for which, slot in TECHNICAL.items():
        if which not in readings or slot.path.endswith("[]"):
            continue
        _, area, name = slot.path.split(".")
        body.setdefault(area, {})[name] = number(readings[which], slot)
    if powers := powers_at(readings):
        body.setdefault("PowerCapability", {})["OriginalPowerCapability"] = powers
    return {_AREAS: body} if body else {}


def powers_at(readings: Mapping[Field, Reading]) -> list[dict[str, float]]:
    """Return the power capability at the last status change by state of charge."""
    return [
        {"atSoC": at_soc, "powerCapabilityAt": number(readings[which])}
        for which, at_soc in ((Field.POWER_AT_80, 80.0), (Field.POWER_AT_20, 20.0))
        if which in readings
    ]


def nameplate(readings: Mapping[Field, Reading]) -> dict[str, Any]:
    """Return what of part 1 is dynamic, as a patch of the part."""
    body: dict[str, Any] = {}
    if status := readings.get(Field.BATTERY_STATUS):
        body["LifeCycleStage"] = status_word(status)
    if began := readings.get(Field.DATE_INTO_SERVICE):
        body["DateOfPuttingIntoService"] = f"{month(began)}-01"
    return body


_HEAD = "GeneralInformation"
_REQUIRED_AREAS = {
    "CapacityEnergyVoltage": ("NominalVoltage", "MinVoltage", "MaxVoltage", "RatedCapacity"),
    "RoundTripEnergyEfficiency": (
        "InitialRoundTripEnergyEfficiency",
        "RoundTripEnergyEfficiencyAt50PercentOfCycleLife",
    ),
    "Resistance": (
        "InitialInternalResistanceAtBatteryCellLevel",
        "InitialInternalResistanceAtBatteryPackLevel",
        "InternalResistanceIncreaseAtBatteryPackLevel",
    ),
    "PowerCapability": (
        "MaximumPermittedBatteryPower",
        "PowerFade",
        "RatioNominalBatteryPowerAndBatteryEnergy",
        "OriginalPowerCapability",
    ),
    "Temperature": ("TemperatureRangeIdleState_LowerBoundary", "TemperatureRangeIdleState_UpperBoundary"),
    "Lifetime": (
        "ExpectedLifetimeInCalendarYears",
        "ExpectedNumberOfCycles",
        "CapacityThresholdExhaustion",
        "CycleLifeReferenceTest",
        "CrateOfRelevantCycleLifeTest",
    ),
}
REQUIRED_TECHNICAL = (
    _HEAD,
    *(f"{_AREAS}.{area}.{name}" for area, names in _REQUIRED_AREAS.items() for name in names),
)
REQUIRED_NAMEPLATE = (
    "URIOfTheProduct",
    "ManufacturerName",
    "AddressInformation",
    "SerialNumber",
    "DateOfManufacture",
    "UniqueFacilityIdentifier",
    "LifeCycleStage",
    "ManufacturerIdentifier",
    "Markings",
    "EUDeclarationOfConformity",
    "ResultsOfTestReportsProvingCompliance",
)


def translate_technical(subject: Subject) -> Document:
    """Return the patch of part 4."""
    chosen = choose(subject, TECHNICAL, {})
    body = technical_data(chosen.readings)
    return Document(body, chosen.left_out, required(body, REQUIRED_TECHNICAL))


def translate_nameplate(subject: Subject) -> Document:
    """Return the patch of part 1."""
    chosen = choose(subject, NAMEPLATE, {})
    body = nameplate(chosen.readings)
    return Document(body, chosen.left_out, required(body, REQUIRED_NAMEPLATE))


_SOURCE = "https://github.com/admin-shell-io/submodel-templates"
PART_4 = Model(
    "idta-technical",
    "IDTA 02035-4 v1.0.1 Technical Data, value-only JSON, a patch",
    _SOURCE,
    TECHNICAL,
    {},
    translate_technical,
)
PART_1 = Model(
    "idta-nameplate",
    "IDTA 02035-1 v1.0.0 Digital Nameplate, value-only JSON, a patch",
    _SOURCE,
    NAMEPLATE,
    {},
    translate_nameplate,
)
