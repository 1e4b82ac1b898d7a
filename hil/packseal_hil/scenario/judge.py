"""Judge: what a scenario expects against the evidence, as verdicts. Pure."""

from collections.abc import Iterator, Mapping

from packseal.core.bodies import Lifecycle, LifecycleCode
from packseal.core.passport import FIELD_BY_KEY
from packseal_hil.scenario.evidence import Evidence
from packseal_hil.scenario.schema import Bounds, Expect, GapBounds, Scenario, Tolerance
from packseal_hil.scenario.told import sealed
from packseal_hil.story import Comparison, Verdict

ENDS = (LifecycleCode.AGENT_STOPPED, LifecycleCode.SOURCE_ENDED)
ALARM = "Traceback"


def verdicts(expect: Expect, found: Evidence) -> list[Verdict]:
    """Return everything that had to be true, and whether it was."""
    return [
        *_sound(found),
        *_delivered(expect.delivered, found, is_alone=1 in (expect.logs, found.logs_shown)),
        *(_orderly(found) if expect.orderly else ()),
        *(_within("samples in telemetry", expect.samples, found.samples) if expect.samples else ()),
        *_counts("event", expect.event, found.events, closed=True),
        *_gaps(expect.gap, found),
        *_counts("lifecycle entry", expect.lifecycle, found.lifecycle, closed=False),
        *_refused(expect, found),
        *(_field(name, tolerance, found) for name, tolerance in expect.field.items()),
        *(_values(name, tolerance, found) for name, tolerance in expect.value.items()),
        *_figures(expect.figure, found.figures),
        *(Verdict(f"the agent says {words!r}", words in found.said, _quoted(found.said)) for words in expect.said),
    ]


def comparisons(scenario: Scenario, found: Evidence) -> list[Comparison]:
    """Return the fields of which the truth is known beside what the sink shows.

    Where steps kept the agent from hearing all, only those that the scenario expects: the truth goes on meanwhile.
    """
    return [
        Comparison(
            field.key,
            field.unit,
            truth,
            None if (reading := found.reading(field.key)) is None else reading["value"],
            None if reading is None else reading["uncertainty"],
        )
        for field, truth in found.truth.items()
        if not scenario.step or field.key in scenario.expect.field
    ]


def _sound(found: Evidence) -> Iterator[Verdict]:
    count = len(found.records)
    seen = found.trouble or f"{count} records of the battery, signatures and chain hold"
    yield Verdict("the journal holds a whole chain", bool(count) and not found.trouble, seen)
    yield Verdict("the agent has not crashed", ALARM not in found.said, _crash(found.said))


def _delivered(whose: str, found: Evidence, *, is_alone: bool) -> Iterator[Verdict]:
    if whose == "no":
        return
    logs = [log for log in found.audits if log.is_battery or whose == "all"]
    complaints = "; ".join(filter(None, (log.complaint for log in logs)))
    sealed = sum(log.sealed for log in logs)
    yield Verdict(
        f"everything sealed is received, verified and receipted{'' if whose == 'all' else ' of the battery'}",
        bool(sealed) and not complaints,
        complaints or f"{sealed} records",
    )
    if whose == "all":
        counted = f"{found.counted} counted by the sink, {sealed} sealed"
        yield Verdict("every record is counted once", found.counted == sealed, counted)
    if not is_alone:
        return  # another log of the battery, which another gateway writes, may have the newer one
    shown = None if found.snapshot is None else found.snapshot["sequence"]
    newest = found.last_snapshot
    seen = f"the sink shows the snapshot of record {shown}, the newest sealed one is {newest}"
    yield Verdict("the sink shows the newest snapshot", newest is not None and shown == newest, seen)


def _orderly(found: Evidence) -> Iterator[Verdict]:
    body = found.records[-1].body if found.records else None
    last = body.code.name.lower() if isinstance(body, Lifecycle) else type(body).__name__.lower()
    held = isinstance(body, Lifecycle) and body.code in ENDS
    yield Verdict("the battery's log ends in good order", held, f"its last record is {last}")


