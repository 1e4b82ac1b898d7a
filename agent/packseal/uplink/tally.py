"""Tally: the small file beside the journal that says what each link has carried, so that a restart changes nothing."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from packseal.core.errors import StorageError

log = logging.getLogger(__name__)


class Tally:
    """Bytes by UTC day and link. None as path keeps nothing.

    A damaged or unreadable file is passed over with a line in the log: the day's count then begins anew.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._links: dict[str, dict[str, int]] = {} if path is None else _read(path)

    def of(self, link: str) -> Mapping[str, int]:
        """Return what is on record of one link."""
        return self._links.get(link, {})

    def put(self, link: str, days: Mapping[str, int]) -> None:
        """Put it on record; returns when it is on the disk. Raises StorageError."""
        self._links[link] = dict(days)
        if self._path is not None:
            _replace(self._path, json.dumps(self._links, indent=1).encode())


def _read(path: Path) -> dict[str, dict[str, int]]:
    try:
        found = json.loads(path.read_bytes())
        return {str(link): {str(day): int(count) for day, count in days.items()} for link, days in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s cannot be read, so today's data volumes begin anew: %s", path, error)
        return {}


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    try:
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave an empty file under the old name
        fresh.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written, so a restart would forget it: {error.strerror}") from error
