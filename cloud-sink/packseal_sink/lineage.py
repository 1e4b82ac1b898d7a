"""Which log of a battery continues which, and whether what is stored here proves it."""

import sqlite3
from collections.abc import Mapping, Sequence

from packseal.core import record
from packseal.core.bodies import Attributes, Lifecycle
from packseal.core.errors import FormatError
from packseal.core.exchange import Refusal
from packseal_sink.views import Continuation
from packseal_sink.writing import record_row

_TEXTS = {
    "stored": "it continues log {log} after record {n}, which is stored here",
    "refused": "it continues a branch of log {log} whose record {n} was refused here",
    "branch": "it continues a branch of log {log} of which this sink has refused records, up to its record {n}",
    "removed": "it continues log {log} after record {n}, which the gateway had removed",
    "ahead": "it continues log {log} after record {n}, which has not come here",
    "contradicts": "it says that it continues log {log} after record {n}, but another record {n} is stored here",
    "unknown": "it continues log {log}, which this sink does not have",
    "nothing": "it continues log {log}, of which the gateway had nothing left",
}


def continuation(connection: sqlite3.Connection, row: int, logs: Mapping[bytes, int]) -> Continuation | None:
    """Return what a log's first record says of the log before it, checked against what is stored.

    Args:
        connection: the sink's database.
        row: the log.
        logs: rows by log id, of those that may be named.
    """
    facts = _facts(connection, row)
    previous, sequence, digest = (facts.get(f"previous_{part}") for part in ("log", "sequence", "hash"))
    if not isinstance(previous, bytes):
        return None
    number = sequence if isinstance(sequence, int) and isinstance(digest, bytes) else None
    proof = "nothing" if number is None else "unknown"
    if number is not None and previous in logs:
        proof = _proof(connection, logs[previous], number, digest if isinstance(digest, bytes) else b"")
    return Continuation(
        log_id=previous.hex(),
        sequence=number,
        reason=str(facts.get("reason", "")),
        proof=proof,
        text=_TEXTS[proof].format(log=f"{previous.hex()[:12]}…", n=number),
    )


def chain_of(newest: int, previous: Mapping[int, bytes | None], logs: Mapping[bytes, int]) -> Sequence[int]:
    """Return the rows of a log and of those before it that it continues, the newest first."""
    found = [newest]
    while (named := previous.get(found[-1])) is not None and named in logs and logs[named] not in found:
        found.append(logs[named])
    return found


def _facts(connection: sqlite3.Connection, row: int) -> Attributes:
    found = connection.execute("SELECT raw FROM record WHERE id = ?", (record_row(row, 0),)).fetchone()
    try:
        body = None if found is None else record.parse(found[0]).body
    except FormatError:
        return {}  # changed behind the sink's back
    return body.attributes if isinstance(body, Lifecycle) else {}


def _proof(connection: sqlite3.Connection, row: int, sequence: int, digest: bytes) -> str:
    if not 0 <= sequence < 1 << 40:
        return "contradicts"
    stored = connection.execute("SELECT hash FROM record WHERE id = ?", (record_row(row, sequence),)).fetchone()
    if stored is not None and stored[0] == digest:
        return "stored"
    refused = "SELECT count(*), coalesce(sum(hash = ?), 0) FROM refusal WHERE log = ? AND code IN (?, ?)"
    codes = (int(Refusal.FORK), int(Refusal.ROLLBACK))
    count, same = connection.execute(refused, (digest, row, *codes)).fetchone()
    if same or count:
        return "refused" if same else "branch"
    if stored is not None:
        return "contradicts"
    (following,) = connection.execute("SELECT next_sequence FROM log WHERE id = ?", (row,)).fetchone()
    return "removed" if sequence < following else "ahead"
