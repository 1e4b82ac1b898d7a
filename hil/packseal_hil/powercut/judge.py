"""Whether a journal that survived a cut holds what was promised; opened and verified with the product's own code."""

import contextlib
import enum
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from packseal.core.bodies import Kind
from packseal.core.chain import SealedRecord
from packseal.core.errors import FormatError, StorageError, VerifyError
from packseal.core.meter.state import MeterState
from packseal.journal.store import Journal, Log, LogKind
from packseal_hil.powercut.chains import Chains


class Fault(enum.StrEnum):
    """What a cut may have done."""

    LOST = "acknowledged records are lost"
    DIFFERENT = "a record is not the one that was acknowledged"
    CORRUPT = "the journal is damaged"
    CHAIN = "a chain is broken"
    STATE = "the meter state does not belong to the last window"
    RESTART = "the next start does not go on as it should"
    DISK = "the file system needs more than a mount to be mended"


class Finding(NamedTuple):
    """One thing that is not as it should be. `records` counts the lost ones."""

    fault: Fault
    text: str
    records: int = 0


class Promise(NamedTuple):
    """The newest record of a log that somebody was told is stored; no hash where only its number was said."""

    sequence: int
    hash: bytes | None = None


Received = Mapping[bytes, Promise]
"""By log id. Every record before the promised one is promised too."""


def judge(journal: Path, received: Received, chains: Chains) -> list[Finding]:
    """Return everything that is wrong with the journal file at `journal`, nothing when all is well.

    The file is opened as the agent does, which makes an empty one where there is none: a journal that did not yet
    exist is well as long as nothing was promised of it.
    """
    try:
        with Journal.open(journal) as opened:
            findings = _read(opened, received, chains)
    except StorageError as error:
        findings = [Finding(Fault.CORRUPT, str(error)), *_all_lost(received)]
    return [*findings, *_check_integrity(journal)]


def _read(journal: Journal, received: Received, chains: Chains) -> list[Finding]:
    logs = {log.log_id: log for log in journal.logs()}
    findings = _all_lost({log_id: promise for log_id, promise in received.items() if log_id not in logs})
    for log in logs.values():
        records = list(journal.records(log.log_id))
        findings += _check_chain(log, records, chains)
        if log.log_id in received:
            findings += _check_promise(log, records, received[log.log_id])
        if log.kind is LogKind.BATTERY:
            findings += _check_state(journal, log, records)
    return findings


def _check_chain(log: Log, records: list[SealedRecord], chains: Chains) -> list[Finding]:
    try:
        chains.verify(log.log_id, records)
    except (FormatError, VerifyError) as error:
        return [Finding(Fault.CHAIN, f"log of {log.subject}: {error}")]
    return []


def _check_promise(log: Log, records: list[SealedRecord], promise: Promise) -> list[Finding]:
    found = {record.sequence: record.hash for record in records}
    missing = sum(sequence not in found for sequence in range(promise.sequence + 1))
    if missing:
        text = f"log of {log.subject}: {missing} of the {promise.sequence + 1} that were acknowledged"
        return [Finding(Fault.LOST, text, missing)]
    if promise.hash is not None and found[promise.sequence] != promise.hash:
        return [Finding(Fault.DIFFERENT, f"log of {log.subject}: record {promise.sequence}")]
    return []


def _all_lost(received: Received) -> list[Finding]:
    return [
        Finding(Fault.LOST, f"log {log_id.hex()} is gone with {promise.sequence + 1} records", promise.sequence + 1)
        for log_id, promise in received.items()
    ]


def _check_state(journal: Journal, log: Log, records: list[SealedRecord]) -> list[Finding]:
    """Compare the meter's last sample with the last window: both were stored in one transaction."""
    try:
        saved = journal.state(log.log_id)
        state = MeterState() if saved is None else msgspec.msgpack.decode(saved, type=MeterState)
    except (StorageError, msgspec.DecodeError) as error:
        return [Finding(Fault.STATE, f"log of {log.subject}: {error}")]
    windows = [record.wall_ms for record in records if record.kind is Kind.TELEMETRY]
    # A telemetry record carries the time of its window's last sample, and so does the state that goes with it.
    expected = windows[-1] if windows else 0
    if state.last_wall_ms != expected:
        text = f"log of {log.subject}: its last sample is of {state.last_wall_ms} ms, the last window's of {expected}"
        return [Finding(Fault.STATE, text)]
    return []


def _check_integrity(journal: Path) -> list[Finding]:
    try:
        with contextlib.closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            rows = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        rows = [str(error)]
    return [] if rows == ["ok"] else [Finding(Fault.CORRUPT, " | ".join(rows[:3]))]
