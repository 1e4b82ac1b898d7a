"""Elements: a snapshot cut into what a passport's backend can take or refuse one by one.

They are the values of the model `en18223`, as `packseal export --as en18223` writes them, without what is the
manufacturer's: declared values, and what is entered once. An element is the smallest part that carries its own time
(a value with its LastUpdate), or, where the model has no time, one value or list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from packseal.core.fields import ROW_OF, Update
from packseal.core.passport import Field, Originator, Reading
from packseal.core.translate import en18223
from packseal.core.translate.idta_parts import DIGITAL_NAMEPLATE, TECHNICAL_DATA
from packseal.core.translate.subject import PASSPORT_FIELDS, Subject

SECTIONS = {
    "product_condition": en18223.PRODUCT_CONDITION,
    "technical_data": TECHNICAL_DATA,
    "nameplate": DIGITAL_NAMEPLATE,
}
"""The sections of the model by the words that a configuration has for them."""
EVENTS = (en18223.PRODUCT_CONDITION, "NegativeEvents")
ACCIDENT_DOCUMENTS = (en18223.PRODUCT_CONDITION, "InformationOnAccidents")
TIME_NAMES = ("LastUpdate", "lastUpdate", "lastUpdated")
"""The model's own first; the others are those of other writers (EN 18223 header and its Annex B differ)."""


@dataclass(frozen=True, slots=True)
class Element:
    """One part of the document: where it stands, its JSON value, and which fields it carries.

    `last_update_ms` (UTC) is that of the value itself, the oldest where several share one time, the newest of a list.
    """

    path: tuple[str, ...]
    value: Any
    fields: Mapping[Field, float]
    last_update_ms: int

    @property
    def key(self) -> str:
        """The path as RFC 9535 §2.7 normalises it: `$['section']['StateOfCharge']`."""
        return normalized_path(self.path)


def elements(subject: Subject) -> list[Element]:
    """Return the elements of a snapshot, in the document's order."""
    kept = [r for r in subject.snapshot.readings if is_dynamic(r)]
    readings = {r.field: r for r in kept if r.value is not None}
    body = en18223.translate(replace(subject, snapshot=replace(subject.snapshot, readings=kept))).body
    cut: list[Element] = []
    for section in SECTIONS.values():
        for path, value in _parts((section,), body.get(section, {})):
            inside = _inside(path, readings)
            if inside:
                cut.append(Element(path, value, {f: r.value or 0.0 for f, r in inside.items()}, _time(path, inside)))
    return cut


def is_dynamic(reading: Reading) -> bool:
    """Return whether the gateway may bring this up to date: neither the manufacturer's nor entered once."""
    return (
        reading.field in PASSPORT_FIELDS
        and reading.originator is not Originator.DECLARED
        and ROW_OF[reading.field].update is not Update.ONCE
    )


def normalized_path(path: Sequence[str]) -> str:
    """Return the path in the form of RFC 9535 §2.7; the names have no control characters."""
    quoted = (name.replace("\\", "\\\\").replace("'", "\\'") for name in path)
    return "$" + "".join(f"['{name}']" for name in quoted)


def _parts(path: tuple[str, ...], value: object) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, Mapping) and not any(name in value for name in TIME_NAMES):
        for name, inner in value.items():
            yield from _parts((*path, name), inner)
    else:
        yield path, value


def _inside(path: tuple[str, ...], readings: Mapping[Field, Reading]) -> dict[Field, Reading]:
    """Return the readings that an element at `path` carries."""
    if path == ACCIDENT_DOCUMENTS:
        return {Field.ACCIDENTS: readings[Field.ACCIDENTS]}
    found = {f: r for f, r in readings.items() if _PLACES.get(f, ())[: len(path)] == path}
    if Field.REMAINING_POWER_AT_80 in found:
        found.pop(Field.REMAINING_POWER_AT_20, None)  # room for one: see idta.POWER_80_TAKEN
    return found


def _time(path: tuple[str, ...], inside: Mapping[Field, Reading]) -> int:
    times = [r.last_update_ms for r in inside.values()]
    return max(times) if path == EVENTS else min(times)


def _place(path: str) -> tuple[str, ...]:
    """Return the names in a slot's path, such as `['section'].Group.Value` or `['section'].List[]`."""
    section, _, rest = path.removeprefix("['").partition("'].")
    return (section, *rest.removesuffix("[]").split("."))


_PLACES = {f: _place(slot.path) for f, slot in en18223.SLOTS.items()}
