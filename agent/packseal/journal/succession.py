"""Succession: after a repair each battery goes on in a new log, which names the old one and signs what it has lost.

What every succession says of the old log is here too; `packseal.journal.epochs` uses it.

The old log is left as it was rescued. Nobody knows whether records after its last one had left the gateway before the
damage: a record written in their place would be a fork.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packseal.core.bodies import Body, Gap, GapCause, Kind, Lifecycle, LifecycleCode
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.cose import Signer
from packseal.core.passport import Snapshot
from packseal.core.record import LOG_ID_BYTES, parse
from packseal.core.sample import Instant
from packseal.journal.rescue import Hole
from packseal.journal.store import Journal, Log

REPAIRED = "journal repaired"
RECORDS_BACK = 1000
"""Where a snapshot is looked for, as at the agent's start."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who signs, under which name, in which boot."""

    signer: Signer
    issuer: str
    boot_id: bytes


@dataclass(frozen=True, slots=True)
class Loss:
    """A log that was rescued, and what is missing of it. `state`: its meter state, None where that is lost."""

    log: Log
    holes: Sequence[Hole]
    state: bytes | None


def succeed(
    journal: Journal, losses: Sequence[Loss], author: Author, at: Instant, state_of: Callable[[Snapshot], bytes]
) -> bytes:
    """Begin the log that goes on after these ones of one battery, oldest first; return its id.

    Its counters go on from the saved state, or from the last snapshot.

    Raises:
        StorageError: the journal cannot be written.
    """
    last = losses[-1]
    bodies: list[Body] = [Lifecycle(LifecycleCode.LOG_BEGUN, link(journal, last.log, REPAIRED))]
    bodies += [_gap(loss.log, hole, at) for loss in losses for hole in loss.holes]
    state, recovered = counters(journal, last, REPAIRED, state_of)
    bodies += recovered
    log_id = os.urandom(LOG_ID_BYTES)
    journal.begin_log(last.log.subject, log_id, last.log.kind)
    pen = Pen(author.signer, author.issuer, last.log.subject, log_id, author.boot_id, Head())
    records: list[SealedRecord] = [pen.write(body, at) for body in bodies]
    journal.append(log_id, records, state)
    return log_id


def link(journal: Journal, log: Log, reason: str) -> dict[str, int | str | bytes]:
    """Return what the first record of a log says of the one that it goes on after."""
    end = journal.last(log.log_id)
    facts: dict[str, int | str | bytes] = {"reason": reason, "previous_log": log.log_id}
    return facts if end is None else facts | {"previous_sequence": end.sequence, "previous_hash": end.hash}


def counters(
    journal: Journal, last: Loss, reason: str, state_of: Callable[[Snapshot], bytes]
) -> tuple[bytes | None, list[Lifecycle]]:
    """Return the meter state to go on from, and what to say where it had to be taken from the last snapshot."""
    snapshot = _last_snapshot(journal, last.log.log_id) if last.state is None else None
    if snapshot is None:
        return last.state, []
    return state_of(snapshot), [Lifecycle(LifecycleCode.METER_RECOVERED, {"reason": reason})]


def _gap(log: Log, hole: Hole, at: Instant) -> Gap:
    facts: dict[str, int | str | bytes] = {"log": log.log_id, "first": hole.first}
    if hole.last is not None:
        facts["last"] = hole.last
    now_ms = max(0, at.wall_ns // 1_000_000)
    return Gap(GapCause.DAMAGED, hole.from_wall_ms, now_ms if hole.to_wall_ms is None else hole.to_wall_ms, facts)


def _last_snapshot(journal: Journal, log_id: bytes) -> Snapshot | None:
    end = journal.head(log_id).next_sequence
    found = [r for r in journal.records(log_id, max(0, end - RECORDS_BACK)) if r.kind is Kind.SNAPSHOT]
    body = parse(found[-1].raw).body if found else None
    return body if isinstance(body, Snapshot) else None
