"""Replay of a Bluetooth dump: the same frames as of a live battery, by the recording's own clock."""

import asyncio
import logging
import time
from pathlib import Path

from packseal.core.errors import ConfigError, InputError
from packseal.core.sample import NS_PER_S, ClockQuality, Instant
from packseal_drivers.ble.dump import Said, read
from packseal_drivers.ble.plausibility import Plausibility
from packseal_drivers.ble.protocols import BleProtocol
from packseal_drivers.framing.burst import Notification
from packseal_drivers.framing.recorded import Recorded
from packseal_drivers.recordings.row import Troubles

log = logging.getLogger(__name__)

EPOCH_NS = 1_000_000_000 * NS_PER_S
"""Times from 2001 on are dates; smaller ones count from wherever the recorder began."""
MAX_LINES = 2000
"""Of one read, so that the uplink gets its turn."""


class DumpLink:
    """One dump, played once. A `ReplayLink`.

    A dump without questions, as other tools write it, is taken as it comes.

    Args:
        path: the file.
        protocol: that is spoken.
        speed: how much faster than it was recorded; None is as fast as the agent takes it.

    Raises:
        ConfigError: nothing can be read from the file.
    """

    def __init__(self, path: Path, protocol: BleProtocol, speed: float | None = None) -> None:
        self.judge: Plausibility | None = None
        """Of the profile, to be set before it is read: without a judge nothing is believed."""
        self._framer = protocol.framer()
        self._speed = speed
        self._troubles = Troubles(path)
        try:
            asked = any(said.way == ">" for said in read(path, Troubles(path)))
            self._lines = read(path, self._troubles)
            first = next(self._lines)
        except InputError as error:
            raise ConfigError(str(error)) from error
        self._next: Said | None = first
        self._framer.begin(unasked=not asked)
        self._first_ns = self._last_ns = first.time_ns
        self._began_ns = self._wall_ns = 0

    @property
    def ended(self) -> bool:
        """Whether all was played."""
        return self._next is None

    async def open(self) -> None:
        """Begin: the recording's own date is its wall clock, and where it has none, the present."""
        self._began_ns = time.monotonic_ns()
        self._wall_ns = self._first_ns if self._first_ns >= EPOCH_NS else time.time_ns()

    async def read(self) -> list[Recorded]:
        """Return at least one frame, or nothing when the recording has ended."""
        while self._next is not None:
            await asyncio.sleep(0 if self._speed is None else self._wait_s(self._next, self._speed))
            frames: list[Recorded] = []
            for _ in range(MAX_LINES if self._speed is None else 1):
                frames += self._take()
            if frames:
                return frames
        if self._troubles.count:
            log.warning("%s", self._troubles.summary)
        return []

    def close(self) -> None:
        """Do nothing: the file is closed at its end."""

    def _take(self) -> list[Recorded]:
        said = self._next
        if said is None:
            return []
        self._next = next(self._lines, None)
        self._last_ns = max(self._last_ns, said.time_ns)
        mono_ns = self._last_ns - self._first_ns
        if said.way == ">":
            self._framer.asked(said.data)
            return []
        reading = self._framer.feed(Notification(said.uuid, said.data, mono_ns))
        if reading is None or self.judge is None:
            return []
        at = Instant(mono_ns, self._wall_ns + mono_ns, ClockQuality.UNSYNCHRONISED)
        return [Recorded(frame, at) for frame in self.judge.judge(reading)]

    def _wait_s(self, said: Said, speed: float) -> float:
        return max(0.0, (self._began_ns + (said.time_ns - self._first_ns) / speed - time.monotonic_ns()) / NS_PER_S)
