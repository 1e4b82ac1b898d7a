"""The plain JSON documents: a snapshot, live values, an event. Absolute values, times in UTC. Pure.

They say what the signed records say, but are neither signed nor receipted themselves (docs/home-assistant.md).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from packseal.core.bodies import Attributes, Event, Gap, Lifecycle
from packseal.core.passport import Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import Record
from packseal.publish.protocol import Described, Live, Newest

MANY = (Quantity.TEMPERATURE_C, Quantity.CELL_VOLTAGE_V)
"""Quantities of which a battery has several: always lists, in the order of sensors or cells."""

MAX_PLACES = 400
"""Of one list; more is a mistake in a profile (core.meter.present)."""

Document = dict[str, Any]


def utc(wall_ms: int) -> str | None:
    """Return a time as `2027-01-15T08:00:00.000Z`; None for one that no calendar has."""
    try:
        moment = datetime.fromtimestamp(wall_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.isoformat("T", "milliseconds").replace("+00:00", "Z")


def snapshot(newest: Newest, described: Described) -> Document:
    """Return the newest snapshot with every reading by its field's key."""
    body, header = newest.snapshot, newest.record.header
    return {
        "battery": newest.subject,
        "gateway": newest.record.issuer,
        "time": utc(newest.wall_ms),
        "clock": header.quality.name.lower(),
        "log": newest.log_id.hex(),
        "sequence": newest.sequence,
        "category": described.declared.category,
        "counting_since": None if body.began_ms is None else utc(body.began_ms),
        "readings": {r.field.key: reading(r) for r in body.readings},
        "present": _values(body.present),
        "cells_mv": list(body.cells_mv),
    }


def reading(of: Reading) -> Document:
    """Return one reading; `value` is null with a `reason` where it is not available, never a silent 0."""
    if of.value is None:
        return {"value": None, "unit": of.field.unit, "reason": of.missing.name.lower() if of.missing else None}
    return {
        "value": plain(of),
        "unit": of.field.unit,
        "method": of.method.name.lower(),
        "originator": of.originator.name.lower(),
        "uncertainty": of.uncertainty,
        "coverage": of.coverage,
        "last_update": utc(of.last_update_ms),
    }


def plain(of: Reading) -> float | str | None:
    """Return a reading's value: a number, an integer where the field has no decimals, or the word behind a code."""
    if of.value is None:
        return None
    if (word := of.field.word(of.value)) is not None:
        return word.replace(" ", "-")
    return round(of.value, of.field.decimals) if of.field.decimals else round(of.value)


def live(subject: str, heard: Live) -> Document:
    """Return what a battery says now; `derived` is computed here from it, and is not the battery's word."""
    present = _values(heard.values or {})
    return {
        "battery": subject,
        "time": None if heard.wall_ms is None else utc(heard.wall_ms),
        "link": heard.state.name.lower(),
        "present": present,
        "derived": _derived(present),
    }


def event(record: Record) -> Document | None:
    """Return what happened, None for a record of another kind. `event_type` is the word of its code."""
    header, body = record.header, record.body
    said: Document = {"battery": record.subject, "time": utc(header.wall_ms), "sequence": header.sequence}
    if isinstance(body, Gap):
        span = {"from": utc(body.from_wall_ms), "to": utc(body.to_wall_ms)}
        return {"event_type": f"gap_{body.cause.name.lower()}", **said, **span, **_facts(body.attributes)}
    if isinstance(body, Event | Lifecycle):
        return {"event_type": body.code.name.lower(), **said, **_facts(body.attributes)}
    return None


def _facts(attributes: Attributes) -> Document:
    """Return the attributes under a name of their own: they are named by whoever wrote the record."""
    return {"attributes": {name: v.hex() if isinstance(v, bytes) else v for name, v in attributes.items()}}


def _values(channels: Mapping[Channel, float]) -> Document:
    values: Document = {}
    for (quantity, index), value in channels.items():
        rounded = round(value, quantity.decimals)
        if quantity not in MANY:
            if index == 0:
                values[quantity.key] = rounded
        elif index < MAX_PLACES:
            places = values.setdefault(quantity.key, [])
            places += [None] * (index + 1 - len(places))
            places[index] = rounded
    return values


def _derived(values: Document) -> Document:
    derived: Document = {}
    voltage, current = values.get("pack_voltage_v"), values.get("pack_current_a")
    if voltage is not None and current is not None:
        derived["pack_power_w"] = round(voltage * current, Quantity.PACK_POWER_W.decimals)
    cells = [v for v in values.get("cell_voltage_v", ()) if v is not None]
    if cells:
        highest, lowest = max(cells), min(cells)
        spread = round(highest - lowest, Quantity.CELL_VOLTAGE_V.decimals)
        derived |= {"cell_highest_v": highest, "cell_lowest_v": lowest, "cell_spread_v": spread}
    return derived
