"""Lines of a text recording, packed or not, whatever is in them."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from packseal.core.errors import InputError
from packseal_drivers.recordings.row import Troubles

MAX_LINE = 1024
"""The longest line of any of these formats is a CAN FD frame of 64 bytes in an ASC file: about 400 characters."""


def open_bytes(path: Path) -> BinaryIO:
    """Open for reading, through gzip where the name says so; raises InputError."""
    try:
        return cast("BinaryIO", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def lines(path: Path, troubles: Troubles) -> Iterator[tuple[int, str]]:
    """Yield the number, from 1, and text of each line that is not empty."""
    with open_bytes(path) as file:
        number = 0
        try:
            while raw := file.readline(MAX_LINE):
                number += 1
                if len(raw) == MAX_LINE and not raw.endswith(b"\n"):
                    _skip(file)
                    troubles.note(number, "it is longer than any line of such a file")
                elif text := raw.decode("latin-1").strip():
                    yield number, text
        except (OSError, EOFError, zlib.error) as error:
            troubles.note(number + 1, f"the file breaks off here ({error})")


def _skip(file: BinaryIO) -> None:
    while (raw := file.readline(MAX_LINE)) and not raw.endswith(b"\n"):
        pass
