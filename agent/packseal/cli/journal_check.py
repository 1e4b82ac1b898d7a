"""packseal journal export and verify."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from packseal.cli import whole_file
from packseal.cli.audit import Audit
from packseal.cli.journal_source import Source, chosen, chosen_one, each
from packseal.cli.present import Progress
from packseal.cli.verify import read_keys, report
from packseal.core import cose, exchange
from packseal.core.chain import SealedRecord
from packseal.core.errors import InputError, PacksealError
from packseal.core.record import Record
from packseal.journal.store import Journal, Log


def run_export(args: argparse.Namespace, source: Source) -> int:
    """Write the records of one log, as they were signed, one after the other."""
    log = chosen_one(source, args.log)
    records = _watched(source.journal, log, "exporting")
    if args.file == "-":
        for entry in records:
            sys.stdout.buffer.write(entry.raw)
        sys.stdout.buffer.flush()
        return 0
    count = whole_file.write(Path(args.file), (entry.raw for entry in records))
    print(f"{count} records of log {log.log_id.hex()[:8]} in {args.file}; check them with packseal verify")
    return 0


def run_verify(args: argparse.Namespace, source: Source) -> int:
    """Verify every log; returns 0 only when all is well."""
    paths = args.key or ([source.gateway_key] if source.gateway_key else [])
    if not paths:
        raise InputError("which key signed? Name it with --key PUB, or the configuration with --config FILE")
    audit = Audit(read_keys(paths))
    sink_path = args.sink_key or source.sink_key
    sinks = read_keys([sink_path]) if sink_path else {}
    for log in chosen(source, args.log):
        for sealed in _watched(source.journal, log, "verifying"):
            where = f"log {log.log_id.hex()[:8]} row {sealed.sequence}"
            entry = audit.take(sealed.raw, where)
            if entry is not None:
                _check_index(audit, log, sealed, entry, where)
        _check_receipt(audit, source.journal, log, sinks)
    audit.finish()
    report(audit, as_machine=args.json)
    return 1 if audit.faults.count else 0


def _check_index(audit: Audit, log: Log, sealed: SealedRecord, entry: Record, where: str) -> None:
    """Note where the journal's columns, by which records are found, are not what the record says."""
    said = (log.log_id, log.subject, sealed.sequence, sealed.kind, sealed.wall_ms, sealed.hash)
    header = entry.header
    true = (header.log_id, entry.subject, header.sequence, entry.kind, header.wall_ms, entry.hash)
    names = ("log id", "battery", "sequence", "kind", "time", "hash")
    wrong = [name for name, a, b in zip(names, said, true, strict=True) if a != b]
    if wrong:
        audit.faults.add(f"{where}: the index is wrong about the record's {' and '.join(wrong)}")


def _check_receipt(audit: Audit, journal: Journal, log: Log, sinks: Mapping[bytes, cose.PublicKey]) -> None:
    """Note a receipt that is not the sink's, or is about a record that this journal does not hold."""
    raw, delivered = journal.receipt(log.log_id), journal.delivered(log.log_id)
    where = f"log {log.log_id.hex()[:8]} receipt"
    if raw is None:
        if delivered:
            audit.faults.add(f"{where}: {delivered} records count as delivered, but there is none")
        return
    if not sinks:
        print(f"{where}: not checked, the sink's key is not given (--sink-key PUB)", file=sys.stderr)
        return
    for sequence, kept in journal.receipts(log.log_id):
        try:
            receipt = exchange.verify_receipt(kept, next(iter(sinks.values())))
        except PacksealError as error:
            audit.faults.add(f"{where}: {error}")
            continue
        held = journal.hash_of(log.log_id, receipt.sequence)
        if held is None and journal.is_removed(log.log_id, receipt.sequence):
            continue  # nobody can tell any more
        if (log.log_id, sequence, held) != (receipt.log_id, receipt.sequence, receipt.hash):
            audit.faults.add(f"{where}: it is about record {receipt.sequence}, which is not the one that is held here")


def _watched(journal: Journal, log: Log, what: str) -> Iterator[SealedRecord]:
    end = journal.head(log.log_id).next_sequence
    progress = Progress(what, end)
    for entry in each(journal, log, 0, end):
        yield entry
        progress.at(entry.sequence)
    progress.end()
