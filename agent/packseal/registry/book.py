"""Book: what the registry holds of each battery, checked; and the one way to change it."""

import fcntl
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from packseal.core.changes import Change
from packseal.core.declared import Declared
from packseal.core.errors import InputError, StorageError

if TYPE_CHECKING:
    from tinydb.table import Table

log = logging.getLogger(__name__)

TABLE = "batteries"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One battery: its identifier, what is declared of it, and what happened to it, oldest first."""

    id: str
    declared: Declared = Declared()
    changes: tuple[Change, ...] = ()


class Book:
    """The entries of one registry. Made by `read` and `opened`."""

    def __init__(self, path: Path, table: "Table", trouble: str) -> None:
        self._path = path
        self._table = table
        self.trouble = trouble

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Every entry by the battery's identifier; raises StorageError naming what is wrong with one."""
        return {entry.id: entry for entry in map(self._entry, self._table.all())}

    def put(self, entry: Entry) -> None:
        """Store an entry in place of the battery's old one; raises StorageError."""
        from tinydb import where  # noqa: PLC0415 - only who has a registry pays for it

        self._table.upsert(_document(entry), where("id") == entry.id)

    def _entry(self, document: Mapping[str, Any]) -> Entry:
        try:
            return msgspec.convert(dict(document), Entry)
        except msgspec.ValidationError as error:
            name = document.get("id", "without an id")
            raise StorageError(f"the registry {self._path}, battery {name}: {error}: correct it there") from error


def read(path: Path) -> Mapping[str, Entry]:
    """Return the registry's entries by battery, none where there is no registry.

    Where the file is damaged its copy is read, and the log says so.

    Raises:
        StorageError: it cannot be read.
    """
    if not path.exists() and not path.with_name(f"{path.name}.copy").exists():
        return {}
    book = _book(path)
    if book.trouble:
        log.error("%s", book.trouble)
    return book.entries


def whole(path: Path) -> Mapping[str, Entry]:
    """Return the registry's entries by battery, as whoever already has some must read them: from the file itself.

    Raises:
        StorageError: it is damaged, gone, or cannot be read.
    """
    if not path.exists():
        raise StorageError(f"the registry {path} is gone: restore it, or enter something with packseal commission")
    book = _book(path)
    if book.trouble:
        raise StorageError(f"{book.trouble.partition(';')[0]}: correct it, or enter something with packseal commission")
    return book.entries


def mark_of(path: Path) -> str:
    """Return what is another after each change of the registry, at the cost of one look; "" where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


@contextmanager
def opened(path: Path) -> Iterator[Book]:
    """Open the registry to change it, alone.

    Raises:
        InputError: somebody else is changing it.
        StorageError: it cannot be read or written.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"the registry {path} is being changed by another process; try again") from None
            yield _book(path)
    except OSError as error:
        raise StorageError(f"the registry's lock {lock} cannot be made: {error.strerror}") from error


def _book(path: Path) -> Book:
    try:
        from tinydb import TinyDB  # noqa: PLC0415 - only who has a registry pays for it

        from packseal.registry.storage import WholeFile  # noqa: PLC0415
    except ImportError as error:
        raise StorageError(f"the registry {path} needs TinyDB: install packseal[registry]") from error
    database = TinyDB(path, storage=WholeFile)
    table = database.table(TABLE)
    table.all()  # so that trouble is known
    storage = database.storage
    return Book(path, table, storage.trouble if isinstance(storage, WholeFile) else "")


def _document(entry: Entry) -> dict[str, Any]:
    declared, defaults = msgspec.to_builtins(entry.declared), msgspec.to_builtins(Declared())
    said = {name: value for name, value in declared.items() if value != defaults[name]}
    return {"id": entry.id, "declared": said, "changes": msgspec.to_builtins(entry.changes)}
