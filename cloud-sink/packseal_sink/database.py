"""The sink's SQLite file: how it is made, opened, locked, and how its failures are told. Knows no record."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from packseal.core.errors import StorageError
from packseal_sink.schema import SCHEMA, SCHEMA_VERSION, upgrade

APPLICATION_ID = 0x5053534B  # "PSSK", in the file's header at offset 68 (https://sqlite.org/fileformat2.html §1.3.10)
WAL_KEEP_BYTES = 16 << 20
BUSY_S = 5.0  # `packseal-sink gateway add` writes beside a running sink for a moment

_SETTINGS = (
    "PRAGMA synchronous = FULL",  # with NORMAL a power cut can take back what a receipt has promised
    "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",
    f"PRAGMA journal_size_limit = {WAL_KEEP_BYTES}",
    "PRAGMA wal_autocheckpoint = 4000",  # pages, 16 MB: a backlog writes the same pages of the readings again and again
)
OVERGROWN = 2
"""A write-ahead log of so many times what is kept of it has not been folded in, though it was tried."""
_PRIMARY = 0xFF  # the low byte of an extended result code, https://sqlite.org/rescode.html
_SENTENCES = {
    sqlite3.SQLITE_FULL: "the sink's disk is full; nothing stored so far is affected",
    sqlite3.SQLITE_READONLY: "the sink's database cannot be written: check the owner of its directory",
    sqlite3.SQLITE_CANTOPEN: "the sink's database cannot be opened: check that its directory exists",
    sqlite3.SQLITE_IOERR: "the sink's disk fails to read or write ({error}): check it and the kernel log; nothing "
    "stored so far is affected",
    sqlite3.SQLITE_BUSY: "the sink's database is held by another program for more than 5 s",
    sqlite3.SQLITE_NOTADB: "the sink's database file is not a database",
    # SQLite says this too of a page that the disk could not read (SQLITE_IOERR_CORRUPTFS).
    sqlite3.SQLITE_CORRUPT: "the sink's database is damaged, or its disk cannot read it (see the kernel log)",
}


def storage_error(error: sqlite3.Error) -> StorageError:
    """Return the one sentence that the sink's operator, and with BUSY the gateway, is told."""
    # The module's own errors, such as use after close, carry no SQLite code.
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    return StorageError(_SENTENCES.get(code, "the sink's database failed: {error}").format(error=error))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked before every batch
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Lock:
    """The right to run a sink on one database, held until `release`; the kernel takes it back when the process dies.

    Two sinks would each believe their own memory of where the logs stand. `packseal-sink gateway add` needs no lock.

    Raises:
        StorageError: another sink runs on it.
    """

    def __init__(self, path: Path) -> None:
        side = path.with_name(path.name + ".lock")
        try:
            self._descriptor = os.open(side, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError(f"{side} cannot be opened: {error.strerror}; check who may write there") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise StorageError(f"another sink runs on {path}: stop it first") from error

    def release(self) -> None:
        """Let another process run on the database."""
        os.close(self._descriptor)


class Database:
    """One connection, used by one thread at a time.

    Args:
        path: the file; made with its schema when it is absent and `write` is set.
        write: whether this connection may change it.

    `trouble` is what the operator must know although nothing has failed so far; "" where there is none.

    Raises:
        StorageError: it cannot be opened, is no sink's database or is from a newer version.
    """

    def __init__(self, path: Path, *, write: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._held: list[tuple[int, int] | None] = []  # the files that are open, known from the first change on
        self.trouble = ""
        try:
            if write and not path.exists():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite would make it readable by all
            uri = f"{path.absolute().as_uri()}?mode={'rw' if write else 'ro'}"
            self.connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
        except OSError as error:
            raise StorageError(f"{path} cannot be opened: {error.strerror}") from error
        except sqlite3.Error as error:
            raise storage_error(error) from error
        try:
            self._set_up(write=write)
        except (sqlite3.Error, StorageError) as error:
            self.connection.close()
            raise storage_error(error) if isinstance(error, sqlite3.Error) else error from error

    def _set_up(self, *, write: bool) -> None:
        if write:
            if not self._pragma("application_id") and not self._pragma("schema_version"):
                self._create()
            for setting in _SETTINGS:
                self.connection.execute(setting)
        if self._pragma("application_id") != APPLICATION_ID:
            raise StorageError(f"{self.path} is not a packseal sink's database: name another file")
        version = self._pragma("user_version")
        if write and 0 < version < SCHEMA_VERSION:
            self._upgrade()
            version = SCHEMA_VERSION
        if version < SCHEMA_VERSION:
            raise StorageError(f"{self.path} is of an older version: packseal-sink run brings it up to date")
        if version != SCHEMA_VERSION:
            raise StorageError(f"{self.path} has schema version {version}; this program knows {SCHEMA_VERSION}")

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _create(self) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        self.connection.executescript(f"BEGIN; {SCHEMA} {marks} COMMIT;")

    def _upgrade(self) -> None:
        with self.transaction() as connection:
            version = self._pragma("user_version")  # another process may have been faster
            if version < SCHEMA_VERSION:
                upgrade(connection, version)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block writes, or nothing at all; SQLite's failures become StorageError."""
        with self._lock:
            self._check_place()
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
                # A crash before this returns leaves the file as it was; after it, the rows are in the synced WAL.
                self.connection.execute("COMMIT")
                self._held = self._held or self._files()
                self.trouble = self._fold()
            except sqlite3.Error as error:
                raise storage_error(error) from error
            finally:
                if self.connection.in_transaction:
                    # When even this fails, SQLite has given the transaction up by itself.
                    with suppress(sqlite3.Error):
                        self.connection.execute("ROLLBACK")

    def _files(self) -> list[tuple[int, int] | None]:
        """Return which files stand at the paths of the database and of its write-ahead log now."""
        return [_identity(str(self.path)), _identity(f"{self.path}-wal")]

    def _check_place(self) -> None:
        """Refuse to write a file that nobody would find again: SQLite goes on with one that was moved or deleted."""
        if self._held and self._held != self._files():
            raise StorageError(
                "the sink's database was moved or deleted under the running sink: stop it, put it back, start it anew"
            )

    def _fold(self) -> str:
        """Return why the write-ahead log cannot be folded into the database, "" where it can or it is not yet time.

        SQLite tries by itself after a commit and says nothing when that fails: the log would grow and fill the disk.
        """
        side = self.path.with_name(f"{self.path.name}-wal")
        try:
            if side.stat().st_size <= OVERGROWN * WAL_KEEP_BYTES:
                return ""
            self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except OSError:
            return ""  # the next change says it
        except sqlite3.Error as error:
            return (
                f"the sink's database cannot take what stands in {side.name} ({error}), which grows: nothing is lost, "
                "but check the disk and the kernel log"
            )
        return ""

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Let the block read one consistent state; SQLite's failures become StorageError."""
        with self._lock:
            try:
                self.connection.execute("BEGIN")
                yield self.connection
            except sqlite3.Error as error:
                raise storage_error(error) from error
            finally:
                if self.connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self.connection.execute("ROLLBACK")

    def version(self) -> int:
        """Return a number that changes whenever another connection has changed the file; raises StorageError."""
        with self._lock:
            try:
                return self._pragma("data_version")
            except sqlite3.Error as error:
                raise storage_error(error) from error

    def close(self) -> None:
        """Close the file. The last connection that closes folds the write-ahead log into it."""
        with self._lock:
            self.connection.close()
