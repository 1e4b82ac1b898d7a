"""Judged: every field of a simulated battery against what is true of it, and the table of all of them.

A field with an uncertainty is judged by its 95 % interval. One without says something exact: a count, a declared value,
or what the BMS said last; it must be that to its last digit.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from packseal.core.passport import Field, Method, Reading

SIGMAS_95 = 1.96
NEEDED = 0.9
"""Share of runs in which a field's truth must lie within its interval."""

EXACT = {
    Method.AS_REPORTED: "as said",
    Method.RECONCILED: "as said",
    Method.ENTERED: "as declared",
    Method.EVENT_COUNT: "exact",
}
HEADS = ("field", "unit", "category", "truth", "derived", "standard uncertainty", "judged", "right")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One field of one run, in the field's unit; `truth` is None where none is defined.

    `said` is what was declared, or what the BMS said last, of a field that passes it on.
    """

    category: str
    field: Field
    reading: Reading
    truth: float | None
    said: float | None = None

    @property
    def judged_by(self) -> str:
        """By what it is judged, "" where nothing is said to be judged."""
        value, doubt, method = self.reading.value, self.reading.uncertainty, self.reading.method
        if value is None or (self.truth is None and self.said is None):
            return ""
        if doubt is not None:
            return "95 %" if self.truth is not None else ""
        return EXACT.get(method, "")

    @property
    def is_right(self) -> bool | None:
        """Whether the value is what it claims to be, allowing for the last digit; None where that is not judged."""
        value, doubt = self.reading.value, self.reading.uncertainty
        if not self.judged_by or value is None:
            return None
        digit = 10**-self.field.decimals
        if doubt is not None and self.truth is not None:
            return bool(abs(value - self.truth) <= SIGMAS_95 * doubt + digit)
        meant = self.said if self.said is not None else self.truth
        return meant is not None and bool(abs(value - meant) <= digit / 2 + 1e-9)


def table(outcomes: Sequence[Outcome], categories: Sequence[str]) -> str:
    """Return a Markdown table: each field's worst run per category, and the share of runs in which it was right."""
    lines = [f"| {' | '.join(HEADS)} |", f"| {' | '.join('---' for _ in HEADS)} |"]
    grouped: dict[tuple[int, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        grouped[outcome.field.code, outcome.category].append(outcome)
    for (_, category), runs in sorted(grouped.items(), key=lambda i: (i[0][0], categories.index(i[0][1]))):
        lines.append(f"| {_line(category, runs)} |")
    return "\n".join(lines)


def misses(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the fields that are wrong too often, over all categories."""
    judged: dict[Field, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        right = outcome.is_right
        if right is not None:
            judged[outcome.field].append(right)
    return [f"{f.key}: {sum(of)} of {len(of)}" for f, of in judged.items() if sum(of) < NEEDED * len(of)]


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return in one sentence how many of the passport's fields have a value and are judged, per category."""
    parts = []
    for category in dict.fromkeys(o.category for o in outcomes):
        mine = [o for o in outcomes if o.category == category and o.field.in_passport]
        asked = {o.field for o in mine}
        judged = {o.field for o in mine if o.is_right is not None}
        without = sorted(f.key for f in asked - judged)
        lacking = f" (not: {', '.join(without)})" if without else ""
        parts.append(f"{category} {len(judged)} of {len(asked)}{lacking}")
    return f"Fields of the passport that were judged: {'; '.join(parts)}."


def _line(category: str, runs: Sequence[Outcome]) -> str:
    one = max(runs, key=lambda o: (o.reading.value is not None, o.is_right is False, _events(o)))
    field, reading = one.field, one.reading
    right = [o.is_right for o in runs if o.is_right is not None]
    if reading.value is None:
        missing = "" if reading.missing is None else reading.missing.name.lower().replace("_", " ")
        cells = [field.key, field.unit, category, _number(one.truth, field), f"not available: {missing}", "", "", ""]
        return " | ".join(cells)
    doubt = "none" if reading.uncertainty is None else _number(reading.uncertainty, field)
    truth = _number(one.truth if one.truth is not None else one.said, field) or "none defined"
    share = f"{sum(right)} of {len(right)}" if right else ""
    judged = next((o.judged_by for o in runs if o.judged_by), "") or "no"
    return " | ".join([field.key, field.unit, category, truth, _number(reading.value, field), doubt, judged, share])


def _events(outcome: Outcome) -> float:
    """Return how many events there truly were, 0 of what is no count of events."""
    return (outcome.truth or 0.0) if outcome.reading.method is Method.EVENT_COUNT else 0.0


def _number(value: float | None, field: Field) -> str:
    return "" if value is None else f"{value:.{min(field.decimals, 5)}f}"
