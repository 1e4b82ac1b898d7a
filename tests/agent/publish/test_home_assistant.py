"""What Home Assistant is told, held against its documented rules, and its templates against what is published.

The rules are a small part of https://www.home-assistant.io/integrations/sensor/#device-class (units),
https://developers.home-assistant.io/docs/core/entity/sensor/#available-state-classes (state classes) and
https://www.home-assistant.io/integrations/mqtt/ (discovery topic, device discovery payload).
"""

import json
import re
from typing import Any

import jinja2
import pytest
from tests.agent.publish.gateway import DECLARED, VALUES

from packseal.core.passport import Field, Missing, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import LinkState
from packseal.publish import documents, home_assistant
from packseal.publish.protocol import Described, Live
from packseal.publish.topics import Topics

SUBJECT = "https://example.com/passports/+/#/50%?a=$SYS"
TOPICS = Topics("site/packseal", "urn:example:gateway:1", "homeassistant")
RULES: dict[str, tuple[set[str], set[str]]] = {
    "battery": ({"%"}, {"measurement"}),
    "current": ({"A", "mA"}, {"measurement"}),
    "duration": ({"d", "h", "min", "s", "ms", "µs"}, {"measurement", "total", "total_increasing"}),
    "energy": ({"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh"}, {"total", "total_increasing"}),
    "energy_storage": ({"J", "kJ", "MJ", "GJ", "mWh", "Wh", "kWh", "MWh", "GWh", "TWh"}, {"measurement"}),
    "power": ({"mW", "W", "kW", "MW", "GW", "TW"}, {"measurement"}),
    "temperature": ({"°C", "°F", "K"}, {"measurement"}),
    "voltage": ({"V", "mV", "µV", "kV", "MV"}, {"measurement"}),
}
"""Units and state classes by device class."""

PLACES = set(home_assistant.LIVE)
MESSAGE = home_assistant.discovery(
    TOPICS, Described(SUBJECT, DECLARED, profile="jbd/smart_bms"), PLACES, set(Field), 3, 10
)
COMPONENTS: dict[str, dict[str, Any]] = MESSAGE["components"]
SENSORS = {key: c for key, c in COMPONENTS.items() if c["platform"] == "sensor"}


@pytest.mark.parametrize("key", SENSORS)
def test_device_class_unit_and_state_class_go_together(key: str) -> None:
    sensor = SENSORS[key]
    device_class, unit = sensor.get("device_class"), sensor.get("unit_of_measurement")
    if device_class == "enum":
        assert sensor["options"]
        assert not {"unit_of_measurement", "state_class"} & set(sensor)
    elif device_class is not None:
        units, state_classes = RULES[device_class]
        assert unit in units
        assert sensor["state_class"] in state_classes


def test_every_unit_that_has_a_device_class_uses_it() -> None:
    classed = {unit for units, _ in RULES.values() for unit in units} - {"%"}
    for key, sensor in SENSORS.items():
        assert (sensor.get("unit_of_measurement") in classed) == (
            sensor.get("device_class") in set(RULES) - {"battery"}
        ), key


def test_counters_of_energy_suit_the_energy_dashboard() -> None:
    for key in ("energy_charged", "energy_discharged"):
        sensor = COMPONENTS[key]
        assert (sensor["device_class"], sensor["unit_of_measurement"]) == ("energy", "kWh")
        assert sensor["state_class"] == "total_increasing"


def test_only_counters_are_said_to_grow() -> None:
    growing = {key for key, c in SENSORS.items() if c.get("state_class") == "total_increasing"}
    assert growing == {of.key for of in home_assistant.COUNTERS}


def test_the_message_has_what_device_discovery_asks_for() -> None:
    assert MESSAGE["device"]["identifiers"]
    assert MESSAGE["device"]["serial_number"] == SUBJECT
    assert (MESSAGE["device"]["manufacturer"], MESSAGE["device"]["model"]) == ("jbd", "smart_bms")
    assert MESSAGE["origin"]["name"] == "Packseal"
    ids = [c["unique_id"] for c in COMPONENTS.values()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_]+", key) for key in (*ids, *COMPONENTS))
    names = [c["name"] for c in COMPONENTS.values()]
    assert len(set(names)) == len(names)
    assert re.fullmatch(r"homeassistant/device/[a-zA-Z0-9_-]+/config", TOPICS.discovery(SUBJECT))
    assert len(COMPONENTS["event"]["event_types"]) == len(set(COMPONENTS["event"]["event_types"]))


def test_ids_stay_when_topics_gateway_and_profile_change() -> None:
    elsewhere = Topics("other", "urn:example:gateway:2", "ha")
    again = home_assistant.discovery(elsewhere, Described(SUBJECT, DECLARED), PLACES, set(Field), 3, 60)
    assert {k: c["unique_id"] for k, c in again["components"].items()} == {
        k: c["unique_id"] for k, c in COMPONENTS.items()
    }
    assert again["device"]["identifiers"] == MESSAGE["device"]["identifiers"]
    assert elsewhere.discovery(SUBJECT).split("/")[2] != TOPICS.discovery(SUBJECT).split("/")[2]


def test_live_values_expire_and_need_battery_and_gateway() -> None:
    for sensor in SENSORS.values():
        if sensor["state_topic"].endswith("/live"):
            assert sensor["expire_after"] == 30
            assert sensor["availability_mode"] == "all"
            assert len(sensor["availability"]) == 2
        else:
            assert "expire_after" not in sensor
            assert "availability" not in sensor  # the device's: the gateway alone
    slow = home_assistant.discovery(TOPICS, Described(SUBJECT, DECLARED), PLACES, set(), 0, 60)
    assert slow["components"]["present_pack_voltage_v"]["expire_after"] == 180


def test_every_template_finds_its_value_in_what_is_published() -> None:
    values = VALUES | {
        Channel(q): 1.0
        for q in Quantity
        if q not in documents.MANY and f"present.{q.key}" in PLACES and Channel(q) not in VALUES
    }
    live = documents.live(SUBJECT, Live(LinkState.HEALTHY, wall_ms=0, values=values))
    readings = {of.key: documents.reading(Reading(of, _example(of))) for of in Field}
    published = {"/live": json.loads(json.dumps(live)), "/snapshot": {"readings": readings}}
    for key, sensor in SENSORS.items():
        shown = _render(sensor["value_template"], published[sensor["state_topic"][sensor["state_topic"].rindex("/") :]])
        if key == "temperature_2":
            assert shown == "None"  # the sensor between two that were heard
        elif "options" in sensor:
            assert shown in sensor["options"]
        elif "state_class" in sensor:
            assert float(shown) is not None, key
        else:
            assert shown == "2027-03"


def test_what_is_missing_is_unknown_and_no_error() -> None:
    unknown = {"readings": {of.key: documents.reading(Reading(of, missing=Missing.NO_DATA)) for of in Field}}
    nothing: dict[str, dict[str, Any]] = {"readings": {}, "present": {}, "derived": {}}
    for sensor in SENSORS.values():
        for document in [nothing] if sensor["state_topic"].endswith("/live") else [nothing, unknown]:
            assert _render(sensor["value_template"], document) == "None"


def _render(template: str, document: Any) -> str:
    """As Home Assistant does: attributes before items, so a key named as a dictionary's method is not found."""
    return (
        jinja2.Environment(undefined=jinja2.Undefined, autoescape=False)
        .from_string(template)
        .render(value_json=document)
    )


def _example(of: Field) -> float:
    return 202703 if of is Field.DATE_INTO_SERVICE else 1
