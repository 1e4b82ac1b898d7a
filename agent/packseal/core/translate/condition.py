"""The dynamic part that IDTA 02035-5 and Battery Pass 1.2.1 share: the same tree, in PascalCase or in camelCase.

Each value stands beside the time of its last update. Units written are those of the passport; where a model's own unit
is wrong, the slot's note says so.
"""

from collections.abc import Callable, Mapping
from typing import Any

from packseal.core.passport import Field, Reading
from packseal.core.translate.subject import MAX_COUNT, Slot, count, number, stamp, together

MAX_UNSIGNED_INT = 2**32 - 1
"""xs:unsignedInt, the type of the IDTA model's cycle count."""

SINGLES: Mapping[Field, tuple[str, Slot]] = {
    Field.ENERGY_THROUGHPUT: ("EnergyThroughput", Slot("EnergyThroughputValue", "kWh", "charging and discharging")),
    Field.CAPACITY_THROUGHPUT: (
        "CapacityThroughput",
        Slot("CapacityThroughputValue", "Ah", "charging and discharging"),
    ),
    Field.FULL_EQUIVALENT_CYCLES: (
        "NumberOfFullCycles",
        Slot(
            "NumberOfFullCyclesValue", "1", "a whole number: rounded down", whole=True, least=0, most=MAX_UNSIGNED_INT
        ),
    ),
    Field.STATE_OF_CERTIFIED_ENERGY: ("StateOfCertifiedEnergy", Slot("StateOfCertifiedEnergyValue", "%")),
    Field.REMAINING_ENERGY: ("RemainingEnergy", Slot("RemainingEnergyValue", "kWh")),
    Field.REMAINING_CAPACITY: (
        "RemainingCapacity",
        Slot("RemainingCapacityValue", "Ah", "the model's unit says kWh, which is wrong for a capacity"),
    ),
    Field.SELF_DISCHARGE_EVOLUTION: ("EvolutionOfSelfDischarge", Slot("EvolutionOfSelfDischargeValue", "%")),
    Field.SELF_DISCHARGE_RATE: (
        "CurrentSelfDischargingRate",
        Slot("CurrentSelfDischargingRateValue", "%/month", "the model's unit says %, without the time"),
    ),
    Field.REMAINING_ROUND_TRIP_EFFICIENCY: (
        "RemainingRoundTripEnergyEfficiency",
        Slot("RemainingRoundTripEnergyEfficiencyValue", "%"),
    ),
    Field.STATE_OF_CHARGE: ("StateOfCharge", Slot("StateOfChargeValue", "%")),
}
TIMES: Mapping[Field, Slot] = {
    Field.TIME_EXTREME_HIGH: Slot("TimeExtremeHighTemp", "min"),
    Field.TIME_EXTREME_LOW: Slot("TimeExtremeLowTemp", "min"),
    Field.TIME_EXTREME_HIGH_CHARGING: Slot("TimeExtremeHighTempCharging", "min"),
    Field.TIME_EXTREME_LOW_CHARGING: Slot("TimeExtremeLowTempCharging", "min"),
}
EVENTS: Mapping[Field, str] = {
    Field.DEEP_DISCHARGE_EVENTS: "deep-discharge events",
    Field.OVERCHARGE_EVENTS: "overcharge events",
    Field.ACCIDENTS: "accidents on record",
}
"""The models have no counters for these, so each count is one text in the list of negative events."""

_POWER_NOTE = "the model's unit says %, its description watts"
POWER_AT_80 = Slot("PowerCapabilityAt", "W", _POWER_NOTE)
POWER_AT_20 = Slot("PowerCapabilityAt", "W", f"{_POWER_NOTE}; room for one state of charge: only without that at 80 %")

Naming = Callable[[str], str]


def pascal(name: str) -> str:
    """Return the name as IDTA writes it."""
    return name


def camel(name: str) -> str:
    """Return the name as Battery Pass writes it."""
    return name[0].lower() + name[1:]


def slots(naming: Naming, prefix: str = "") -> dict[Field, Slot]:
    """Return where each field of the tree stands, with paths in this naming under `prefix`."""
    found = {f: _at(prefix, naming(group), slot, naming) for f, (group, slot) in SINGLES.items()}
    group = naming("TemperatureInformation")
    found |= {f: _at(prefix, group, slot, naming) for f, slot in TIMES.items()}
    group = f"{naming('RemainingPowerCapability')}.{naming('RemainingPowerCapabilityValue')}"
    found[Field.REMAINING_POWER_AT_80] = _at(prefix, group, POWER_AT_80, naming)
    found[Field.REMAINING_POWER_AT_20] = _at(prefix, group, POWER_AT_20, naming)
    for which, words in EVENTS.items():
        note = f"no counter in the model: the text `{words}: N`"
        found[which] = Slot(f"{prefix}{naming('NegativeEvents')}[]", "1", note, whole=True, least=0, most=MAX_COUNT)
    return found


def singles(readings: Mapping[Field, Reading], naming: Naming) -> dict[str, Any]:
    """Return the values that stand alone with their time."""
    return {
        naming(group): {
            naming(slot.path): number(readings[which], slot),
            naming("LastUpdate"): stamp(readings[which].last_update_ms),
        }
        for which, (group, slot) in SINGLES.items()
        if which in readings
    }


def temperatures(readings: Mapping[Field, Reading], named: Mapping[Field, Slot], naming: Naming) -> dict[str, Any]:
    """Return what of TemperatureInformation is there, with one time for all of it; empty when nothing is."""
    found = {f: readings[f] for f in named if f in readings}
    if not found:
        return {}
    values: dict[str, Any] = {naming(named[f].path): number(r) for f, r in found.items()}
    return {naming("TemperatureInformation"): {**values, naming("LastUpdate"): together(list(found.values()))}}


def power(readings: Mapping[Field, Reading], naming: Naming) -> dict[str, Any]:
    """Return the remaining power capability at the one state of charge that the model has room for."""
    for which, at_soc in ((Field.REMAINING_POWER_AT_80, 80.0), (Field.REMAINING_POWER_AT_20, 20.0)):
        if which in readings:
            reading = readings[which]
            when = stamp(reading.last_update_ms)
            value = {
                naming("RPCLastUpdated"): when,
                naming("AtSoC"): at_soc,
                naming("PowerCapabilityAt"): number(reading),
            }
            group = {naming("RemainingPowerCapabilityValue"): value, naming("LastUpdate"): when}
            return {naming("RemainingPowerCapability"): group}
    return {}


def events(readings: Mapping[Field, Reading], naming: Naming, text_key: str) -> dict[str, Any]:
    """Return the list of negative events: one text per counter that is known, also when it stands at none."""
    found = [
        {text_key: f"{words}: {count(readings[which])}", naming("LastUpdate"): stamp(readings[which].last_update_ms)}
        for which, words in EVENTS.items()
        if which in readings
    ]
    return {naming("NegativeEvents"): found} if found else {}


def _at(prefix: str, group: str, slot: Slot, naming: Naming) -> Slot:
    path = f"{prefix}{group}.{naming(slot.path)}"
    return Slot(path, slot.unit, slot.note, slot.whole, slot.least, slot.most)
