"""Whether a sink's database that survived a cut holds what the sink had receipted; opened with the sink's own code."""

from pathlib import Path

from packseal.core.errors import InputError, StorageError
from packseal_hil.powercut.judge import Fault, Finding, Received
from packseal_sink.database import Database
from packseal_sink.store import Store


def judge(path: Path, received: Received, *, enrolled: bool) -> list[Finding]:
    """Return everything that is wrong with the database at `path`, nothing when all is well.

    Args:
        path: the database; absent is well while nothing was promised.
        received: what it had receipted.
        enrolled: whether it had said that the gateway is enrolled.
    """
    if not path.exists():
        return [Finding(Fault.LOST, "the database is gone")] if received or enrolled else []
    try:
        database = Database(path, write=True)
        try:
            return _read(database, received, enrolled=enrolled)
        finally:
            database.close()
    except (InputError, StorageError) as error:
        return [Finding(Fault.CORRUPT, str(error))]


def _read(database: Database, received: Received, *, enrolled: bool) -> list[Finding]:
    store = Store(database)
    findings = [] if store.gateways() or not enrolled else [Finding(Fault.LOST, "the gateway is no longer enrolled")]
    for log_id, promise in received.items():
        if store.hash_at(log_id, promise.sequence) != promise.hash:
            findings.append(Finding(Fault.LOST, f"record {promise.sequence} of log {log_id.hex()}"))
    with database.reading() as connection:
        rows = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    return findings if rows == ["ok"] else [*findings, Finding(Fault.CORRUPT, rows[0])]
