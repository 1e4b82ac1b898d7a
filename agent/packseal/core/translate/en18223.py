"""EN 18223 in its compressed form: a merge patch (RFC 7396) of a digital product passport, for EN 18222 UpdateDPPById.

Sections are named by their content specification, as the compressed form has it: the IDTA 02035 parts 5, 4 and 1.
`contentSpecificationIds` is left out on purpose: a merge patch replaces a list as a whole, and the passport's own names
the sections of its static half too. The text of the standard was not read; the shape is that of the public API
descriptions of two implementers.
"""

from typing import Any

from packseal.core.passport import Field
from packseal.core.translate import idta
from packseal.core.translate.idta_parts import (
    DIGITAL_NAMEPLATE,
    NAMEPLATE,
    TECHNICAL,
    TECHNICAL_DATA,
    nameplate,
    technical_data,
)
from packseal.core.translate.subject import Document, Model, Slot, Subject, choose, together

PRODUCT_CONDITION = "urn:samm:io.admin-shell.idta.batterypass.product_condition:1.0.0#ProductCondition"


def _in(section: str, slot: Slot) -> Slot:
    return Slot(f"['{section}'].{slot.path}", slot.unit, slot.note, slot.whole, slot.least, slot.most)


_TECHNICAL = {f: _in(TECHNICAL_DATA, slot) for f, slot in TECHNICAL.items()}
_NAMEPLATE = {f: _in(DIGITAL_NAMEPLATE, slot) for f, slot in NAMEPLATE.items()}
SLOTS: dict[Field, Slot] = {
    **{f: _in(PRODUCT_CONDITION, slot) for f, slot in idta.SLOTS.items()},
    **_TECHNICAL,
    **_NAMEPLATE,
}
ABSENT = {f: why for f, why in idta.ABSENT.items() if f not in SLOTS}
REQUIRED = ("digitalProductPassportId", "dppSchemaVersion", "dppStatus", "economicOperatorId", "granularity")


def translate(subject: Subject) -> Document:
    """Return the patch. `lastUpdate` is the time of the newest value; the header's rest is the passport's own."""
    chosen = choose(subject, SLOTS, ABSENT)
    values = idta.translate(subject)
    body: dict[str, Any] = {"uniqueProductIdentifier": subject.battery, "granularity": "Item"}
    if subject.passport is not None:
        body["digitalProductPassportId"] = subject.passport
    if chosen.readings:
        newest = max(chosen.readings.values(), key=lambda r: r.last_update_ms)
        body["lastUpdate"] = together([newest])
    sections = {
        PRODUCT_CONDITION: values.body,
        TECHNICAL_DATA: technical_data(chosen.readings),
        DIGITAL_NAMEPLATE: nameplate(chosen.readings),
    }
    body |= {name: section for name, section in sections.items() if section}
    elsewhere = [left for left in values.left_out if left.field in chosen.readings and left.field in idta.SLOTS]
    lacking = [name for name in REQUIRED if name not in body]
    return Document(body, [*chosen.left_out, *elsewhere], lacking)


MODEL = Model(
    "en18223",
    "EN 18223 compressed form, a merge patch of the passport",
    "https://github.com/eclipse-basyx/basyx-go-components",
    SLOTS,
    ABSENT,
    translate,
)
