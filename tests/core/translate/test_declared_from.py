"""Declared data out of passports in the public models: what is taken, what is named as not taken, and hostile files."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.errors import FormatError
from packseal.core.translate.declared_from import MODELS, declared_from

RATED = {"rated_capacity_ah": 94.0, "initial_power_at_80_w": 90000.0, "initial_power_at_20_w": 70000.0}
BATTERY_PASS = {
    "batteryTechicalProperties": {
        "ratedCapacity": 94,
        "minimumVoltage": 259.2,
        "expectedNumberOfCycles": 1500,
        "originalPowerCapability": [
            {"atSoC": 80, "powerCapabilityAt": 90000},
            {"atSoC": 20, "powerCapabilityAt": 70000.0},
        ],
        "initialInternalResistance": [
            {"batteryComponent": "cell", "ohmicResistance": 0.001},
            {"batteryComponent": "pack", "ohmicResistance": 0.1},
        ],
    }
}
TECHNICAL = {
    "GeneralInformation": {"BatteryCategory": "lmt"},
    "TechnicalPropertyAreas": {
        "CapacityEnergyVoltage": {"RatedCapacity": 94.0, "MinVoltage": 259.2},
        "PowerCapability": {
            "OriginalPowerCapability": [
                {"atSoC": 80.0, "powerCapabilityAt": 90000},
                {"atSoC": 20.0, "powerCapabilityAt": 70000},
            ]
        },
        "Temperature": {
            "TemperatureRangeIdleState_LowerBoundary": -20.0,
            "TemperatureRangeIdleState_UpperBoundary": 45.0,
        },
    },
}
CATENA_X = {
    "identification": {"category": "LMT"},
    "sustainability": {"status": "re-used"},
    "operation": {"intoServiceDate": "2027-03-08", "manufacturer": {"manufacturingDate": "2027-01-31"}},
    "performance": {
        "rated": {
            "capacity": {"value": 94.0},
            "power": {"at20SoC": 70000.0, "at80SoC": 90000.0},
            "voltage": {"min": 259.2, "nominal": 350},
        }
    },
}


@pytest.mark.parametrize("document", [BATTERY_PASS, TECHNICAL, CATENA_X], ids=["battery-pass", "idta", "catena-x"])
def test_each_model_gives_the_same_values(document: Any) -> None:
    found = declared_from(document)
    assert {name: found.values[name] for name in RATED} == RATED
    assert any("cell is to be entered" in note for note in found.notes)
    assert "cell_voltage_min_v" not in found.values


def test_the_right_component_and_whole_numbers_are_taken() -> None:
    values = declared_from(BATTERY_PASS).values
    assert values["initial_resistance_ohm"] == 0.1
    assert values["expected_life_cycles"] == 1500


def test_dates_become_months_and_words_are_ours() -> None:
    values = declared_from(CATENA_X).values
    assert (values["date_into_service"], values["date_of_manufacture"]) == ("2027-03", "2027-01")
    assert (values["category"], values["status"]) == ("lmt", "re-used")
    general = {"batteryCategory": "ev", "batteryStatus": "Reused", "puttingIntoService": "2025-06-17T11:14:27+02:00"}
    assert declared_from(general).values == {"category": "ev", "status": "re-used", "date_into_service": "2025-06"}


def _property(name: str, value: object, kind: str = "xs:double") -> dict[str, Any]:
    return {"idShort": name, "modelType": "Property", "valueType": kind, "value": str(value)}


def _collection(name: str | None, *elements: dict[str, Any]) -> dict[str, Any]:
    return {"idShort": name, "modelType": "SubmodelElementCollection", "value": list(elements)}


def test_an_aas_environment_is_unfolded() -> None:
    power = {
        "idShort": "OriginalPowerCapability",
        "modelType": "SubmodelElementList",
        "value": [
            _collection(None, _property("AtSoC", 80.0), _property("PowerCapabilityAt", 90000)),
            _collection(None, _property("AtSoC", 20.0), _property("PowerCapabilityAt", 70000)),
        ],
    }
    areas = _collection(
        "TechnicalPropertyAreas",
        _collection("CapacityEnergyVoltage", _property("RatedCapacity", 94)),
        _collection("PowerCapability", power),
        _collection("Lifetime", _property("ExpectedNumberOfCycles", 1500, "xs:unsignedInt")),
    )
    nameplate = {"idShort": "Nameplate", "submodelElements": [_property("LifeCycleStage", "original", "xs:string")]}
    submodel = {"idShort": "TechnicalData", "submodelElements": [areas]}
    found = declared_from({"assetAdministrationShells": [], "submodels": [submodel, nameplate]})
    assert found.values == {**RATED, "expected_life_cycles": 1500, "status": "original"}
    assert declared_from(submodel).values["rated_capacity_ah"] == 94


@pytest.mark.parametrize(
    "value", ["94", True, float("nan"), float("inf"), -1, 1e300, [], None, {"value": 94}], ids=repr
)
def test_what_is_no_capacity_is_not_taken(value: object) -> None:
    document = {"performance": {"rated": {"capacity": {"value": value}, "energy": {"value": 20}}}}
    found = declared_from(document)
    assert found.values == {"rated_energy_kwh": 20.0}
    assert value is None or "performance.rated.capacity.value" in found.notes[0]


def test_two_values_for_one_thing_are_named() -> None:
    found = declared_from([{"LifeCycleStage": "original"}, {"LifeCycleStage": "waste"}])
    assert found.values == {"status": "original"}
    assert "status is original elsewhere" in found.notes[0]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "no passport in a model"),
        ([], "no passport in a model"),
        (7, "no passport in a model"),
        ({"submodels": "x"}, "no passport in a model"),
        ({"NumberOfFullCycles": {}}, "condition only"),
        ({"performance": {}}, "nothing that can be taken over"),
    ],
    ids=["empty", "list", "number", "odd", "condition", "hollow"],
)
def test_a_file_of_another_kind_is_refused_in_one_sentence(document: object, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        declared_from(document)


KEYS = sorted({key for roots, places in MODELS.values() for p in places for key in (*roots, *p.path.split("."))})
LEAVES = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=8), st.just("2027-13"))
TREES = st.recursive(
    LEAVES,
    lambda t: st.one_of(
        st.lists(t, max_size=3),
        st.dictionaries(st.sampled_from([*KEYS, "submodels", "submodelElements", "idShort", "value"]), t, max_size=5),
    ),
    max_leaves=20,
)


@given(TREES)
def test_no_document_does_anything_but_declare_or_be_refused(document: object) -> None:
    try:
        found = declared_from(document)
    except FormatError:
        return
    assert found.values
