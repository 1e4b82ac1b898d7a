"""Pressure: whether the sink can take more at present. Where it cannot, gateways are told so before anything fails."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """When the sink says `busy`.

    `free_bytes` stay free on the database's disk; `wait_s` is the longest that a request waits for its turn, below the
    five seconds after which a gateway takes the link for dead.
    """

    free_bytes: int = 0
    wait_s: float = 2.5


class Pressure:
    """Looks at the disk, once a second at most.

    Args:
        folder: where the database is.
        bounds: when it is too much.
        now_s: returns monotonic seconds.
    """

    def __init__(self, folder: Path, bounds: Bounds, now_s: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self.bounds = bounds
        self._now_s = now_s
        self._looked_s = float("-inf")
        self._trouble = ""

    def trouble(self) -> str:
        """Return why nothing can be taken now, or nothing."""
        now = self._now_s()
        if self.bounds.free_bytes and now - self._looked_s >= LOOK_EVERY_S:
            self._looked_s, self._trouble = now, self._look()
        return self._trouble

    def _look(self) -> str:
        try:
            found = os.statvfs(self._folder)
        except OSError as error:
            return f"the sink's disk cannot be asked how full it is: {error.strerror}"
        free = found.f_bavail * found.f_frsize
        if free >= self.bounds.free_bytes:
            return ""
        return (
            f"the sink's disk is nearly full: {free >> 20} MB are free, {self.bounds.free_bytes >> 20} MB are kept free"
            " (free_disk_mb); try again in a minute"
        )
