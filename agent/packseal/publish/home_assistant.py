"""Home Assistant's discovery message for one battery: device-based, one component per value. Pure.

Format: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload (Home Assistant 2024.11 or newer).
Device classes with their units and state classes: https://www.home-assistant.io/integrations/sensor/#device-class.
"""

import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from packseal import __version__
from packseal.core.bodies import GapCause, LifecycleCode
from packseal.core.passport import Field, Status, Verdict
from packseal.core.sample import EventCode
from packseal.publish.documents import Document
from packseal.publish.protocol import Described
from packseal.publish.topics import Topics, short

MIN_EXPIRY_S = 30
SHOWN_SENSORS = 16
"""Temperature sensors that become entities; the live message has them all."""

EVENT_TYPES = tuple(
    dict.fromkeys(
        [code.name.lower() for code in (*EventCode, *LifecycleCode)]
        + [f"gap_{cause.name.lower()}" for cause in GapCause]
    )
)

_LEVELS = re.compile(r"[:/?#&=]")
"""What parts the levels of a URI (RFC 3986 §2.2)."""

_MEASURED = {"state_class": "measurement"}
_COUNTED = {"state_class": "total_increasing"}


@dataclass(frozen=True, slots=True)
class Shown:
    """How one value is shown: its name and what Home Assistant should know of it, in its own words."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def _live(name: str, unit: str, device_class: str = "", **more: Any) -> Shown:
    known = {"device_class": device_class} if device_class else {}
    return Shown(name, {"unit_of_measurement": unit, **known, **_MEASURED, **more})


LIVE: dict[str, Shown] = {
    "present.pack_voltage_v": _live("Voltage", "V", "voltage", suggested_display_precision=1),
    "present.pack_current_a": _live("Current, charging positive", "A", "current", suggested_display_precision=1),
    "present.pack_power_w": _live("Power as the BMS states it", "W", "power", suggested_display_precision=0),
    "derived.pack_power_w": _live("Power, charging positive", "W", "power", suggested_display_precision=0),
    "present.state_of_charge_pct": _live("State of charge", "%", "battery"),
    "present.temperature_max_c": _live("Hottest temperature", "°C", "temperature"),
    "present.temperature_min_c": _live("Coldest temperature", "°C", "temperature"),
    "present.cell_voltage_max_v": _live("Highest cell voltage as the BMS states it", "V", "voltage"),
    "present.cell_voltage_min_v": _live("Lowest cell voltage as the BMS states it", "V", "voltage"),
    "derived.cell_highest_v": _live("Highest cell voltage", "V", "voltage", suggested_display_precision=3),
    "derived.cell_lowest_v": _live("Lowest cell voltage", "V", "voltage", suggested_display_precision=3),
    "derived.cell_spread_v": _live("Cell voltage spread", "V", "voltage", suggested_display_precision=3),
    "present.remaining_charge_ah": _live("Charge left", "Ah"),
    "present.energy_remaining_kwh": _live("Energy left", "kWh", "energy_storage"),
}
"""By the place in the live message. What is not here is in the message all the same.

No place may be named as a method of a dictionary, such as `values`: a template would find that.
"""

COUNTERS = frozenset(
    {
        Field.CAPACITY_THROUGHPUT,
        Field.CAPACITY_CHARGED,
        Field.CAPACITY_DISCHARGED,
        Field.CAPACITY_DISCHARGED_BMS,
        Field.ENERGY_THROUGHPUT,
        Field.ENERGY_CHARGED,
        Field.ENERGY_DISCHARGED,
        Field.ENERGY_DISCHARGED_BMS,
        Field.FULL_EQUIVALENT_CYCLES,
        Field.RAINFLOW_CYCLES,
        Field.CYCLES_BMS,
        Field.TIME_EXTREME_HIGH,
        Field.TIME_EXTREME_LOW,
        Field.TIME_EXTREME_HIGH_CHARGING,
        Field.TIME_EXTREME_LOW_CHARGING,
        Field.TIME_HIGH_CHARGE,
        Field.TIME_CHARGING,
        Field.TIME_DISCHARGING,
        Field.TIME_IDLE,
        Field.DEEP_DISCHARGE_EVENTS,
        Field.OVERCHARGE_EVENTS,
        Field.ACCIDENTS,
    }
)
"""Fields that only grow."""

NAMES = {Field.ENERGY_CHARGED: "Energy into the battery", Field.ENERGY_DISCHARGED: "Energy out of the battery"}
"""In place of a field's title, where people look for it: the energy dashboard."""

WORDS: dict[Field, tuple[str, ...]] = {
    Field.BATTERY_STATUS: tuple(s.name.lower().replace("_", "-") for s in Status),
    Field.HEALTH_CLAIM_VERDICT: tuple(v.name.lower().replace("_", "-") for v in Verdict),
    Field.DATE_INTO_SERVICE: (),
}
"""Fields whose value is a word, with the words that are possible; none: any text."""

