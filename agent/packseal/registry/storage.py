"""How the registry's file is read and written: whole or not at all, and with a copy that takes over when it is damaged.

TinyDB's own storage writes in place: a power cut within it leaves half a file. Here each write makes a new file, syncs
it, renames it over the old one and syncs the directory, so that a crash at any moment leaves the old file or the new
one; then the same is done for a copy beside it.
"""

import json
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from packseal.core.errors import StorageError
from packseal.registry.replacing import replace

Tables = dict[str, dict[str, Any]]


class WholeFile(Storage):
    """A TinyDB storage of one JSON file.

    `trouble` is empty, or says why the copy was read in place of the file.

    Args:
        path: the file. Its copy is at the same path with `.copy` added.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.trouble = ""

    @property
    def copy(self) -> Path:
        """Where the copy is."""
        return self._path.with_name(f"{self._path.name}.copy")

    def read(self) -> Tables | None:
        """Return what the file holds, or else the copy; None where there is neither.

        Raises:
            StorageError: neither can be used.
        """
        try:
            tables = _read(self._path)
        except ValueError as error:
            self.trouble = f"the registry {self._path} is damaged ({error})"
            return self._from_copy()
        if tables is None and self.copy.exists():
            self.trouble = f"the registry {self._path} is gone"
            return self._from_copy()
        return tables

    def write(self, data: Tables) -> None:
        """Replace the file and its copy. A damaged file is kept as `.damaged`.

        Raises:
            StorageError: it could not be written; the file is as it was, or, if only the copy failed, new.
        """
        content = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        try:
            if self.trouble and self._path.exists():
                self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
            # A crash before the rename leaves the old file, after it the new one. The copy then is older, but is only
            # read when the file is damaged.
            replace(self._path, content)
            replace(self.copy, content)
        except OSError as error:
            raise StorageError(f"the registry {self._path} cannot be written: {error.strerror}") from error
        self.trouble = ""

    def _from_copy(self) -> Tables | None:
        try:
            tables = _read(self.copy)
        except ValueError as error:
            raise StorageError(
                f"{self.trouble}, and so is its copy {self.copy} ({error}): restore one of them from a backup"
            ) from error
        if tables is None:
            raise StorageError(
                f"{self.trouble}, and there is no copy {self.copy}: mend it, or move it away and enter the data again"
            )
        self.trouble += f"; its copy {self.copy} is used"
        return tables


def _read(path: Path) -> Tables | None:
    """Return the tables in a file; raises ValueError saying what is wrong with it, StorageError without access."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"the registry {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict) or not all(map(_is_table, found.values())):
        raise ValueError("it is no table of batteries")
    return found


def _is_table(table: object) -> bool:
    """Tell what TinyDB can take as a table: numbered entries."""
    if not isinstance(table, dict):
        return False
    return all(number.isdecimal() and isinstance(entry, dict) for number, entry in table.items())
