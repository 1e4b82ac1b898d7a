"""packseal verify: records and receipts in a file against public keys. Needs no configuration, journal or network."""

import argparse
import json
import mmap
import sys
from pathlib import Path
from typing import Any

from packseal.cli.audit import Audit
from packseal.cli.deliveries import Deliveries
from packseal.cli.present import Progress, counted, word
from packseal.cli.record_json import as_json
from packseal.cli.record_text import snapshot_lines, summary
from packseal.core import archive, cose, proof, record
from packseal.core.archive import Content, Piece
from packseal.core.errors import FormatError, InputError
from packseal.core.passport import Snapshot
from packseal.core.record import Record

SQLITE = b"SQLite format 3\x00"  # https://sqlite.org/fileformat2.html §1.3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("file", metavar="FILE", help="a record, an exported log or a proof; - is standard input")
    parser.add_argument(
        "--key",
        type=Path,
        metavar="PUB",
        action="append",
        required=True,
        help="gateway's public key (PEM); may be repeated",
    )
    parser.add_argument(
        "--sink-key",
        type=Path,
        metavar="PUB",
        action="append",
        default=[],
        help="sink's, for receipts; may be repeated",
    )
    parser.add_argument("--json", action="store_true", help="the findings, for programs")


def execute(args: argparse.Namespace) -> int:
    """Verify every record; returns 0 only when there is at least one and all are well."""
    keys = read_keys(args.key)
    content = read_content(args.file)
    audit = Audit(keys)
    deliveries = Deliveries(audit, read_keys(args.sink_key))
    progress = Progress("verifying", len(content))
    for number, piece in enumerate(archive.pieces(content)):
        _take(audit, deliveries, piece, number)
        progress.at(piece.start)
    progress.end()
    audit.finish()
    if not audit.verified and not audit.faults.count:
        audit.faults.add(f"{args.file} is empty")
    report(audit, deliveries, as_machine=args.json)
    return 1 if audit.faults.count else 0


def read_keys(paths: list[Path]) -> dict[bytes, cose.PublicKey]:
    """Return the public keys in these files by thumbprint; raises InputError."""
    keys = {}
    for path in paths:
        try:
            key = cose.public_key_from_pem(path.read_bytes())
        except OSError as error:
            raise InputError(f"cannot read key {path}: {error.strerror}") from error
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        keys[key.kid] = key
    return keys


def read_content(name: str) -> Content:
    """Return the bytes of the file, mapped where it is one; raises InputError."""
    try:
        if name == "-":
            return sys.stdin.buffer.read()
        with Path(name).open("rb") as file:
            if file.read(len(SQLITE)) == SQLITE:
                raise InputError(f"{name} is a journal: use packseal journal verify --journal {name}")
            file.seek(0)
            try:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (ValueError, OSError):  # empty, or no regular file
                return file.read()
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error


def report(audit: Audit, deliveries: Deliveries | None = None, *, as_machine: bool) -> None:
    """Print what was found; a lone record, and one that is proven to be received, in full."""
    received = deliveries if deliveries is not None and deliveries.found else None
    alone = (
        next(iter(audit.logs.values())).first if audit.verified == 1 or (received and len(audit.logs) == 1) else None
    )
    if as_machine:
        _report_json(audit, received, alone)
        return
    for log in audit.logs.values():
        print("\n".join(log.lines()), end="\n\n")
    if alone is not None and isinstance(alone.body, Snapshot):
        print("\n".join(snapshot_lines(alone.body)), end="\n\n")
    elif alone is not None and received:
        print(f"record    {alone.header.sequence}: {word(alone.kind)}, {summary(alone)}\n")
    for line in audit.faults.told():
        print(f"WRONG     {line}")
    if audit.faults.count:
        print(f"NOT VERIFIED: {counted(audit.faults.count, 'fault')}; sound in themselves: {audit.verified}")
        return
    # What a receipt covers hangs on every link before it, so nothing is said of it while anything is wrong.
    if received:
        print("\n".join(received.lines()), end="\n\n")
    lost = any(log.lost.count or log.removed for log in audit.logs.values())
    left = " that is left" if lost else ""
    links = f", and every link of the chain{left}" if audit.verified > 1 else ""
    also = f", and {counted(len(received.found), 'receipt')} of the sink" if received else ""
    print(f"verified: {counted(audit.verified, 'record')}{links}{also}")


def _report_json(audit: Audit, received: Deliveries | None, alone: Record | None) -> None:
    found: dict[str, Any] = {
        "ok": not audit.faults.count,
        "verified": audit.verified,
        "faults": audit.faults.count,
        "first_faults": audit.faults.lines,
        "logs": [log.as_json() for log in audit.logs.values()],
    }
    if received and not audit.faults.count:
        found["received"] = received.as_json()
    if alone is not None:
        found["record"] = as_json(alone)
    print(json.dumps(found, indent=2))


def _take(audit: Audit, deliveries: Deliveries, piece: Piece, number: int) -> None:
    where = f"item {number} at byte {piece.start}"
    if not piece.damaged:
        kid = proof.receipt_kid(piece.raw)
        if kid is None:
            audit.take(piece.raw, where)
        else:
            deliveries.take(piece.raw, kid, where)
        return
    try:
        record.parse(piece.raw)
    except FormatError as error:
        audit.faults.add(f"{where}: {len(piece.raw)} bytes that are no record: {error}")
