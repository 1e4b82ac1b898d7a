"""Replacing: a small file that is written as a whole or not at all, for what is read back after a crash.

A new file is written and synced, renamed over the old one, and the directory is synced: a crash at any moment leaves
the old file or the new one.
"""

import contextlib
import os
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Replace the file at `path`; raises OSError, and then the file is as it was."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
