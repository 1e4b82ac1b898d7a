"""The snapshot that `packseal export` writes out: the newest of a battery, from a journal or a file, and verified."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from packseal.cli.audit import Audit
from packseal.cli.journal_list import newest
from packseal.cli.journal_source import Source, chosen_one, open_source
from packseal.cli.present import Progress, safe
from packseal.cli.verify import read_content, read_keys
from packseal.core import archive
from packseal.core.bodies import Kind
from packseal.core.errors import InputError, VerifyError
from packseal.core.passport import Snapshot
from packseal.core.record import Record


@dataclass(frozen=True, slots=True)
class Found:
    """A verified record that is a snapshot, and the category that the configuration declares for its battery."""

    entry: Record
    snapshot: Snapshot
    category: str | None


def found(args: argparse.Namespace) -> Found:
    """Return the snapshot that the arguments name.

    Raises:
        ConfigError, InputError, StorageError: it is not there, or it is not clear which.
        VerifyError: it is not what was signed.
    """
    return _in_file(args) if args.file is not None else _in_journal(args)


def _in_journal(args: argparse.Namespace) -> Found:
    source: Source = open_source(args.config, args.journal)
    with source.journal:
        keys = args.key or ([source.gateway_key] if source.gateway_key else [])
        log = chosen_one(source, args.battery)
        sealed = newest(source.journal, log, 1, Kind.SNAPSHOT)
        if not sealed:
            raise InputError(f"{safe(log.subject)} has no snapshot yet; the agent seals one with each window")
        audit = _audit(keys)
        entry = audit.take(sealed[0].raw, f"log {log.log_id.hex()[:8]} row {sealed[0].sequence}")
        _refuse_faults(audit, str(source.path))
        if entry is None or (entry.subject, entry.header.log_id) != (log.subject, log.log_id):
            raise VerifyError(f"record {sealed[0].sequence} is of another battery than its log {safe(log.subject)}")
    has_config = args.journal is None or args.config is not None
    return _told(entry, _category(args.config, entry.subject) if has_config else None)


def _in_file(args: argparse.Namespace) -> Found:
    content = read_content(args.file)
    if bytes(content[0:1]) in {b"{", b"["}:
        raise InputError(f"{args.file} is JSON, which carries no signature; give the record file itself")
    audit = _audit(args.key or _configured_keys(args.config))
    progress = Progress("verifying", len(content))
    last: dict[str, Record] = {}
    for number, piece in enumerate(archive.pieces(content)):
        entry = audit.take(piece.raw, f"item {number} at byte {piece.start}")
        if entry is not None and isinstance(entry.body, Snapshot):
            last[entry.subject] = entry
        progress.at(piece.start)
    progress.end()
    _refuse_faults(audit, args.file)
    entry = _one(last, args.battery, args.file)
    return _told(entry, _category(args.config, entry.subject) if args.config is not None else None)


def _one(last: dict[str, Record], wanted: str | None, where: str) -> Record:
    names = ", ".join(safe(name) for name in last) or "none"
    found_here = list(last.values()) if wanted is None else [e for name, e in last.items() if name == wanted]
    if not last:
        raise InputError(f"{where} has no snapshot")
    if len(found_here) != 1:
        raise InputError(f"name one battery with --battery; {where} has snapshots of {names}")
    return found_here[0]


def _audit(keys: list[Path]) -> Audit:
    if not keys:
        raise InputError("which key signed? Name it with --key PUB, or the configuration with --config FILE")
    return Audit(read_keys(keys))


def _refuse_faults(audit: Audit, where: str) -> None:
    audit.finish()
    if audit.faults.count:
        raise VerifyError(f"{where} is not sound, so nothing is exported: {audit.faults.lines[0]}")


def _told(entry: Record, category: str | None) -> Found:
    if not isinstance(entry.body, Snapshot):
        raise InputError(f"record {entry.header.sequence} is no snapshot")
    return Found(entry, entry.body, category)


def _configured_keys(config_path: Path | None) -> list[Path]:
    if config_path is None:
        return []
    from packseal import config  # noqa: PLC0415 - a file with its key needs no configuration

    return [config.load(config_path).key.with_suffix(".pub")]


def _category(config_path: Path | None, battery: str) -> str | None:
    from packseal import config  # noqa: PLC0415 - as above

    batteries = config.load(config_path).file.battery
    return next((b.declared.category for b in batteries if b.id == battery), None)
