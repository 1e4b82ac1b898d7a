"""Salvage: every record that is left in a damaged journal's file, as candidates that only their signatures prove.

Works on a copy, and never writes to the damaged file. Rows are read by ranges, around what SQLite cannot read; then
the raw pages are searched, also those of the write-ahead log.
"""

import hashlib
import mmap
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import BinaryIO

from packseal.core import fragments
from packseal.core.errors import StorageError

BLOCK = 1 << 16
PAGE = 4096  # SQLite's default since 3.12, and ours: https://sqlite.org/pragma.html#pragma_page_size
WAL_HEADER, FRAME_HEADER = 32, 24  # https://sqlite.org/fileformat2.html §4.1
ROWS = 200
MOST_LOGS = 1000
MOST_LEAPS = 1000  # over stretches that SQLite cannot read; what is left then is found in the raw pages
LAST_ID = (1 << 63) - 1
UNREADABLE = (sqlite3.Error, OverflowError, UnicodeDecodeError)  # the last: a message with the damaged bytes
MOST_PAGES = 1 << 32  # https://sqlite.org/limits.html


def copy(damaged: Path, to: Path) -> int:
    """Copy a file whose disk may fail, and return how many bytes could not be read; zeros stand in their place.

    Raises:
        StorageError: the damaged file cannot be opened or the copy not written.
    """
    lost = 0
    try:
        source = os.open(damaged, os.O_RDONLY)
        try:
            size = os.fstat(source).st_size
            with to.open("wb") as target:
                for at in range(0, size, BLOCK):
                    block, missing = _read(source, at, min(BLOCK, size - at))
                    target.write(block)
                    lost += missing
        finally:
            os.close(source)
    except OSError as error:
        raise StorageError(f"cannot copy {damaged} to {to}: {error.strerror}") from error
    return lost


def _read(source: int, at: int, size: int) -> tuple[bytes, int]:
    try:
        return os.pread(source, size, at), 0
    except OSError:
        if size <= PAGE:
            return bytes(size), size
    parts = [_read(source, at + start, min(PAGE, size - start)) for start in range(0, size, PAGE)]
    return b"".join(part for part, _ in parts), sum(missing for _, missing in parts)


def rows(path: Path, *, with_wal: bool) -> Iterator[bytes]:
    """Yield the records of all rows that SQLite can read in the copy at `path`.

    Args:
        path: the copy.
        with_wal: whether its `-wal` file is played in. That writes pages into the copy, over whatever lies there: first
            search the raw pages.
    """
    address = f"{path.absolute().as_uri()}?{'mode=rw' if with_wal else 'mode=ro&immutable=1'}"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        at, leaps = 0, 0
        while at <= LAST_ID:
            try:
                found = connection.execute(
                    "SELECT id, CAST(raw AS BLOB) FROM record WHERE id >= ? ORDER BY id LIMIT ?", (at, ROWS)
                ).fetchall()
            except UNREADABLE:
                row, further = _past(connection, at)
                if row is not None:
                    yield row
                leaps += 1
                if further <= at or leaps > MOST_LEAPS:
                    return
                at = further
                continue
            yield from (raw for _, raw in found if raw)
            if not found or found[-1][0] < at:  # a damaged tree can lead back, and so for ever
                return
            at = found[-1][0] + 1


def states(path: Path) -> Mapping[bytes, tuple[int, bytes]]:
    """Return, by log, the meter states in the copy that are what was stored, each with the log's size at that time."""
    found = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for log in range(1, MOST_LOGS):
            try:
                query = "SELECT log_id, bytes, CAST(state AS BLOB), state_hash FROM log WHERE id = ?"
                row = connection.execute(query, (log,)).fetchone()
            except UNREADABLE:
                continue
            if row is not None and row[2] and hashlib.sha256(row[2]).digest() == row[3]:
                found[row[0]] = (row[1], row[2])
    return found


