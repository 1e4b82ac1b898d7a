"""Held: what the backend holds of a passport, and which of our elements are newer than that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from packseal.core.merge_patch import found_at, merged
from packseal.core.translate.condition import EVENTS as OUR_EVENTS
from packseal.core.translate.elements import ACCIDENT_DOCUMENTS, EVENTS, TIME_NAMES, Element

FUTURE_MS = 300_000
"""How far a time may be ahead of the backend's own clock: two clocks that nobody keeps well."""


@dataclass(slots=True)
class Held:
    """A passport as it was read.

    `sections` are in the form of the model `en18223`, by our names of its sections; `header` is what stands beside.
    `tags` are the entity tags (RFC 9110 §8.8.3) by resource, `date_ms` the backend's own time at the reading, UTC.
    `resources` and `raw` are, by section, what a dialect keeps for writing: the ids there, and the form that was read.
    """

    passport: str
    sections: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    date_ms: int | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


class Verdict(Enum):
    """What is to be done with an element."""

    SEND = "it is newer than what the backend holds"
    HELD = "the backend holds it"
    NEWER = "the backend holds a newer value"
    AHEAD_HERE = "its time is ahead of the backend's clock: set this gateway's clock"
    AHEAD_THERE = "the backend holds a time that is ahead of its own clock: correct the value there"


@dataclass(frozen=True, slots=True)
class Judged:
    """One element against what is held: `value` is what to send of it, and `held_ms` the time of what is held."""

    element: Element
    verdict: Verdict
    value: Any = None
    held_ms: int | None = None


def judge(element: Element, held: Held) -> Judged:
    """Return what to do with `element`. Never is anything sent that is older than, or as old as, what is held."""
    there = found_at(held.sections, element.path)
    if held.date_ms is not None and element.last_update_ms > held.date_ms + FUTURE_MS:
        return Judged(element, Verdict.AHEAD_HERE)
    if element.path == EVENTS:
        return _judge_events(element, there)
    if element.path == ACCIDENT_DOCUMENTS:
        # An empty list says that none is on record. What is there was put there by people.
        return Judged(element, Verdict.SEND, element.value) if there is None else Judged(element, Verdict.HELD)
    return _judge_value(element, there, held.date_ms)


def _judge_value(element: Element, there: object, date_ms: int | None) -> Judged:
    held_ms = time_of(there)
    if held_ms is None:
        return Judged(element, Verdict.HELD) if there == element.value else Judged(element, Verdict.SEND, element.value)
    if held_ms < element.last_update_ms and not _is_same(there, element, held_ms):
        return Judged(element, Verdict.SEND, element.value, held_ms)
    if held_ms <= element.last_update_ms:
        return Judged(element, Verdict.HELD, held_ms=held_ms)
    ahead = date_ms is not None and held_ms > date_ms + FUTURE_MS
    return Judged(element, Verdict.AHEAD_THERE if ahead else Verdict.NEWER, held_ms=held_ms)


def time_of(node: object) -> int | None:
    """Return the time beside a value in UTC ms; None where there is none that can be read. Without a zone it is UTC."""
    text = next((node[name] for name in TIME_NAMES if name in node), None) if isinstance(node, Mapping) else None
    try:
        at = datetime.fromisoformat(str(text)) if text is not None else None
    except ValueError:
        return None
    if at is None:
        return None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def _is_same(there: object, element: Element, held_ms: int) -> bool:
    """Return whether it is our value with a time that the backend keeps to the second only."""
    ours = {name: value for name, value in element.value.items() if name not in TIME_NAMES}
    kept = merged(there, ours) == there
    return kept and held_ms == element.last_update_ms // 1000 * 1000


def _judge_events(element: Element, there: object) -> Judged:
    """Merge our counters into the list that is held: a merge patch replaces a list as a whole (RFC 7396 §2)."""
    held = list(there) if isinstance(there, Sequence) and not isinstance(there, str) else []
    result, by_words = [], {_words(entry): entry for entry in element.value}
    newest = None
    for entry in held:
        ours, held_ms = by_words.pop(_words(entry), None), time_of(entry)
        newer = ours is None or (held_ms is not None and held_ms >= (time_of(ours) or 0))
        if ours is not None and newer:
            newest = max(newest or 0, held_ms or 0)
        result.append(entry if newer else merged(entry, ours))
    result += by_words.values()
    if result == held:
        return Judged(element, Verdict.HELD, held_ms=newest)
    return Judged(element, Verdict.SEND, result)


def _words(entry: object) -> str | None:
    """Return which of our counters an entry of the list of events tells; None for somebody else's."""
    text = entry.get("NegativeEventValue") if isinstance(entry, Mapping) else None
    words = str(text).partition(":")[0]
    return words if words in OUR_EVENTS.values() else None
