"""packseal journal check and backup: is the file whole, and a copy of it. Both work while an agent is writing."""

import argparse
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from packseal.cli import whole_file
from packseal.cli.audit import Bounded
from packseal.cli.journal_source import Source, each
from packseal.cli.present import Progress, counted, safe
from packseal.core import chain
from packseal.core.bodies import Gap, GapCause
from packseal.core.chain import Head, SealedRecord
from packseal.core.errors import FormatError, InputError, StorageError, VerifyError
from packseal.core.holes import Hole, covers, hole_of, merged
from packseal.core.record import Record, parse
from packseal.journal import integrity
from packseal.journal.store import Journal, Log


def run_check(args: argparse.Namespace, source: Source) -> int:
    """Check pages, rows and chains, without any key; returns 0 only when all is whole."""
    faults = Bounded()
    for line in integrity.file_faults(source.path):
        faults.add(f"file: {line}")
    counts, holes = {}, Holes()
    for log in source.journal.logs():
        try:
            counts[log] = _walk(source.journal, log, faults, holes)
        except StorageError as error:
            faults.add(f"log {log.log_id.hex()[:8]}: {error}")
    for line in holes.unnamed():
        faults.add(line)
    if args.json:
        records = {log.log_id.hex(): count for log, count in counts.items()}
        print(json.dumps({"ok": not faults.count, "records": records, "first_faults": faults.lines}, indent=2))
        return 1 if faults.count else 0
    for log, count in counts.items():
        print(f"log {log.log_id.hex()[:8]} ({safe(log.subject)}): {counted(count, 'record')}")
    for line in faults.told():
        print(f"WRONG     {line}")
    if faults.count:
        print(f"DAMAGED: {counted(faults.count, 'fault')}; packseal journal repair saves what is sound")
        return 1
    print("whole: every page, row and link of the chains (for signatures: packseal journal verify)")
    return 0


@dataclass(slots=True)
class Holes:
    """Missing records, and what the logs say that a damage has cost or that they have removed."""

    found: set[tuple[Log, int, int]] = field(default_factory=set)
    named: set[tuple[object, ...]] = field(default_factory=set)
    removed: dict[bytes, list[Hole]] = field(default_factory=dict)

    def note(self, log: Log, entry: Record, expected: int) -> None:
        """Take the next record of a log into account."""
        if entry.header.sequence > expected:
            self.found.add((log, expected, entry.header.sequence - 1))
        if isinstance(entry.body, Gap) and entry.body.cause is GapCause.DAMAGED:
            facts = entry.body.attributes
            self.named.add((log.subject, facts.get("log"), facts.get("first"), facts.get("last")))

        hole = hole_of(entry)
        if hole is not None:
            self.removed.setdefault(log.log_id, []).append(hole)

    def unnamed(self) -> list[str]:
        """Return the holes that no record of the same battery names."""
        removed = {log_id: merged(named) for log_id, named in self.removed.items()}
        return [
            f"log {log.log_id.hex()[:8]} row {last + 1}: record {last + 1} stands where {first} must follow"
            for log, first, last in sorted(self.found, key=lambda hole: hole[1])
            if (log.subject, log.log_id, first, last) not in self.named
            and not covers(removed.get(log.log_id, ()), first, last)
        ]


def _walk(journal: Journal, log: Log, faults: Bounded, holes: Holes) -> int:
    """Note every record that is not what its row says or does not follow the one before; return how many there are."""
    end = journal.head(log.log_id).next_sequence
    progress = Progress("checking", end)
    head, begins = None, journal.begins(log.log_id)
    count = 0
    for sealed in each(journal, log, 0, end):
        try:
            expected = head.next_sequence if head else begins
            holes.note(log, _follow(log, sealed, head), expected)
        except (FormatError, VerifyError) as error:
            faults.add(f"log {log.log_id.hex()[:8]} row {sealed.sequence}: {error}")
        head = Head(sealed.sequence + 1, sealed.hash)
        count += 1
        progress.at(sealed.sequence)
    progress.end()
    try:
        journal.state(log.log_id)
    except StorageError as error:
        faults.add(f"log {log.log_id.hex()[:8]}: {error}")
    return count


def _follow(log: Log, sealed: SealedRecord, head: Head | None) -> Record:
    """Return the record of a row; raise when it is another one or is not linked to the one right before it."""
    entry = parse(sealed.raw)
    if (entry.header.log_id, entry.header.sequence, entry.hash) != (log.log_id, sealed.sequence, sealed.hash):
        raise VerifyError("its row tells of another record")
    if head is not None and entry.header.sequence <= head.next_sequence:
        chain.advance(head, entry)
    return entry


def run_backup(args: argparse.Namespace, source: Source) -> int:
    """Copy the journal as it is now to a file, whole or not at all."""
    path = Path(args.file)
    if path.exists() and path.samefile(source.path):
        raise InputError(f"{path} is the journal itself: name another file")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    part = Path(name)
    try:
        progress = Progress("copying", 100)
        integrity.back_up(source.path, part, lambda done, pages: progress.at(100 * done // max(1, pages)))
        progress.end()
        os.fsync(descriptor)
        whole_file.publish(part, path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)
        for side in ("", "-journal", "-wal"):  # SQLite leaves its own beside a copy that failed
            part.with_name(part.name + side).unlink(missing_ok=True)
    print(f"{path}: {path.stat().st_size} bytes, a copy of the journal as it was; keep the key with it")
    return 0
