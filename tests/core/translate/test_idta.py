"""IDTA value-only JSON: what is written is read back, and what is not known is left out with its reason."""

import contextlib
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.translate.conftest import BATTERY, WALL_MS, reading, subjects, whole

from packseal.core.declared import CATEGORIES
from packseal.core.errors import FormatError
from packseal.core.passport import Field, Missing, Originator, Reading, Snapshot
from packseal.core.translate import MODELS, Subject, idta

SOCE = Field.STATE_OF_CERTIFIED_ENERGY
REMAINING_EFFICIENCY = "RemainingRoundTripEnergyEfficiency"
COUNTED = Field.FULL_EQUIVALENT_CYCLES


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(subject=subjects())
def test_what_is_written_is_read_back(subject: Subject) -> None:
    document = idta.translate(subject)
    given_values = {r.field: r for r in subject.snapshot.readings}
    out = {left.field for left in document.left_out}
    back = {r.field: r for r in idta.read(document.body).readings}
    assert set(back) == {f for f in idta.SLOTS if f in given_values and f not in out}
    for which, found in back.items():
        said = given_values[which].value
        assert said is not None
        assert found.value is not None
        if which is COUNTED:
            assert found.value == math.floor(round(said, which.decimals))
        else:
            assert found.value == round(said, which.decimals)


_ATOMS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from([80, 20, "2027"])
)
_WORDS = (
    "StateOfCharge StateOfChargeValue LastUpdate NegativeEvents NegativeEventValue RemainingPowerCapability "
    "RemainingPowerCapabilityValue AtSoC PowerCapabilityAt RPCLastUpdated"
)
_NAMES = st.sampled_from(_WORDS.split())
_TREES = st.recursive(_ATOMS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_NAMES, inner), max_leaves=12)


@settings(max_examples=150, deadline=None)
@given(body=st.dictionaries(_NAMES, _TREES))
def test_anything_else_is_a_format_error(body: dict[str, object]) -> None:
    with contextlib.suppress(FormatError):
        idta.read(body)


def test_every_passport_field_is_carried_or_left_out() -> None:
    for model in MODELS.values():
        document = model.translate(whole())
        out = {left.field for left in document.left_out}
        assert out.isdisjoint(set(model.slots) - {Field.REMAINING_POWER_AT_20}), model.name
        assert not set(model.slots) & set(model.absent), model.name


def test_a_time_goes_with_its_value_and_always_has_its_zone() -> None:
    body = idta.translate(whole()).body
    assert body["StateOfCharge"] == {"StateOfChargeValue": 1.14, "LastUpdate": "2027-01-15T07:59:59.123Z"}
    assert body["TemperatureInformation"]["LastUpdate"] == "2027-01-15T07:59:27.123Z"  # the oldest of five
    read = {r.field: r for r in idta.read(body).readings}
    assert read[Field.STATE_OF_CHARGE].last_update_ms == WALL_MS - 1000


def test_what_is_not_available_is_never_a_number() -> None:
    subject = Subject(Snapshot([Reading(Field.STATE_OF_CHARGE, missing=Missing.PLACEHOLDER)]), BATTERY, "lmt")
    for model in MODELS.values():
        document = model.translate(subject)
        reasons = {left.field: left.reason for left in document.left_out}
        assert reasons[Field.STATE_OF_CHARGE] == "not available: placeholder"
        assert reasons[Field.TEMPERATURE] == "not available: not in this snapshot"
    assert idta.translate(subject).body == {}


@pytest.mark.parametrize(
    ("category", "omitted"),
    [
        ("ev", {"RemainingCapacity", "RemainingPowerCapability", "EvolutionOfSelfDischarge", REMAINING_EFFICIENCY}),
        ("lmt", {"StateOfCertifiedEnergy"}),
        ("stationary", {"StateOfCertifiedEnergy"}),
        ("industrial", {"StateOfCertifiedEnergy"}),
    ],
    ids=CATEGORIES,
)
def test_what_is_not_to_be_filled_is_omitted(category: str, omitted: set[str]) -> None:
    everything = set(idta.translate(whole()).body)
    here = set(idta.translate(whole(category)).body)
    assert everything - here == omitted


