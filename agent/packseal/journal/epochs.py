"""Epochs: after a contradiction the battery goes on in a new log, which names the old one and the sink's word on it.

What the sink does not hold of our old log is sealed again into the new one, with its times: nothing sealed is lost, and
nothing comes to the sink twice. See docs/adr/0012-epochs.md.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from packseal.core.bodies import HOLE_CAUSES, Attributes, Body, Gap, Lifecycle, LifecycleCode
from packseal.core.chain import NS_PER_MS, Head, Pen, SealedRecord
from packseal.core.errors import StorageError
from packseal.core.exchange import Receipt
from packseal.core.passport import Snapshot
from packseal.core.record import LOG_ID_BYTES, parse
from packseal.core.sample import Instant
from packseal.journal import contradictions, succession
from packseal.journal.contradictions import REASONS, Contradiction
from packseal.journal.store import Journal, Log, LogKind
from packseal.journal.succession import Author, Loss

COUNTERS = "they go on from this journal: what the sink holds of previous_log after shared_sequence is not in them"

LEAST_APART_MS = 3_600_000
"""A device that keeps contradicting us can make us begin one log per battery and hour, and no more."""

CHUNK_RECORDS, CHUNK_BYTES = 256, 1 << 20
"""Held in memory at once while records are sealed again."""

StateOf = Callable[[Snapshot], bytes]


@dataclass(frozen=True, slots=True)
class _Missing:
    """Our records that are not proven to be at the sink: the first and last number, and how many."""

    first: int
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class _Task:
    """What a new log is written from, besides the old one."""

    missing: _Missing | None
    author: Author
    at: Instant
    state_of: StateOf


def contradicts(journal: Journal, receipt: Receipt) -> bool:
    """Whether this verified receipt names a record that is not ours, or one after our last; raises StorageError.

    Where we have removed it, the record after it says its hash; where that is gone too, nobody can tell.
    """
    if receipt.sequence >= journal.head(receipt.log_id).next_sequence:
        return True
    ours = journal.hash_of(receipt.log_id, receipt.sequence)
    return ours is not None and ours != receipt.hash


def may_begin(journal: Journal, log_id: bytes, now_ms: int) -> bool:
    """Whether a contradiction of this log may be acted on now, or one of the same battery was just before."""
    subjects = {log.log_id: log.subject for log in journal.logs()}
    ages_ms = [now_ms - c.noticed_ms for c in journal.contradictions() if subjects[c.log_id] == subjects[log_id]]
    # A negative age: the clock was set back meanwhile, and says nothing.
    return not any(0 <= age_ms < LEAST_APART_MS for age_ms in ages_ms)


def note(journal: Journal, receipt: Receipt, shared: int, now_ms: int) -> None:
    """Keep that this receipt contradicts its log, of which the records before `shared` are proven to be at the sink."""
    end = journal.head(receipt.log_id).next_sequence
    named = receipt.log_id, receipt.raw, receipt.sequence, receipt.hash, receipt.wall_ms
    with journal.together() as connection:
        contradictions.note(connection, Contradiction(*named, now_ms, end, shared))


def succeed(journal: Journal, ended: Contradiction, author: Author, at: Instant, state_of: StateOf) -> bytes:
    """Begin the log that goes on after a contradicted one, in one transaction; return its id.

    No log is begun where another one has gone on already and everything is at the sink.

    Raises:
        StorageError: the journal cannot be written; nothing is then done.
    """
    (log,) = (log for log in journal.logs() if log.log_id == ended.log_id)
    family = [other for other in journal.logs() if (other.subject, other.kind) == (log.subject, log.kind)]
    missing = _missing(journal, ended)
    with journal.together() as connection:
        successor = _known(journal, ended, family)
        if successor is None and log != family[-1] and not missing:
            successor = family[-1].log_id
        if successor is None:
            successor = _begin(journal, ended, (log, family[-1]), _Task(missing, author, at, state_of))
        contradictions.succeeded(connection, ended.log_id, successor)
    return successor


def _missing(journal: Journal, ended: Contradiction) -> _Missing | None:
    first, last, count = -1, -1, 0
    for entry in journal.records(ended.log_id, ended.shared):
        first, last, count = first if count else entry.sequence, entry.sequence, count + 1
    return _Missing(first, last, count) if count else None


def _known(journal: Journal, ended: Contradiction, family: Sequence[Log]) -> bytes | None:
    """Return the log that has gone on after `ended` already, as its first record says: a repair forgets the rest."""
    for log in family:
        first = journal.record(log.log_id, 0)
        body = None if first is None else parse(first.raw).body
        facts: Attributes = body.attributes if isinstance(body, Lifecycle) else {}
        if facts.get("previous_log") == ended.log_id and facts.get("reason") in REASONS.values():
            return log.log_id
    return None


def _begin(journal: Journal, ended: Contradiction, logs: tuple[Log, Log], task: _Task) -> bytes:
    """Write the new log. `logs` are the one that was ended, and the newest of its battery, whose counters go on."""
    log, newest = logs
    log_id = os.urandom(LOG_ID_BYTES)
    journal.begin_log(log.subject, log_id, log.kind)
    facts = _facts(journal, ended, log, task.missing)
    pen = _pen(task.author, log, log_id, Head())
    journal.append(log_id, [pen.write(Lifecycle(LifecycleCode.LOG_BEGUN, facts), task.at)])
    if task.missing is not None:
        pen = _copy(journal, log, task, pen, log_id)
    loss = Loss(newest, (), _state(journal, newest))
    state, recovered = succession.counters(journal, loss, ended.reason, task.state_of)
    journal.append(log_id, [pen.write(body, task.at) for body in recovered], state)
    return log_id


def _facts(journal: Journal, ended: Contradiction, log: Log, missing: _Missing | None) -> Attributes:
    facts = succession.link(journal, log, ended.reason)
    facts |= {"sink_sequence": ended.sequence, "sink_hash": ended.hash, "sink_wall_ms": ended.signed_ms}
    shared = journal.record(log.log_id, ended.shared - 1) if ended.shared else None
    if shared is not None:
        facts |= {"shared_sequence": shared.sequence, "shared_wall_ms": shared.wall_ms}
    facts["copied"] = 0 if missing is None else missing.count
    if missing is not None:
        facts |= {"copied_from": missing.first, "copied_to": missing.last}
    return facts | {"counters": COUNTERS} if log.kind is LogKind.BATTERY else facts


def _state(journal: Journal, log: Log) -> bytes | None:
    try:
        return journal.state(log.log_id)
    except StorageError:
        return None  # damaged: the last snapshot is taken, and the log says so


def _copy(journal: Journal, log: Log, task: _Task, pen: Pen, log_id: bytes) -> Pen:
    """Seal every record that is missing at the sink again, at its time and in its boot; return the pen that goes on."""
    start = 0 if task.missing is None else task.missing.first
    while raws := journal.read(log.log_id, start, CHUNK_RECORDS, CHUNK_BYTES):
        records: list[SealedRecord] = []
        for entry in map(parse, raws):
            header = entry.header
            pen = _pen(replace(task.author, boot_id=header.boot_id), log, log_id, pen.head)
            at = Instant(header.mono_ms * NS_PER_MS, header.wall_ms * NS_PER_MS, header.quality)
            records.append(pen.write(_carried(entry.body, log), at))
            start = header.sequence + 1
        journal.append(log_id, records)
    return _pen(task.author, log, log_id, pen.head)


def _pen(author: Author, log: Log, log_id: bytes, head: Head) -> Pen:
    return Pen(author.signer, author.issuer, log.subject, log_id, author.boot_id, head)


def _carried(body: Body, log: Log) -> Body:
    """Return the body as it stands in the new log: what was removed from the old log is not missing in this one."""
    if isinstance(body, Gap) and body.cause in HOLE_CAUSES:
        return replace(body, attributes={**body.attributes, "log": log.log_id})
    return body
