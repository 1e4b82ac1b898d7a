"""packseal verify: records in a file against public keys. Needs no configuration, journal, network or running agent."""

import argparse
import json
import mmap
import sys
from pathlib import Path

from packseal.cli.audit import Audit
from packseal.cli.present import Progress, counted
from packseal.cli.record_json import as_json
from packseal.cli.record_text import snapshot_lines
from packseal.core import archive, cose, record
from packseal.core.archive import Content, Piece
from packseal.core.errors import FormatError, InputError
from packseal.core.passport import Snapshot

SQLITE = b"SQLite format 3\x00"  # https://sqlite.org/fileformat2.html §1.3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("file", metavar="FILE", help="one record, or an exported log; - reads standard input")
    parser.add_argument(
        "--key", type=Path, metavar="PUB", action="append", required=True, help="public key (PEM); may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="the findings, for programs")


def execute(args: argparse.Namespace) -> int:
    """Verify every record; returns 0 only when there is at least one and all are well."""
    keys = read_keys(args.key)
    content = read_content(args.file)
    audit = Audit(keys)
    progress = Progress("verifying", len(content))
    for number, piece in enumerate(archive.pieces(content)):
        _take(audit, piece, number)
        progress.at(piece.start)
    progress.end()
    if not audit.verified and not audit.faults.count:
        audit.faults.add(f"{args.file} is empty")
    report(audit, as_machine=args.json)
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


def report(audit: Audit, *, as_machine: bool) -> None:
    """Print what was found; a lone record in full."""
    alone = next(iter(audit.logs.values())).first if audit.verified == 1 else None
    if as_machine:
        found = {
            "ok": not audit.faults.count,
            "verified": audit.verified,
            "faults": audit.faults.count,
            "first_faults": audit.faults.lines,
            "logs": [log.as_json() for log in audit.logs.values()],
        }
        print(json.dumps(found if alone is None else {**found, "record": as_json(alone)}, indent=2))
        return
    for log in audit.logs.values():
        print("\n".join(log.lines()), end="\n\n")
    if alone is not None and isinstance(alone.body, Snapshot):
        print("\n".join(snapshot_lines(alone.body)), end="\n\n")
    for line in audit.faults.told():
        print(f"WRONG     {line}")
    if audit.faults.count:
        print(f"NOT VERIFIED: {counted(audit.faults.count, 'fault')}; sound in themselves: {audit.verified}")
    else:
        links = ", and every link of the chain" if audit.verified > 1 else ""
        print(f"verified: {counted(audit.verified, 'record')}{links}")


def _take(audit: Audit, piece: Piece, number: int) -> None:
    where = f"item {number} at byte {piece.start}"
    if not piece.damaged:
        audit.take(piece.raw, where)
        return
    try:
        record.parse(piece.raw)
    except FormatError as error:
        audit.faults.add(f"{where}: {len(piece.raw)} bytes that are no record: {error}")
