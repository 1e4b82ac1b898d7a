"""Which journal and which of its logs a command speaks of."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from packseal.cli.present import safe
from packseal.core.chain import SealedRecord
from packseal.core.errors import InputError
from packseal.journal.store import Journal, Log, LogKind

CHUNK = 500
"""Records per query: between two of them the agent's checkpoints get through."""


@dataclass(frozen=True, slots=True)
class Source:
    """An open journal, with the gateway's and the sink's public keys where a configuration names them."""

    path: Path
    journal: Journal
    gateway_key: Path | None
    sink_key: Path | None


def open_source(config_path: Path | None, journal_path: Path | None) -> Source:
    """Open the journal named on the command line or in the configuration.

    Raises:
        ConfigError, InputError, StorageError: not there, or not a journal.
    """
    if journal_path is not None and config_path is None:
        return Source(journal_path, _open(journal_path), None, None)
    from packseal import config  # noqa: PLC0415 - `--journal` needs no configuration, nor what reads one

    found = config.load(config_path)
    path = journal_path or found.journal
    return Source(path, _open(path), found.key.with_suffix(".pub"), found.sink_key)


def chosen(source: Source, wanted: str | None) -> list[Log]:
    """Return the logs that `wanted` names: a subject, the beginning of a log id, or None for all.

    Raises:
        InputError: none; the text lists what there is.
    """
    logs = source.journal.logs()
    if wanted is None:
        return logs
    found = [log for log in logs if wanted == log.subject or log.log_id.hex().startswith(wanted.lower())]
    if not found:
        raise InputError(f"{source.path} has no log {safe(wanted)}; it has {_names(logs)}")
    return found


def chosen_one(source: Source, wanted: str | None) -> Log:
    """Return the one log that `wanted` names; None stands for the only battery's.

    Raises:
        InputError: none or several; the text lists them.
    """
    logs = chosen(source, wanted)
    if wanted is None and len(logs) > 1:
        logs = [log for log in logs if log.kind is LogKind.BATTERY]
    if len(logs) != 1:
        raise InputError(f"name one log with --log; {source.path} has {_names(logs)}")
    return logs[0]


def each(journal: Journal, log: Log, start: int = 0, end: int | None = None) -> Iterator[SealedRecord]:
    """Yield the records of a log from `start` to before `end`, by default to where it ends now."""
    end = journal.head(log.log_id).next_sequence if end is None else end
    while start < end:
        chunk = list(islice(journal.records(log.log_id, start), CHUNK))
        yield from (entry for entry in chunk if entry.sequence < end)
        if not chunk:
            return
        start = chunk[-1].sequence + 1


def _open(path: Path) -> Journal:
    if not path.exists():
        raise InputError(f"there is no journal {path}; the agent makes it when it first runs")
    return Journal.open_to_read(path)


def _names(logs: list[Log]) -> str:
    return ", ".join(f"{log.log_id.hex()[:8]} ({safe(log.subject)})" for log in logs) or "no logs"
