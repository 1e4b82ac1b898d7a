"""Is the journal's file whole: SQLite's own check of pages and rows, and a copy of it, both while an agent writes."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from packseal.core.errors import StorageError
from packseal.journal import database

MOST_FAULTS = 20
PAGES_PER_STEP = 256  # a megabyte: the bar moves, and a stop is heard


def file_faults(path: Path) -> list[str]:
    """Return what SQLite finds wrong with the file, at most MOST_FAULTS lines; none when it is whole.

    Reads every page. Records that are appended meanwhile are not looked at.

    Raises:
        StorageError: the file cannot even be opened as a journal.
    """
    with closing(database.open_to_read(path)) as connection:
        return _faults(connection)


def back_up(path: Path, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the journal as it is at this moment to the file `to`, synced and checked; an agent may write meanwhile.

    Args:
        path: the journal.
        to: a file that is replaced.
        progress: called with pages done and pages in all.

    Raises:
        StorageError: the disk fails, or what was copied is damaged; `to` is then no backup.
    """
    with closing(database.open_to_read(path)) as source:
        with database.told(path):
            # Held through the copy: without it each append would make SQLite begin the copy anew
            # (https://sqlite.org/c3ref/backup_finish.html, sqlite3_backup_step).
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        with database.told(to), closing(sqlite3.connect(to, isolation_level=None)) as target:
            target.execute("PRAGMA synchronous = FULL")
            source.backup(target, pages=PAGES_PER_STEP, progress=lambda _, left, all_: progress(all_ - left, all_))
    # The copy's header says that it is in WAL mode; `immutable` reads it without making such files beside it.
    address = f"{to.absolute().as_uri()}?mode=ro&immutable=1"
    with database.told(to), closing(sqlite3.connect(address, uri=True)) as copy:
        faults = _faults(copy)
    if faults:
        raise StorageError(f"{path} is damaged, so its copy is too ({faults[0]}): see packseal journal check")


def _faults(connection: sqlite3.Connection) -> list[str]:
    try:
        found = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({MOST_FAULTS})")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else [" ".join(line.split()) for line in found]
