"""packseal journal prove: one record, the chain to a receipt of the sink that covers it, and that receipt."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from packseal.cli import whole_file
from packseal.cli.journal_source import Source, chosen_one, each
from packseal.cli.present import counted
from packseal.core import chain
from packseal.core.chain import Head
from packseal.core.errors import FormatError, InputError, StorageError, VerifyError
from packseal.core.holes import covers
from packseal.core.record import parse
from packseal.journal.store import Journal, Log


def run_prove(args: argparse.Namespace, source: Source) -> int:
    """Write the proof of one record to a file, with the oldest receipt that covers it."""
    log = chosen_one(source, args.log)
    sequence = args.sequence
    if source.journal.record(log.log_id, sequence) is None:
        end = source.journal.head(log.log_id).next_sequence
        raise InputError(f"log {log.log_id.hex()[:8]} has no record {sequence}; it ends before {end}")
    receipts = source.journal.receipts(log.log_id, sequence)
    if not receipts:
        raise InputError(
            f"the sink has not receipted record {sequence} yet, only what is before "
            f"{source.journal.delivered(log.log_id)}: nothing can be proven of it"
        )
    last, receipt = receipts[0]
    parts = _parts(source.journal, log, (sequence, last), receipt)
    if args.file == "-":
        sys.stdout.buffer.writelines(list(parts))
        sys.stdout.buffer.flush()
        return 0
    path = Path(args.file or f"record-{sequence}.proof")
    links = whole_file.write(path, parts) - 2
    print(
        f"record {sequence} of log {log.log_id.hex()[:8]}, {counted(links, 'record')} after it and the sink's receipt "
        f"for record {last} in {path}\n"
        f"check it with packseal verify {path} --key GATEWAY.pub --sink-key SINK.pub"
    )
    return 0


def _parts(journal: Journal, log: Log, span: tuple[int, int], receipt: bytes) -> Iterator[bytes]:
    """Yield the records from the first to the last of `span`, then the receipt; refuse a chain that does not hold."""
    head, holes = None, journal.holes(log.log_id)
    for sealed in each(journal, log, span[0], span[1] + 1):
        try:
            entry = parse(sealed.raw)
            if head and covers(holes, head.next_sequence, sealed.sequence - 1) and sealed.sequence > head.next_sequence:
                raise InputError(
                    f"record {span[0]} cannot be proven: {head.next_sequence} to {sealed.sequence - 1}, between it and "
                    "the receipt, were removed before they were sent"
                )
            head = chain.advance(head or Head(span[0], entry.header.previous), entry)
        except (FormatError, VerifyError) as error:
            raise StorageError(f"the journal is damaged at record {sealed.sequence}: {error}") from error
        yield sealed.raw
    if head is None or head.next_sequence != span[1] + 1:
        raise StorageError(f"the journal is damaged: records up to {span[1]} are missing")
    yield receipt