def beginnings(path: Path) -> Mapping[bytes, int]:
    """Return, by log, the number before which all was forgotten, as far as the copy says it."""
    found = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for log in range(1, MOST_LOGS):
            try:
                row = connection.execute("SELECT log_id, begins FROM log WHERE id = ?", (log,)).fetchone()
            except UNREADABLE:  # also the file of an older program, which forgot nothing
                continue
            if row is not None and type(row[0]) is bytes and type(row[1]) is int:
                found[row[0]] = row[1]
    return found


def receipts(path: Path) -> Iterator[bytes]:
    """Yield the receipts that SQLite can read in the copy."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for query in ("SELECT CAST(receipt AS BLOB) FROM log WHERE receipt IS NOT NULL", "SELECT raw FROM receipt"):
            with suppress(*UNREADABLE):
                yield from (raw for (raw,) in connection.execute(query) if raw)


def _past(connection: sqlite3.Connection, at: int) -> tuple[bytes | None, int]:
    """Return the row at `at` if it alone can be read, and where to go on: behind what cannot be read."""
    state, row = _next_row(connection, at)
    if state is not None:
        return row, state + 1
    unreadable, step = at, 1
    while True:
        probe = min(unreadable + step, LAST_ID)
        if _next_row(connection, probe)[0] is not None or probe == LAST_ID:
            break
        unreadable, step = probe, step * 2
    readable = probe
    while readable - unreadable > 1:
        middle = (readable + unreadable) // 2
        if _next_row(connection, middle)[0] is None:
            unreadable = middle
        else:
            readable = middle
    return None, readable if readable < LAST_ID else LAST_ID + 1


def _next_row(connection: sqlite3.Connection, at: int) -> tuple[int | None, bytes | None]:
    """Return id and record of the first row from `at` on; LAST_ID when there is none, None where it cannot be read."""
    try:
        query = "SELECT id, CAST(raw AS BLOB) FROM record WHERE id >= ? ORDER BY id LIMIT 1"
        found = connection.execute(query, (at,)).fetchone()
    except UNREADABLE:
        return None, None
    return found or (LAST_ID, None)


def pages(path: Path, wal: Path, offer: Callable[[bytes], bool], progress: Callable[[int], None]) -> None:
    """Offer what may be records in the raw pages of the copy at `path`, and in those of its write-ahead log.

    Args:
        path: the copy.
        wal: the write-ahead log as it was found; may be missing.
        offer: see `fragments.search`.
        progress: told how many bytes are searched.
    """
    with path.open("rb") as file, (wal if wal.exists() else path).open("rb") as log:
        frames = range(WAL_HEADER, wal.stat().st_size, FRAME_HEADER + PAGE) if wal.exists() else range(0)
        newest = {_number(log, at): at for at in frames}

        def page_of(number: int) -> bytes:
            return _page(file, (number - 1) * PAGE) if 0 < number < MOST_PAGES else b""

        def newest_page_of(number: int) -> bytes:
            return _page(log, newest[number] + FRAME_HEADER) if number in newest else page_of(number)

        for at in range(0, path.stat().st_size, PAGE):
            for others in (page_of, newest_page_of) if newest else (page_of,):
                fragments.search(_page(file, at), others, offer)
            progress(at)
        for at in frames:
            fragments.search(_page(log, at + FRAME_HEADER), newest_page_of, offer)


def stretches(path: Path, page_size: int, offer: Callable[[bytes], bool]) -> None:
    """Offer what may be records that lie in one piece over the edge of a page, as if no page began where it should.

    A `page_size` of 1 offers all: the pages of a write-ahead log do not begin at multiples of their size.
    """
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        fragments.search_whole(content, page_size, offer)


def _page(file: BinaryIO, at: int) -> bytes:
    return os.pread(file.fileno(), PAGE, at)


def _number(log: BinaryIO, at: int) -> int:
    return int.from_bytes(os.pread(log.fileno(), 4, at), "big")
