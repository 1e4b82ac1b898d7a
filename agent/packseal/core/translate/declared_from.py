"""Declared data out of an existing passport: Battery Pass 1.2.x, IDTA 02035 parts 1 and 4, Catena-X battery_pass 6.x.

Which model a document is of is seen by its own root keys; an AAS environment or submodel (IDTA) is unfolded to the
value-only form first. A static passport says more than is needed here, and not all that is: what cannot be taken over
for sure is named in `notes` and must be entered.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from packseal.core.declared import CATEGORIES, Declared
from packseal.core.errors import FormatError
from packseal.core.translate.aas_unfold import unfolded

MAX_NUMBER = 1e12
"""Beyond what any battery has."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a passport declares, by the names of Declared; the models seen; what was not taken over, in words."""

    models: Sequence[str]
    values: Mapping[str, Any]
    notes: Sequence[str]


class Place(NamedTuple):
    """Where a model holds a value. `take` makes our value of it or raises ValueError saying why it cannot."""

    path: str
    name: str
    take: Callable[[Any], Any]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("it is no number")
    if abs(value) > MAX_NUMBER:
        raise ValueError("it is beyond what a battery can have")
    return float(value)


def _whole(value: Any) -> int:
    number = _number(value)
    if not number.is_integer():
        raise ValueError("it is no whole number")
    return int(number)


