"""What is exported and what comes out: Subject, Document, and which readings a model may carry.

A value is written as it was signed. One that is not available, not to be filled for the battery's category, or not
expressible in a model is left out with its reason; nothing ever stands in for it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from packseal.core.fields import filled, not_to_be_filled
from packseal.core.passport import Field, Originator, Reading, Snapshot, Status

MAX_FLOAT = 3.4028234e38
"""The greatest xs:float (XML Schema part 2 §3.2.4), which the data models use for most values."""
MAX_COUNT = 2**53 - 1
"""The greatest whole number that every reader of JSON keeps exactly (RFC 8259 §6)."""
_END_OF_CALENDAR_MS = 253_402_300_800_000
"""Year 10000 in UTC milliseconds since 1970: from here on no `YYYY-MM-DD` has four digits."""
_FIRST_YEAR, _LAST_YEAR, _MONTHS = 1800, 9999, 12


@dataclass(frozen=True, slots=True)
class Subject:
    """One battery at one instant. `battery` is its URI; `passport` that of its digital product passport, when known.

    `category` is one of ev, lmt, stationary, industrial; None leaves out nothing for the category's sake.
    """

    snapshot: Snapshot
    battery: str
    category: str | None = None
    passport: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A passport field that the document does not carry, and why."""

    field: Field
    reason: str


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON document of one model.

    `lacking` names what the model's schema requires and this document does not have: with any, it is a patch of a
    passport that holds the rest, not a whole document.
    """

    body: Mapping[str, Any]
    left_out: Sequence[LeftOut] = ()
    lacking: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a field stands in a model. `unit` is that of the number written; `note` what a reader must know.

    `whole` numbers are rounded down: a counter never runs ahead. `least` and `most` are the model's own bounds.
    """

    path: str
    unit: str
    note: str = ""
    whole: bool = False
    least: float = -MAX_FLOAT
    most: float = MAX_FLOAT


@dataclass(frozen=True, slots=True)
class Model:
    """One public data model: `slots` say what it carries, `absent` why it does not carry a field."""

    name: str
    title: str
    source: str
    slots: Mapping[Field, Slot]
    absent: Mapping[Field, str]
    translate: Callable[[Subject], Document]


@dataclass(slots=True)
class Chosen:
    """The readings that one document may carry, by field, and what is left out of it."""

    readings: dict[Field, Reading] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def drop(self, which: Field, reason: str) -> None:
        """Leave out a reading that was chosen."""
        if self.readings.pop(which, None) is not None:
            self.left_out.append(LeftOut(which, reason))


PASSPORT_FIELDS: tuple[Field, ...] = tuple(f for f in Field if f in filled(None))
"""The fields of the passport. The others are ours: they stand only in the separate document of `provenance`."""


def choose(subject: Subject, slots: Mapping[Field, Slot], absent: Mapping[Field, str]) -> Chosen:
    """Return the readings that go into a document of the model with these tables."""
    chosen = Chosen()
    given = {r.field: r for r in subject.snapshot.readings}
    for each in PASSPORT_FIELDS:
        reading = given.get(each)
        if each in not_to_be_filled(subject.category):
            reason = f"not to be filled for the category {subject.category} (EC guidance v1.0)"
            chosen.left_out.append(LeftOut(each, reason))
        elif reading is None:
            chosen.left_out.append(LeftOut(each, "not available: not in this snapshot"))
        elif refusal := _refusal(reading, slots.get(each), absent.get(each)):
            chosen.left_out.append(LeftOut(each, refusal))
        else:
            chosen.readings[each] = reading
    return chosen


def number(reading: Reading, slot: Slot | None = None) -> float:
    """Return the value at the digits that records keep, or rounded down where the model wants a whole number."""
    if reading.value is None:
        raise ValueError(f"{reading.field.key} has no value")
    value = round(reading.value, reading.field.decimals) + 0.0  # + 0.0: a negative zero is a zero
    return math.floor(value) if slot is not None and slot.whole else value


def count(reading: Reading) -> int:
    """Return the value of a field without decimals."""
    return int(number(reading))


def month(reading: Reading) -> str | None:
    """Return a month given as YYYYMM as `YYYY-MM`; None when it is none."""
    year, number_in_year = divmod(count(reading), 100)
    if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= number_in_year <= _MONTHS):
        return None
    return f"{year:04}-{number_in_year:02}"


def stamp(wall_ms: int) -> str:
    """Return a time as `2027-01-15T08:00:00.000Z`: always UTC with its zone, which the models leave optional."""
    seconds, milliseconds = divmod(wall_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"


def together(readings: Sequence[Reading]) -> str:
    """Return the one time of values that share a single slot for it: the oldest, so that it holds for each."""
    return stamp(min(r.last_update_ms for r in readings))


def required(body: Mapping[str, Any], paths: Sequence[str]) -> list[str]:
    """Return which of these dotted paths are not in `body`; of what is missing as a whole only the whole."""
    lacking: list[str] = []
    for path in paths:
        at: Any = body
        walked: list[str] = []
        for name in path.split("."):
            walked.append(name)
            if name not in at:
                break
            at = at[name]
        else:
            continue
        if (gone := ".".join(walked)) not in lacking:
            lacking.append(gone)
    return lacking


def _refusal(reading: Reading, slot: Slot | None, absent: str | None) -> str:
    """Return why a reading cannot be in the document; nothing when it can."""
    which = reading.field
    if reading.value is None:
        why = reading.missing.name.lower().replace("_", " ") if reading.missing else "no value"
        return f"not available: {why}"
    if which is Field.STATE_OF_CERTIFIED_ENERGY and reading.originator is not Originator.BMS:
        return "only the vehicle's own monitor may state it"
    if slot is None:
        return absent or "the model has no place for it"
    return _unwritable(reading, slot)


def _unwritable(reading: Reading, slot: Slot) -> str:
    """Return why the model cannot express a value; nothing when it can."""
    if not 0 <= reading.last_update_ms < _END_OF_CALENDAR_MS:
        return "its time is beyond the calendar"
    if not math.isfinite(reading.value or 0):
        return "it is no finite number"
    if reading.field is Field.DATE_INTO_SERVICE and month(reading) is None:
        return "it is no month"
    if reading.field is Field.BATTERY_STATUS and count(reading) not in {*Status}:
        return "it is no status that we know"
    if not slot.least <= number(reading, slot) <= slot.most:
        return "it is out of the model's range"
    return ""
