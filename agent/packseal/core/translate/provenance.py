"""What no passport model has room for, in a document of its own: what stands behind each value, and our estimates.

This is not part of the passport. `fields` are the passport's values with unit, time, method, standard uncertainty,
originator and coverage; `outside_the_passport` are estimates and figures of the BMS that no passport asks for, or that
this category's passport must not state.
"""

import math
from typing import Any

from packseal.core.passport import Reading
from packseal.core.translate.evidence import evidence, plain
from packseal.core.translate.subject import PASSPORT_FIELDS, Document, Model, Slot, Subject, choose, stamp

LABEL = "Not part of the battery passport: evidence and estimates of the gateway"
SLOTS = {f: Slot(f"fields.{f.key}", f.unit) for f in PASSPORT_FIELDS}


def translate(subject: Subject) -> Document:
    """Return the document."""
    chosen = choose(subject, SLOTS, {})
    others = [r for r in subject.snapshot.readings if r.field not in chosen.readings and _told(r)]
    body = {
        "label": LABEL,
        "battery": subject.battery,
        "fields": {f.key: _fact(r) for f, r in chosen.readings.items()},
        "outside_the_passport": {r.field.key: _fact(r) for r in others},
        "left_out": {left.field.key: left.reason for left in chosen.left_out},
    }
    return Document(body, chosen.left_out)


def _told(reading: Reading) -> bool:
    if reading.value is None or not math.isfinite(reading.value):
        return False
    try:
        plain(reading), stamp(reading.last_update_ms)
    except (ValueError, OverflowError, OSError):
        return False
    return True


def _fact(reading: Reading) -> dict[str, Any]:
    return {
        "value": plain(reading),
        "unit": reading.field.unit,
        "last_update": stamp(reading.last_update_ms),
        **evidence(reading),
    }


MODEL = Model(
    "provenance",
    "what stands behind each value, and our estimates: not part of the passport",
    "docs/exports.md",
    SLOTS,
    {},
    translate,
)