@pytest.mark.parametrize("name", list(MODELS))
def test_only_the_vehicle_states_its_certified_energy(name: str) -> None:
    ours = Reading(SOCE, 91.0, None, Originator.DERIVED, last_update_ms=WALL_MS)
    document = MODELS[name].translate(Subject(Snapshot([ours]), BATTERY, "ev"))
    assert "only the vehicle's own monitor may state it" in {left.reason for left in document.left_out}
    passport = {k: v for k, v in document.body.items() if k not in {"outside_the_passport", "left_out"}}
    assert "91" not in str(passport)


def test_our_estimates_stand_outside_the_passport_with_a_label() -> None:
    for name, model in MODELS.items():
        if name != "provenance":
            assert "health" not in str(model.translate(whole("ev")).body).lower(), name
    body = MODELS["provenance"].translate(whole("ev")).body
    assert body["label"].startswith("Not part of the battery passport")
    outside = body["outside_the_passport"]
    assert outside["state_of_health_estimate"]["standardUncertainty"] == 0.25
    assert outside["remaining_capacity"]["value"] == 12.143  # not to be filled for an EV
    assert "remaining_capacity" not in body["fields"]


def test_an_accident_on_record_is_never_an_empty_list() -> None:
    document = idta.translate(whole(accidents=2.0))
    assert "InformationOnAccidents" not in document.body
    assert document.lacking == ["InformationOnAccidents"]
    texts = [entry["NegativeEventValue"] for entry in document.body["NegativeEvents"]]
    assert texts == ["deep-discharge events: 10", "overcharge events: 11", "accidents on record: 2"]
    assert idta.translate(whole()).body["InformationOnAccidents"] == []


def test_counters_are_rounded_down() -> None:
    body = idta.translate(whole(full_equivalent_cycles=599.9999)).body
    assert body["NumberOfFullCycles"]["NumberOfFullCyclesValue"] == 599


@pytest.mark.parametrize("value", [202_713.0, 202_700.0, -1.0, 12.0], ids=str)
def test_no_month_is_left_out(value: float) -> None:
    for name in ("ngsi-ld", "en18223", "provenance"):
        document = MODELS[name].translate(whole(date_into_service=value))
        reasons = {left.field: left.reason for left in document.left_out}
        assert reasons[Field.DATE_INTO_SERVICE] == "it is no month"


def test_both_powers_need_a_place_each() -> None:
    document = idta.translate(whole())
    assert {left.field for left in document.left_out} & set(idta.SLOTS) == {Field.REMAINING_POWER_AT_20}
    alone = Subject(Snapshot([reading(Field.REMAINING_POWER_AT_20)]), BATTERY)
    value = idta.translate(alone).body["RemainingPowerCapability"]["RemainingPowerCapabilityValue"]
    assert (value["AtSoC"], value["PowerCapabilityAt"]) == (20.0, 24.1)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"StateOfCharge": 3}, "object"),
        ({"StateOfCharge": {"StateOfChargeValue": "70", "LastUpdate": "2027-01-15T08:00:00Z"}}, "number"),
        ({"StateOfCharge": {"StateOfChargeValue": True, "LastUpdate": "2027-01-15T08:00:00Z"}}, "number"),
        ({"StateOfCharge": {"StateOfChargeValue": 70.0, "LastUpdate": "2000-01-01T14:23:00"}}, "zone"),
        ({"StateOfCharge": {"StateOfChargeValue": 70.0}}, "time"),
        ({"RemainingPowerCapability": {"RemainingPowerCapabilityValue": {"AtSoC": 50.0}}}, "AtSoC"),
        ({"NegativeEvents": ["fire"]}, "object"),
    ],
    ids=["no object", "text", "truth", "no zone", "no time", "other charge", "no event"],
)
def test_what_is_not_the_models_is_a_format_error(body: dict[str, object], word: str) -> None:
    with pytest.raises(FormatError, match=word):
        idta.read(body)


def test_other_peoples_events_are_passed_over() -> None:
    event = {"NegativeEventValue": "overcharged", "LastUpdate": "2000-01-01T14:23:00"}
    assert idta.read({"NegativeEvents": [event]}) == Snapshot([])
