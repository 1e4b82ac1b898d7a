"""A file that is written as a whole or not at all."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packseal.core.errors import StorageError

READABLE = 0o644


def write(path: Path, parts: Iterable[bytes]) -> int:
    """Write the parts one after the other, synced, and return how many there were.

    A crash leaves the old file, or none, and perhaps a hidden part beside it.

    Raises:
        StorageError: it cannot be written.
    """
    count = 0
    part = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        part = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            for count, piece in enumerate(parts, 1):  # noqa: B007 - how many there were is what is returned
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(READABLE)
        publish(part, path)
        part = None
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return count


def publish(part: Path, path: Path) -> None:
    """Give a synced file its name, and sync that too; raises OSError."""
    part.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
