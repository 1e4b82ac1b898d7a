"""Elements: the export cut into parts, without what is the manufacturer's; and what a server's element becomes."""

from typing import Any

from hypothesis import given
from tests.core.translate.conftest import PASSPORT, WALL_MS, reading, subjects, whole

from packseal.core.fields import not_to_be_filled
from packseal.core.merge_patch import found_at
from packseal.core.passport import Field, Originator, Snapshot
from packseal.core.translate import MODELS, Subject
from packseal.core.translate.aas_fill import filled, with_value
from packseal.core.translate.elements import elements, is_dynamic, normalized_path


@given(subject=subjects())
def test_any_snapshot_is_cut_into_parts_of_its_export_that_do_not_overlap(subject: Subject) -> None:
    parts = elements(subject)
    exported = MODELS["en18223"].translate(subject).body
    given_times = {r.last_update_ms for r in subject.snapshot.readings}
    for part in parts:
        assert part.fields
        assert not set(part.fields) & not_to_be_filled(subject.category)
        assert part.last_update_ms in given_times
        assert found_at(exported, part.path) is not None
    paths = [part.path for part in parts]
    assert not any(a != b and b[: len(a)] == a for a in paths for b in paths)


def test_what_is_declared_or_entered_once_is_no_element() -> None:
    assert not is_dynamic(reading(Field.DATE_INTO_SERVICE))
    declared = reading(Field.RATED_CAPACITY)
    object.__setattr__(declared, "originator", Originator.DECLARED)
    assert not is_dynamic(declared)
    assert not is_dynamic(reading(Field.STATE_OF_HEALTH_BMS))
    assert elements(Subject(Snapshot([declared]), "urn:example:battery:1", "lmt", PASSPORT)) == []


def test_the_time_of_values_that_share_one_is_the_oldest_and_of_a_list_the_newest() -> None:
    parts = {part.path[-1]: part for part in elements(whole("lmt"))}
    temperatures = parts["TemperatureInformation"]
    assert temperatures.last_update_ms == WALL_MS - 1000 * max(f.code for f in temperatures.fields)
    assert len(temperatures.fields) == 5
    events = parts["NegativeEvents"]
    assert events.last_update_ms == WALL_MS - 1000 * min(f.code for f in events.fields)
    power = parts["RemainingPowerCapability"]
    assert list(power.fields) == [Field.REMAINING_POWER_AT_80]


def test_a_path_is_normalized_as_rfc_9535_has_it() -> None:
    assert normalized_path(["a", "it's", "b\\c"]) == "$['a']['it\\'s']['b\\\\c']"


def test_a_servers_element_keeps_its_own_types_and_whatever_is_not_ours() -> None:
    held: dict[str, Any] = {
        "modelType": "SubmodelElementCollection",
        "idShort": "A",
        "value": [
            {
                "modelType": "Property",
                "idShort": "N",
                "valueType": "xs:int",
                "value": "1",
                "qualifiers": [{"type": "unit", "value": "x"}, {"type": "theirs", "value": "y"}],
            },
            {"modelType": "Property", "idShort": "Theirs", "valueType": "xs:string", "value": "kept"},
        ],
    }
    ours: dict[str, Any] = {
        "modelType": "SubmodelElementCollection",
        "idShort": "A",
        "value": [
            {
                "modelType": "Property",
                "idShort": "N",
                "valueType": "xs:float",
                "value": "61.0",
                "qualifiers": [{"type": "unit", "value": "1"}],
            },
            {"modelType": "Property", "idShort": "New", "valueType": "xs:float", "value": "2.0"},
        ],
    }
    number, theirs, new = filled(held, ours)["value"]
    assert (number["value"], number["valueType"]) == ("61", "xs:int")
    assert number["qualifiers"] == [{"type": "theirs", "value": "y"}, {"type": "unit", "value": "1"}]
    assert theirs["value"] == "kept"
    assert new["value"] == "2.0"
    assert held["value"][0]["value"] == "1"


def test_a_value_goes_only_where_there_is_room_for_it() -> None:
    number = {"modelType": "Property", "idShort": "atSoC", "valueType": "xs:double", "value": "1.0"}
    entry = {"modelType": "SubmodelElementCollection", "value": [number]}
    both = {"modelType": "SubmodelElementList", "idShort": "L", "value": [entry, entry]}
    made = with_value(both, [{"atSoC": 80.0}, {"atSoC": 20.0}])
    assert made is not None
    assert [e["value"][0]["value"] for e in made["value"]] == ["80.0", "20.0"]
    assert with_value(both, [{"atSoC": 80.0}]) is None
    assert with_value(entry, {"other": 1.0}) is None
    assert with_value(number, {"a": 1}) is None