def _counts(what: str, expected: Mapping[str, Bounds], seen: Mapping[str, int], *, closed: bool) -> Iterator[Verdict]:
    for name, bounds in expected.items():
        yield from _within(f"{what} {name}", bounds, seen.get(name, 0))
    if closed:
        others = {name: count for name, count in seen.items() if name not in expected}
        yield Verdict(f"no other {what}", not others, _listed(others))


def _gaps(expected: Mapping[str, GapBounds], found: Evidence) -> Iterator[Verdict]:
    seen = found.gaps
    yield from _counts(
        "gap", {n: b.times for n, b in expected.items()}, {n: c for n, (c, _) in seen.items()}, closed=True
    )
    for name, bounds in expected.items():
        if bounds.seconds is not None:
            yield from _within(f"seconds of {name}", bounds.seconds, seen.get(name, (0, 0.0))[1])


def _refused(expect: Expect, found: Evidence) -> Iterator[Verdict]:
    yield from _counts("refusal", expect.refused, found.refused, closed=True)
    for name, (least, _) in expect.refused.items():
        if not least and name not in found.refused:
            continue  # it need not have been
        is_shown = name in found.page.lower()
        yield Verdict(f"the sink's page shows {name}", is_shown, "it does" if is_shown else "the word is not on it")
    seen = f"{found.logs_shown} logs"
    yield Verdict(f"the sink shows {expect.logs} log{'s' * (expect.logs != 1)}", found.logs_shown == expect.logs, seen)


def _field(name: str, tolerance: Tolerance, found: Evidence) -> Verdict:
    field = FIELD_BY_KEY[name]
    truth, reading = found.truth.get(field), found.reading(name)
    value = None if reading is None else reading["value"]
    if truth is None or value is None:
        missing = "not there" if reading is None else f"not available ({reading['missing']})"
        seen = f"truth {_number(truth, 'not known')}, the sink's reading {_number(value, missing)}"
        return Verdict(f"{name} is true", held=False, found=seen)
    allowed = max(tolerance.absolute, tolerance.relative * abs(truth))
    seen = f"truth {truth:g} {field.unit}, derived {value:g} {field.unit}, {abs(value - truth):g} apart"
    return Verdict(f"{name} is true within {allowed:g} {field.unit}", abs(value - truth) <= allowed, seen)


def _values(name: str, tolerance: Tolerance, found: Evidence) -> Verdict:
    """Return whether every sealed value of a quantity is one that the BMS has said."""
    count, wrong, first = 0, 0, ""
    for wall_s, channel, value in sealed(found.records, name):
        count += 1
        said = None if found.told is None else found.told.range(channel, wall_s)
        if said is not None:
            low, high = said
            allowed = max(tolerance.absolute, tolerance.relative * max(abs(low), abs(high)))
            if low - allowed <= value <= high + allowed:
                continue
        wrong += 1
        heard = "nothing" if said is None else f"{said[0]:g} to {said[1]:g}"
        first = first or f", the first one {value:g} of place {channel.index} where the BMS said {heard}"
    title = f"every sealed {name} was said by the BMS"
    return Verdict(title, bool(count) and not wrong, f"{count} values, {wrong} of them wrong{first}")


def _figures(expected: Mapping[str, Bounds], seen: Mapping[str, float]) -> Iterator[Verdict]:
    for name, bounds in expected.items():
        if name in seen:
            yield from _within(name, bounds, seen[name])
        else:
            yield Verdict(f"{name} was measured", held=False, found=f"measured are {', '.join(seen) or 'none'}")


def _within(what: str, bounds: Bounds, seen: float) -> Iterator[Verdict]:
    low, high = bounds
    span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    yield Verdict(f"{what}: {span}", low <= seen <= high, f"{seen:g}")


def _number(value: float | None, missing: str) -> str:
    return missing if value is None else f"{value:g}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _crash(said: str) -> str:
    return said[said.index(ALARM) :].strip()[-500:] if ALARM in said else "no traceback in its log"


def _quoted(said: str) -> str:
    return f"… {said.strip()[-500:]}" if said.strip() else "it said nothing"
