"""Retention: what of one log goes next, and the records that say so. Decides; the log's own pen writes and removes.

Order: what the sink has receipted, oldest first and without a gap record; then telemetry that it has not, thinned to
10 s and to 60 s; then that telemetry dropped; and only at the very last everything else, dropped too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from packseal.core.bodies import Body, Gap, GapCause, Kind
from packseal.core.chain import SealedRecord
from packseal.core.holes import Hole, hole_of
from packseal.core.record import Record, parse
from packseal.core.summary import Summary
from packseal.journal.store import Journal

FORGET_RECORDS, THIN_RECORDS, DROP_RECORDS, DROP_BYTES = 500, 60, 200, 1 << 18
"""Bounds on one step: an hour of one-minute windows makes one summary."""

THIN_BYTES = 48_000
"""Thinning takes 2 s per megabyte on a desktop: windows with many cells are thinned fewer at a time."""

SCAN_RECORDS = 2000
"""Bound on what is read in search of them."""

WORTH_RECORDS, WORTH_BYTES = 20, 1 << 16
"""What is dropped at once at least: the gap record that names it takes room too."""

NEVER_MS = 1 << 62
"""As a time before which records go: all of them, whatever their age."""

CLOCK_SET_MS = 978_307_200_000
"""2001-01-01. A clock that nobody has set begins at 1970, the epoch, or at 2000, as many a clock chip whose battery has
run out. Such a record is not half a century old, to be thinned or forgotten as soon as the time is right."""

TEN_S_MS, SIXTY_S_MS = 10_000, 60_000


class Urgency(IntEnum):
    """How far a step may go."""

    FORGET = 1  # what is receipted
    THIN_10 = 2  # telemetry to 10 s
    THIN_60 = 3  # telemetry and summaries to 60 s
    DROP_TELEMETRY = 4
    DROP_ALL = 5


@dataclass(frozen=True, slots=True)
class Step:
    """Bodies to be appended and the stretches to be removed, in one transaction."""

    bodies: Sequence[Body]
    removed: Sequence[Hole]


@dataclass(frozen=True, slots=True)
class Found:
    """What may go next. Before sequence number `following` nothing else is; `more`: the search is not at its end."""

    entries: Sequence[SealedRecord]
    following: int
    more: bool = False


def forget(journal: Journal, log_id: bytes, before_ms: int) -> Step | None:
    """Return the oldest records that the sink has receipted and whose wall time is before `before_ms`, UTC.

    One whose clock was not set goes with the next one whose clock was. None where there is none; the newest record of a
    log always stays. Raises StorageError.
    """
    end = min(journal.head(log_id).next_sequence - 1, journal.delivered(log_id))
    first = last = None
    for count, entry in enumerate(journal.records(log_id)):
        limit = SCAN_RECORDS if last is None else FORGET_RECORDS
        if entry.sequence >= end or entry.wall_ms >= before_ms or count >= limit:
            break
        first = entry.sequence if first is None else first
        if _is_old(entry, before_ms):
            last = entry.sequence
    return None if first is None or last is None else Step((), [(first, last)])


def find(journal: Journal, log_id: bytes, how: Urgency, before_ms: int, start: int = 0) -> Found:
    """Return what goes next, of this urgency alone, of records that no receipt covers; nothing where it is too little.

    Args:
        journal: the journal.
        log_id: the log.
        how: THIN_10 or beyond.
        before_ms: records of this wall time, UTC, and those after them stay; so do those whose clock was not set.
        start: where to look from.

    Raises:
        StorageError: the journal cannot be read.
        FormatError: a summary is broken.
    """
    newest, drops = journal.head(log_id).next_sequence - 1, how >= Urgency.DROP_TELEMETRY
    start = max(start, journal.delivered(log_id))
    found: list[SealedRecord] = []
    size, following = 0, start
    for count, entry in enumerate(journal.records(log_id, start)):
        if entry.sequence >= newest or entry.wall_ms >= before_ms:
            break
        if count == SCAN_RECORDS:
            return Found(found, following, more=True)
        following = entry.sequence + 1
        if _goes(entry, how) and _is_old(entry, before_ms):
            found.append(entry)
            size += len(entry.raw)
        if len(found) == (DROP_RECORDS if drops else THIN_RECORDS) or size >= (DROP_BYTES if drops else THIN_BYTES):
            return Found(found, following, more=True)
    if drops and (len(found) >= WORTH_RECORDS or size >= WORTH_BYTES):
        return Found(found, following)
    # Fewer windows than make a whole summary wait for the next ones.
    return Found((), found[0].sequence if found else following)


def step(found: Found, how: Urgency) -> Step:
    """Return what is to be written and removed for what `find` has found; raises FormatError for broken telemetry."""
    entries = [parse(entry.raw) for entry in found.entries]
    stretches = [(entry.sequence, entry.sequence) for entry in found.entries]
    if how >= Urgency.DROP_TELEMETRY:
        return Step([_gap(GapCause.DROPPED, entries)], stretches)
    from packseal.core.thinning import thin  # noqa: PLC0415 - a gateway with a link never thins

    summaries = thin(entries, TEN_S_MS if how is Urgency.THIN_10 else SIXTY_S_MS)
    return Step([*summaries, _gap(GapCause.THINNED, entries)], stretches)


def _is_old(entry: SealedRecord, before_ms: int) -> bool:
    """Whether a record whose wall time is before `before_ms` is that old: not where its clock was not set."""
    return entry.wall_ms >= CLOCK_SET_MS or before_ms == NEVER_MS


def _goes(entry: SealedRecord, how: Urgency) -> bool:
    if how is Urgency.DROP_ALL or entry.kind is Kind.TELEMETRY:
        return True
    if entry.kind is not Kind.SUMMARY or how is Urgency.THIN_10:
        return False
    if how is Urgency.DROP_TELEMETRY:
        return True
    body = parse(entry.raw).body
    return isinstance(body, Summary) and body.period_ms < SIXTY_S_MS


def _gap(cause: GapCause, entries: Sequence[Record]) -> Gap:
    """Return the gap that names `entries`, and what gap records among them named, for nobody else would then."""
    named = [(e.header.sequence, e.header.sequence) for e in entries]
    records = len(entries)
    for entry in entries:
        hole = hole_of(entry)
        if hole is not None and isinstance(entry.body, Gap):
            named.append(hole)
            records += int(entry.body.attributes["records"])
    first, last = min(a for a, _ in named), max(b for _, b in named)
    times = [entry.header.wall_ms for entry in entries]
    return Gap(cause, min(times), max(times), {"first": first, "last": last, "records": records})
