"""Audit: what was sealed against what the sink holds and what its receipts cover, record by record and by hash."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from packseal.core import chain, cose, record
from packseal.core.bodies import Gap, GapCause, Telemetry
from packseal.core.chain import Head
from packseal.core.errors import FormatError, VerifyError
from packseal.core.exchange import verify_receipt
from packseal.core.record import Record, record_hash
from packseal.journal.store import Journal, Log, LogKind
from packseal_sink.database import Database
from packseal_sink.draft import SEQUENCE_BITS
from packseal_sink.writing import record_row

Keys = Mapping[str, cose.PublicKey]


@dataclass(slots=True)
class LogAudit:
    """What became of one log.

    `received` records are in the sink byte for byte, `verified` ones hold there by signature and chain, and `receipted`
    ones are covered by the newest receipt in the journal, itself verified. `foreign` counts records that the sink holds
    and the journal does not. `gaps` maps a cause to its count and seconds.
    """

    subject: str
    log_id: str
    is_battery: bool
    sealed: int = 0
    received: int = 0
    verified: int = 0
    receipted: int = 0
    foreign: int = 0
    samples: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    gaps: dict[str, tuple[int, float]] = field(default_factory=dict)
    trouble: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether every record sealed was received, verified and receipted, and nothing else is there."""
        return self.sealed == self.received == self.verified == self.receipted and not self.foreign

    @property
    def complaint(self) -> str:
        """What is missing, as one sentence; empty when nothing is."""
        if self.is_whole:
            return ""
        counts = f"{self.sealed} sealed, {self.received} received, {self.verified} verified, {self.receipted} receipted"
        more = f", {self.foreign} foreign" if self.foreign else ""
        return f"log {self.log_id[:8]} of {self.subject}: {counts}{more}{': ' + self.trouble if self.trouble else ''}"


def audit(journal_path: Path, sink_path: Path, gateway: cose.PublicKey, sink: cose.PublicKey) -> list[LogAudit]:
    """Compare every log of the journal with the sink's database, and return what was found, oldest log first.

    Raises:
        StorageError: journal or database cannot be read.
    """
    with Journal.open_to_read(journal_path) as journal, _reading(sink_path) as database:
        return [_audit_log(journal, database, log, gateway, sink) for log in journal.logs()]


def _audit_log(
    journal: Journal, database: sqlite3.Connection, log: Log, gateway: cose.PublicKey, sink: cose.PublicKey
) -> LogAudit:
    found = LogAudit(log.subject, log.log_id.hex(), log.kind is LogKind.BATTERY)
    covered = _covered(journal, log, sink, found)
    theirs = _stored(database, log.log_id)
    there = next(theirs, None)
    head: Head | None = Head()
    for ours in journal.records(log.log_id):
        found.sealed += 1
        found.receipted += ours.sequence < covered
        _count(found, record.parse(ours.raw))
        if there is None or there[0] != ours.sequence:
            found.trouble = found.trouble or f"the sink lacks record {ours.sequence}"
            continue
        if record_hash(there[1]) == ours.hash:
            found.received += 1
            head = _verify(there[1], gateway, head, found)
        else:
            found.trouble = found.trouble or f"the sink holds another record {ours.sequence}"
        there = next(theirs, None)
    found.foreign = (there is not None) + sum(1 for _ in theirs)
    return found


def _verify(raw: bytes, gateway: cose.PublicKey, head: Head | None, found: LogAudit) -> Head | None:
    """Return where the sink's chain stands after this record; None once it is broken."""
    try:
        entry = record.verify(raw, gateway)
        head = chain.advance(head or Head(entry.header.sequence, entry.header.previous), entry)
    except (FormatError, VerifyError) as error:
        found.trouble = found.trouble or str(error)
        return None
    found.verified += 1
    return head


def _covered(journal: Journal, log: Log, sink: cose.PublicKey, found: LogAudit) -> int:
    """Return the sequence number after the last record that a valid receipt covers."""
    raw = journal.receipt(log.log_id)
    if raw is None:
        return 0
    try:
        receipt = verify_receipt(raw, sink)
    except (FormatError, VerifyError) as error:
        found.trouble = f"its receipt does not hold: {error}"
        return 0
    named = journal.record(log.log_id, receipt.sequence)
    if receipt.log_id != log.log_id or named is None or named.hash != receipt.hash:
        found.trouble = "its receipt names another record"
        return 0
    return receipt.sequence + 1


def _count(found: LogAudit, entry: Record) -> None:
    found.kinds[entry.kind.name.lower()] += 1
    match entry.body:
        case Telemetry(count=count):
            found.samples += count
        case Gap(cause=cause, from_wall_ms=start, to_wall_ms=end):
            name = GapCause(cause).name.lower()
            count, seconds = found.gaps.get(name, (0, 0.0))
            found.gaps[name] = count + 1, seconds + (end - start) / 1000


def _stored(database: sqlite3.Connection, log_id: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield sequence number and bytes of every record that the sink holds of a log, in order."""
    for (row,) in database.execute("SELECT id FROM log WHERE log_id = ?", (log_id,)).fetchall():
        limits = record_row(row, 0), record_row(row + 1, 0)
        for number, raw in database.execute("SELECT id, raw FROM record WHERE id >= ? AND id < ? ORDER BY id", limits):
            yield number & ((1 << SEQUENCE_BITS) - 1), raw


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    database = Database(path, write=False)
    try:
        with database.reading() as connection:
            yield connection
    finally:
        database.close()