SEEN_LIVE = frozenset({Field.STATE_OF_CHARGE, Field.TEMPERATURE})
"""Fields that the live message shows sooner."""

DIAGNOSTIC = frozenset(Field) - {
    Field.ENERGY_CHARGED,
    Field.ENERGY_DISCHARGED,
    Field.FULL_EQUIVALENT_CYCLES,
    Field.REMAINING_CAPACITY,
    Field.REMAINING_ENERGY,
    Field.STATE_OF_CERTIFIED_ENERGY,
    Field.STATE_OF_HEALTH_ESTIMATE,
}
"""Fields that stand in the device's second list."""

_DEVICE_CLASS = {"kWh": "energy", "W": "power", "°C": "temperature", "min": "duration", "h": "duration"}
"""By a field's unit. There is none for Ah, Ω, shares other than a state of charge, and the rest."""


def discovery(
    topics: Topics,
    described: Described,
    places: AbstractSet[str],
    fields: AbstractSet[Field],
    sensors: int,
    live_s: float,
) -> Document:
    """Return the message for one battery.

    Args:
        topics: where its values are published.
        described: the battery.
        places: the places of LIVE that its live message has.
        fields: the fields that are available, or were.
        sensors: how many temperatures the live message lists.
        live_s: seconds between two live messages.
    """
    subject, name = described.subject, f"packseal_{short(described.subject)}"
    live = _live_options(topics, subject, live_s)
    components: Document = {"connection": _connection(topics, subject), "event": _events(topics, subject)}
    for place in (p for p in LIVE if p in places):
        components[place.replace(".", "_")] = _of_live(f"value_json.{place}", LIVE[place], live)
    for number in range(min(sensors, SHOWN_SENSORS)):
        shown = _live(f"Temperature {number + 1}", "°C", "temperature")
        components[f"temperature_{number + 1}"] = _of_live(
            f"(value_json.present.temperature_c | default([]))[{number}]", shown, live
        )
    for of in (f for f in Field if f in fields - SEEN_LIVE):
        components[of.key] = _of_field(of, topics.battery(subject, "snapshot"))
    for key, component in components.items():
        component["unique_id"] = f"{name}_{key}"
    return {
        "device": _device(described, name),
        "origin": {"name": "Packseal", "sw_version": __version__},
        "availability": [{"topic": topics.status}],
        "qos": 1,
        "components": components,
    }


def _device(described: Described, name: str) -> Document:
    subject = described.subject
    tail = _LEVELS.split(subject)[-1] or subject
    vendor, _, model = described.profile.removesuffix(".toml").rpartition("/")
    device = {"identifiers": [name], "name": f"Battery {tail}", "serial_number": subject}
    if described.parts:
        return device | {"model": f"battery of {len(described.parts)} parts"}
    return device | {"model": model} | ({"manufacturer": vendor.rpartition("/")[2]} if vendor else {})


def _live_options(topics: Topics, subject: str, live_s: float) -> Document:
    """Return what all live values share: they are gone when the gateway or the battery is."""
    return {
        "platform": "sensor",
        "state_topic": topics.battery(subject, "live"),
        "availability": [{"topic": topics.status}, {"topic": topics.battery(subject, "status")}],
        "availability_mode": "all",
        "expire_after": max(MIN_EXPIRY_S, math.ceil(3 * live_s)),
    }


def _of_live(value: str, shown: Shown, live: Document) -> Document:
    return {**live, "name": shown.name, "value_template": f"{{{{ {value} | default(none) }}}}", **shown.options}


def _of_field(of: Field, topic: str) -> Document:
    """Return one passport field. It stays true while the battery is away, so only the gateway makes it unavailable."""
    template = f"{{{{ (value_json.readings.{of.key} | default({{}})).value | default(none) }}}}"
    component: Document = {"platform": "sensor", "name": NAMES.get(of, of.value.title), "state_topic": topic}
    component |= {"value_template": template}
    if of in DIAGNOSTIC:
        component["entity_category"] = "diagnostic"
    if of in WORDS:
        return component | ({"device_class": "enum", "options": list(WORDS[of])} if WORDS[of] else {})
    component |= _COUNTED if of in COUNTERS else _MEASURED
    if of.unit != "1":
        component["unit_of_measurement"] = of.unit
    device_class = "energy_storage" if of is Field.REMAINING_ENERGY else _DEVICE_CLASS.get(of.unit)
    return component | ({"device_class": device_class} if device_class else {})


def _connection(topics: Topics, subject: str) -> Document:
    return {
        "platform": "binary_sensor",
        "name": "Connection",
        "state_topic": topics.battery(subject, "status"),
        "payload_on": "online",
        "payload_off": "offline",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
    }


def _events(topics: Topics, subject: str) -> Document:
    return {
        "platform": "event",
        "name": "Events",
        "state_topic": topics.battery(subject, "event"),
        "event_types": list(EVENT_TYPES),
        "entity_category": "diagnostic",
    }
