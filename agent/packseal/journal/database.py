"""The journal's SQLite file: how it is made, opened, locked, and how its failures are told. Knows no record."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from packseal.core.bodies import Kind
from packseal.core.errors import StorageError
from packseal.journal import removal

APPLICATION_ID = 0x50534A4C  # "PSJL", in the file's header at offset 68 (https://sqlite.org/fileformat2.html §1.3.10)
SCHEMA_VERSION = 2
READABLE = (1, 2)  # a journal of version 1 is brought up to date when it is opened to write
WAL_KEEP_BYTES = 4 << 20
FOLD_PAGES = 1000  # SQLite's own choice, https://sqlite.org/pragma.html#pragma_wal_autocheckpoint
BUSY_S = 5.0  # a reader, such as `packseal journal`, can hold up a checkpoint for a moment

SCHEMA = """
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    log_id BLOB NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    kind INTEGER NOT NULL,
    bytes INTEGER NOT NULL DEFAULT 0,
    state BLOB,
    state_hash BLOB,
    delivered INTEGER NOT NULL DEFAULT 0,
    receipt BLOB,
    records INTEGER NOT NULL DEFAULT 0,  -- how many are there
    begins INTEGER NOT NULL DEFAULT 0  -- the number of the first one; those before it were forgotten
) STRICT;
CREATE TABLE record (
    id INTEGER PRIMARY KEY,  -- log.id << 40 | sequence: one B-tree, and a record appends to one page of it
    kind INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    hash BLOB NOT NULL,
    raw BLOB NOT NULL
) STRICT;
"""

URGENT = f"kind NOT IN ({int(Kind.TELEMETRY)}, {int(Kind.SUMMARY)})"
"""What is sent before telemetry and kept longer; the index `urgent` holds exactly these records."""

USE_URGENT = "INDEXED BY urgent"

_SINCE_2 = f"{removal.TABLE} CREATE INDEX urgent ON record (id, kind) WHERE {URGENT};"

_UPGRADE = " ".join(
    (
        "BEGIN IMMEDIATE;",
        _SINCE_2,
        "ALTER TABLE log ADD COLUMN records INTEGER NOT NULL DEFAULT 0;",
        "ALTER TABLE log ADD COLUMN begins INTEGER NOT NULL DEFAULT 0;",
        "UPDATE log SET records =",
        "(SELECT count(*) FROM record WHERE record.id >= log.id << 40 AND record.id < (log.id + 1) << 40);",
        f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
    )
)

_SETTINGS = (
    "PRAGMA synchronous = FULL",  # NORMAL loses the last commits with the power
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA cache_size = -256",  # KiB: a log is read once and in order, so SQLite's 2 MB would only fill up
    f"PRAGMA journal_size_limit = {WAL_KEEP_BYTES}",
)

# Primary result codes, https://sqlite.org/rescode.html
_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk that holds {path} is full: free some space, nothing stored so far is affected",
    sqlite3.SQLITE_READONLY: "{path} or its directory cannot be written: mount it read-write and check its owner",
    sqlite3.SQLITE_PERM: "{path} or its directory cannot be written: mount it read-write and check its owner",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened: check that its directory exists and who may write to it",
    sqlite3.SQLITE_IOERR: "the disk that holds {path} fails to read or write ({error}): check it and the kernel log",
    # SQLite says this too of a page that the disk could not read (SQLITE_IOERR_CORRUPTFS).
    sqlite3.SQLITE_CORRUPT: "{path} is damaged, or its disk cannot read it (see the kernel log): stop the agent; "
    "packseal journal repair saves what is sound",
    sqlite3.SQLITE_NOTADB: "{path} is not a packseal journal: move it away or name another path",
    sqlite3.SQLITE_BUSY: "{path} is held by another program for more than 5 s: close that program",
}
_PRIMARY = 0xFF  # the low byte of an extended result code
_HARMLESS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)


def storage_error(path: Path, error: sqlite3.Error) -> StorageError:
    """Return what the operator of this machine must be told about `error`."""
    # The module's own errors, such as use after close, carry no SQLite code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    return StorageError(_SENTENCES.get(code, "journal {path} failed: {error}").format(path=path, error=error))


def casts_doubt(error: StorageError) -> bool:
    """Return whether after `error` the open file may not be what it was; a full or a busy disk changes nothing."""
    cause = error.__cause__
    code: int = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    return isinstance(cause, sqlite3.Error) and code not in _HARMLESS


class Lock:
    """The right to write one journal, held until `release`; the kernel takes it back when the process dies.

    Raises:
        StorageError: another process holds it; the text names that process.
    """

    def __init__(self, path: Path) -> None:
        side = path.with_name(path.name + ".lock")
        try:
            self._descriptor = os.open(side, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(f"{side} cannot be opened: {error.strerror}; check who may write there") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        except BlockingIOError as error:
            owner = os.pread(self._descriptor, 20, 0).decode("ascii", "replace") or "unknown"
            os.close(self._descriptor)
            raise StorageError(f"journal {path} is in use by process {owner}: stop that agent first") from error
        except OSError as error:
            os.close(self._descriptor)
            raise StorageError(f"{side} cannot be written: {error.strerror}") from error
        self._side = side

    def is_current(self) -> bool:
        """Whether it still is the lock of that path, whose files may have been replaced."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._side.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Give the right back. The side file stays: removing it would race with the next owner."""
        os.close(self._descriptor)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the journal at `path`, or make an empty one; raises StorageError."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would make it readable by all
    except OSError as error:
        raise StorageError(f"{path} cannot be opened: {error.strerror}; check who may write there") from error
    connection = _connect(path, "rw")
    with _closed_where_it_fails(connection), told(path):
        _create_if_empty(connection)
        _check(connection, path)
        if version_of(connection) < SCHEMA_VERSION:
            # One transaction: a crash within it leaves the journal as it was.
            connection.executescript(_UPGRADE)
        _configure(connection, path)
        _sync_directory(path)
    return connection


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an existing journal without the right to write, while an agent may be writing it; raises StorageError."""
    connection = _connect(path, "ro")
    with _closed_where_it_fails(connection), told(path):
        _check(connection, path)
    return connection


@contextmanager
def _closed_where_it_fails(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except StorageError:
        connection.close()
        raise


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Commit what the block writes, or nothing at all; SQLite's failures become StorageError."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        # A crash before this returns leaves the file as it was; after it, the rows are in the synced WAL.
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise storage_error(path, error) from error
    finally:
        if connection.in_transaction:
            # When even this fails, SQLite has given the transaction up by itself.
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


@contextmanager
def unsynced_transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Like `transaction`, but a power cut may undo it: for what can be had again.

    The write-ahead log is not folded in after it: SQLite would sync the log for that, and keep a failure to itself.
    """
    with told(path):
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    try:
        with transaction(connection, path):
            yield
    finally:
        with told(path):
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {FOLD_PAGES}")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's failures within the block into StorageError."""
    try:
        yield
    except sqlite3.Error as error:
        raise storage_error(path, error) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,  # no hidden BEGIN: every transaction stands in this package
            check_same_thread=False,  # made in one thread, used in another, never in two at once
        )
    except sqlite3.Error as error:
        raise storage_error(path, error) from error


def _create_if_empty(connection: sqlite3.Connection) -> None:
    identity = connection.execute("PRAGMA application_id").fetchone()
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if identity != (0,) or tables != (0,):
        return
    # One transaction: a crash within it leaves an empty file, which the next start fills again.
    connection.executescript(
        f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        f"{SCHEMA} {_SINCE_2} COMMIT;"
    )


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (identity,) = connection.execute("PRAGMA application_id").fetchone()
    if identity != APPLICATION_ID:
        raise StorageError(f"{path} is not a packseal journal: move it away or name another path")
    version = version_of(connection)
    if version not in READABLE:
        raise StorageError(f"{path} has journal version {version}, this program writes {SCHEMA_VERSION}: update it")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the file's tables."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _configure(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StorageError(f"{path} lies on a file system without shared memory: move it to a local disk")
    for setting in _SETTINGS:
        connection.execute(setting)


def _sync_directory(path: Path) -> None:
    # Without this the names of the new files can vanish with the power, and the records with them.
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"directory {path.parent} cannot be synced to disk: {error.strerror}") from error
