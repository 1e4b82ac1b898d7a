"""Regaining: how the journal's file is taken hold of again after its disk has failed, or after it was moved away.

Two things are not to be believed then. A sync that succeeds after one that failed: Linux marks the pages as clean whose
write-back failed, so the second sync writes nothing (https://lwn.net/Articles/752063/). SQLite writes again what it
undid, but not what stands before it in the write-ahead log without a sync of its own, which here are receipts; a power
cut would end the log there, before records that were stored later. And a file whose name is gone: it can be written to
the end, and nobody finds it again.
"""

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from packseal.core.errors import StorageError

CHUNK_BYTES = 1 << 20
OVERGROWN = 2
"""A write-ahead log of so many times what is kept of it has not been folded in, though it was tried."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which files are meant: device and number of the database and of its write-ahead log; None where there is none."""

    database: tuple[int, int] | None
    log: tuple[int, int] | None

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return what stands at `path` now."""
        return cls(_of(str(path)), _of(f"{path}-wal"))


def _of(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked before every append
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_again(path: Path) -> None:
    """Write the write-ahead log of `path` over itself and sync it, so that the sync covers all of it.

    Raises:
        StorageError: the disk still fails.
    """
    side = path.with_name(f"{path.name}-wal")
    try:
        descriptor = os.open(side, os.O_RDWR | os.O_CLOEXEC)
        try:
            at = 0
            while data := os.pread(descriptor, CHUNK_BYTES, at):
                at += os.pwrite(descriptor, data, at)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            f"the disk that holds {path} fails to read or write ({error.strerror}): check it and the kernel log"
        ) from error


def fold_in(connection: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the database, if that can be done: the log may be gone, which is open still."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def fold(connection: sqlite3.Connection, path: Path, keep_bytes: int) -> str:
    """Return why the write-ahead log cannot be folded into the database, "" where it can or it is not yet time.

    SQLite tries by itself after a commit, and says nothing when that fails: the log would grow until the disk is full.
    """
    try:
        size = os.stat(f"{path}-wal").st_size  # noqa: PTH116 - asked after every append
    except OSError:
        return ""  # the next append says it
    if size <= OVERGROWN * keep_bytes:
        return ""
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error as error:
        return (
            f"{path} cannot take what stands in {path.name}-wal ({error}), which grows: nothing is lost, but check the "
            "disk and the kernel log"
        )
    return ""
