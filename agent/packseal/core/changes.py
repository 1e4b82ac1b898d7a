"""Changes: what was entered about a battery since its log last said so, as the lifecycle records that tell of it.

Declared data are compared with what the log last said; what happened (a status, a replaced module or BMS, an accident)
is a list that only grows. Both are told once: the meter's state, stored with the records, holds how far the log is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

import msgspec

from packseal.core.bodies import Lifecycle, LifecycleCode
from packseal.core.declared import Declared

MAX_TEXT_BYTES = 1000
"""Of what a person says of a change: below what one attribute of a record holds (bodies.MAX_ATTRIBUTE_BYTES)."""
PER_RECORD = 15
"""Values of declared data per record: two attributes each stay within bodies.MAX_ATTRIBUTES."""
NOT_SAID = "not declared"


class Happening(Enum):
    """What can happen to a battery that only people know of."""

    STATUS = "status"
    MODULE_REPLACED = "module_replaced"
    BMS_REPLACED = "bms_replaced"
    ACCIDENT = "accident"


CODES = {
    Happening.STATUS: LifecycleCode.STATUS_CHANGED,
    Happening.MODULE_REPLACED: LifecycleCode.MODULE_REPLACED,
    Happening.BMS_REPLACED: LifecycleCode.BMS_REPLACED,
    Happening.ACCIDENT: LifecycleCode.ACCIDENT,
}


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One entry of the list. `id` is unique; `entered_ms` the UTC time at which it was entered."""

    id: str
    kind: Happening
    entered_ms: int
    text: str = ""
    before: str = ""
    after: str = ""
    """The status before and after, of a change of status."""

    def __post_init__(self) -> None:
        if len(self.text.encode()) > MAX_TEXT_BYTES:
            raise ValueError(f"the text of a change may have at most {MAX_TEXT_BYTES} bytes")


class Told(msgspec.Struct):
    """How far a log is: the declared data it said last, None before it said any, and the last change."""

    said: dict[str, str] | None = None
    said_ms: int = 0
    change: str = ""
    change_ms: int = 0


def as_said(declared: Declared) -> dict[str, str]:
    """Return what is declared, by name, as text; what has only its default is not."""
    defaults = Declared()
    return {
        name: str(int(value) if isinstance(value, float) and value.is_integer() else value)
        for name in Declared.__struct_fields__
        if (value := getattr(declared, name)) != getattr(defaults, name)
    }


def untold(told: Told, declared: Declared, changes: Sequence[Change]) -> list[Lifecycle]:
    """Return the records that bring the log up to what is declared now, in order."""
    news = _after(told, changes)
    said, now = told.said or {}, as_said(declared)
    explained = _explained(said, now, news)
    records = [Lifecycle(CODES[change.kind], _facts(change)) for change in news]
    if "status" in said and said["status"] != now.get("status") and "status" not in explained:
        facts = {"status_before": said["status"], "status": now.get("status", NOT_SAID)}
        records.append(Lifecycle(LifecycleCode.STATUS_CHANGED, facts))
        explained.add("status")
    return [*_differences(said, now, explained), *records]


def told_by(entries: Iterable[tuple[Lifecycle, int]]) -> Told:
    """Return how far a log is by its own records, oldest first and each with its UTC time in milliseconds."""
    told = Told()
    for entry, wall_ms in entries:
        facts, said = entry.attributes, dict(told.said or {})
        names: Sequence[str] = ()
        if entry.code is LifecycleCode.DECLARED_CHANGED:
            names = [name for name in Declared.__struct_fields__ if name in facts]
        elif entry.code is LifecycleCode.STATUS_CHANGED:
            names = ["status"]
        elif entry.code is LifecycleCode.ACCIDENT:
            said["accidents"] = str(int(said.get("accidents", 0)) + 1)
        for name in names:
            said[name] = str(facts.get(name, NOT_SAID))
        if names or said != (told.said or {}):
            told.said, told.said_ms = {n: v for n, v in said.items() if v != NOT_SAID}, wall_ms
        change, entered_ms = facts.get("change"), facts.get("entered_ms")
        if isinstance(change, str) and isinstance(entered_ms, int):
            told.change, told.change_ms = change, entered_ms
    return told


def _after(told: Told, changes: Sequence[Change]) -> Sequence[Change]:
    ids = [change.id for change in changes]
    if told.change in ids:
        return changes[ids.index(told.change) + 1 :]
    return [change for change in changes if change.entered_ms > told.change_ms]


def _explained(said: Mapping[str, str], now: Mapping[str, str], news: Sequence[Change]) -> set[str]:
    """Return which of status and accidents need no record of their own: the changes tell of them."""
    explained = set()
    statuses = [change.after for change in news if change.kind is Happening.STATUS]
    if statuses and statuses[-1] == now.get("status"):
        explained.add("status")
    accidents = sum(change.kind is Happening.ACCIDENT for change in news)
    if accidents and int(now.get("accidents", 0)) - int(said.get("accidents", 0)) == accidents:
        explained.add("accidents")
    return explained


def _differences(said: Mapping[str, str], now: Mapping[str, str], besides: set[str]) -> Iterator[Lifecycle]:
    names = [n for n in Declared.__struct_fields__ if n not in besides and said.get(n) != now.get(n)]
    for start in range(0, len(names), PER_RECORD):
        facts = {}
        for name in names[start : start + PER_RECORD]:
            facts[name] = now.get(name, NOT_SAID)
            if name in said:
                facts[f"{name}_before"] = said[name]
        yield Lifecycle(LifecycleCode.DECLARED_CHANGED, facts)


def _facts(change: Change) -> dict[str, int | str]:
    facts: dict[str, int | str] = {"change": change.id, "entered_ms": change.entered_ms}
    if change.kind is Happening.STATUS:
        facts |= {"status": change.after, "status_before": change.before or NOT_SAID}
    return facts | ({"text": change.text} if change.text else {})