def _month(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it is no date")  # noqa: TRY004 - what the file says is wrong, not its caller
    return value[:7]


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it is no text")  # noqa: TRY004 - what the file says is wrong, not its caller
    return value.strip().lower()


def _category(value: Any) -> str:
    word = _word(value)
    if word not in CATEGORIES:
        raise ValueError(f"the categories here are {', '.join(CATEGORIES)}")
    return word


def _status(value: Any) -> str:
    word = _word(value)
    return "re-used" if word == "reused" else word  # as Battery Pass writes it


def _at(soc_pct: int) -> Callable[[Any], float]:
    def take(value: Any) -> float:
        for part in value if isinstance(value, list) else ():
            if isinstance(part, Mapping) and part.get("atSoC", part.get("AtSoC")) == soc_pct:
                return _number(part.get("powerCapabilityAt", part.get("PowerCapabilityAt")))
        raise ValueError(f"there is no value at {soc_pct} %")

    return take


def _of_pack(value: Any) -> float:
    for part in value if isinstance(value, list) else ():
        if isinstance(part, Mapping) and part.get("batteryComponent") == "pack":
            return _number(part.get("ohmicResistance"))
    raise ValueError("there is no value of the pack")


def _of_a_cell(_: Any) -> float:
    raise ValueError("it is the battery's; the one of a cell is to be entered")


_BATTERY_PASS = (
    Place("ratedCapacity", "rated_capacity_ah", _number),
    Place("ratedEnergy", "rated_energy_kwh", _number),
    Place("nominalVoltage", "nominal_voltage_v", _number),
    Place("minimumVoltage", "cell_voltage_min_v", _of_a_cell),
    Place("maximumVoltage", "cell_voltage_max_v", _of_a_cell),
    Place("originalPowerCapability", "initial_power_at_80_w", _at(80)),
    Place("originalPowerCapability", "initial_power_at_20_w", _at(20)),
    Place("initialInternalResistance", "initial_resistance_ohm", _of_pack),
    Place("roundtripEfficiency", "initial_round_trip_efficiency_pct", _number),
    Place("initialSelfDischarge", "initial_self_discharge_pct_month", _number),
    Place("expectedNumberOfCycles", "expected_life_cycles", _whole),
    Place("expectedLifetime", "expected_life_years", _number),
)
_BATTERY_PASS_GENERAL = (
    Place("batteryCategory", "category", _category),
    Place("batteryStatus", "status", _status),
    Place("puttingIntoService", "date_into_service", _month),
    Place("manufacturingDate", "date_of_manufacture", _month),
)
_AREAS = "TechnicalPropertyAreas"
_IDTA_TECHNICAL = (
    Place("GeneralInformation.BatteryCategory", "category", _category),
    Place(f"{_AREAS}.CapacityEnergyVoltage.RatedCapacity", "rated_capacity_ah", _number),
    Place(f"{_AREAS}.CapacityEnergyVoltage.CertifiedUsableBatteryEnergy", "certified_energy_kwh", _number),
    Place(f"{_AREAS}.CapacityEnergyVoltage.NominalVoltage", "nominal_voltage_v", _number),
    Place(f"{_AREAS}.CapacityEnergyVoltage.MinVoltage", "cell_voltage_min_v", _of_a_cell),
    Place(f"{_AREAS}.CapacityEnergyVoltage.MaxVoltage", "cell_voltage_max_v", _of_a_cell),
    Place(f"{_AREAS}.PowerCapability.OriginalPowerCapability", "initial_power_at_80_w", _at(80)),
    Place(f"{_AREAS}.PowerCapability.OriginalPowerCapability", "initial_power_at_20_w", _at(20)),
    Place(f"{_AREAS}.Resistance.InitialInternalResistanceAtBatteryPackLevel", "initial_resistance_ohm", _number),
    Place(
        f"{_AREAS}.RoundTripEnergyEfficiency.InitialRoundTripEnergyEfficiency",
        "initial_round_trip_efficiency_pct",
        _number,
    ),
    Place(
        f"{_AREAS}.RoundTripEnergyEfficiency.InitialSelfDischargingRate", "initial_self_discharge_pct_month", _number
    ),
    Place(f"{_AREAS}.Temperature.TemperatureRangeIdleState_LowerBoundary", "temperature_min_c", _number),
    Place(f"{_AREAS}.Temperature.TemperatureRangeIdleState_UpperBoundary", "temperature_max_c", _number),
    Place(f"{_AREAS}.Lifetime.ExpectedNumberOfCycles", "expected_life_cycles", _whole),
    Place(f"{_AREAS}.Lifetime.ExpectedLifetimeInCalendarYears", "expected_life_years", _number),
)
_IDTA_NAMEPLATE = (
    Place("LifeCycleStage", "status", _status),
    Place("DateOfManufacture", "date_of_manufacture", _month),
    Place("DateOfPuttingIntoService", "date_into_service", _month),
)
_CATENA_X = (
    Place("identification.category", "category", _category),
    Place("sustainability.status", "status", _status),
    Place("operation.intoServiceDate", "date_into_service", _month),
    Place("operation.manufacturer.manufacturingDate", "date_of_manufacture", _month),
    Place("performance.rated.capacity.value", "rated_capacity_ah", _number),
    Place("performance.rated.energy.value", "rated_energy_kwh", _number),
    Place("performance.rated.voltage.nominal", "nominal_voltage_v", _number),
    Place("performance.rated.voltage.min", "cell_voltage_min_v", _of_a_cell),
    Place("performance.rated.voltage.max", "cell_voltage_max_v", _of_a_cell),
    Place("performance.rated.temperature.lower", "temperature_min_c", _number),
    Place("performance.rated.temperature.upper", "temperature_max_c", _number),
    Place("performance.rated.power.at80SoC", "initial_power_at_80_w", _number),
    Place("performance.rated.power.at20SoC", "initial_power_at_20_w", _number),
    Place("performance.rated.resistance.pack", "initial_resistance_ohm", _number),
    Place("performance.rated.roundTripEfficiency.initial", "initial_round_trip_efficiency_pct", _number),
    Place("performance.rated.selfDischargingRate", "initial_self_discharge_pct_month", _number),
    Place("performance.rated.lifetime.cycleLifeTesting.cycles", "expected_life_cycles", _whole),
    Place("performance.rated.lifetime.expectedYears", "expected_life_years", _number),
)
_MISSPELT, _SPELT = "batteryTechicalProperties", "batteryTechnicalProperties"  # Battery Pass 1.2.1 misspells its root

MODELS: Mapping[str, tuple[tuple[str, ...], Sequence[Place]]] = {
    "Battery Pass, performance": (
        (_MISSPELT, _SPELT),
        [p._replace(path=f"{root}.{p.path}") for root in (_MISSPELT, _SPELT) for p in _BATTERY_PASS],
    ),
    "Battery Pass, general information": (("batteryCategory", "batteryPassportIdentifier"), _BATTERY_PASS_GENERAL),
    "IDTA 02035-4, technical data": ((_AREAS,), _IDTA_TECHNICAL),
    "IDTA 02035-1, nameplate": (("LifeCycleStage", "URIOfTheProduct"), _IDTA_NAMEPLATE),
    "Catena-X battery_pass": (("performance",), _CATENA_X),
}
"""Per model the root keys that it is known by, one of them, and its places."""

CONDITION = ("StateOfCharge", "NumberOfFullCycles")
"""Root keys of IDTA 02035-5, which is about the battery's condition only."""


def declared_from(document: object) -> Found:
    """Return what `document` declares.

    Raises:
        FormatError: it is in none of the models, or holds nothing that can be taken over.
    """
    parts = [part for part in unfolded(document) if isinstance(part, Mapping)]
    models: list[str] = []
    values: dict[str, Any] = {}
    notes: list[str] = []
    for part in parts:
        for name, (roots, places) in MODELS.items():
            if any(root in part for root in roots):
                models.append(name)
                notes += _take(part, places, values)
    if not models and any(key in part for part in parts for key in CONDITION):
        raise FormatError("IDTA 02035-5 holds the battery's condition only; what is declared is in its parts 1 and 4")
    if not models:
        known = "; ".join(MODELS)
        raise FormatError(f"this is no passport in a model that is known here ({known})")
    if not values:
        raise FormatError(f"{', '.join(models)}: it declares nothing that can be taken over")
    return Found(models, values, notes)


def _take(part: Mapping[str, Any], places: Sequence[Place], values: dict[str, Any]) -> Iterator[str]:
    """Add what is at `places` to `values`; yield what cannot be taken over."""
    for path, name, take in places:
        found = _at_path(part, path)
        if found is None:
            continue
        try:
            value = take(found)
            msgspec.convert({name: value}, Declared)
        except ValueError as error:  # msgspec's is one too
            yield f"{path}: {error}"
            continue
        if values.setdefault(name, value) != value:
            yield f"{path}: {value}, for {name} is {values[name]} elsewhere in the file"


def _at_path(part: object, path: str) -> Any:
    for key in path.split("."):
        part = part.get(key) if isinstance(part, Mapping) else None
    return part
