"""Link to a recording in a file: its frames by its own clock, as fast as they are taken or at a pace."""

import asyncio
import logging
import time
from pathlib import Path

from packseal.core.errors import ConfigError, InputError
from packseal.core.sample import NS_PER_S, ClockQuality, Frame, Instant
from packseal_drivers.framing.recorded import Recorded
from packseal_drivers.recordings import Recording, read

log = logging.getLogger(__name__)

MAX_FRAMES = 2000
"""Of one read: about 10 ms of work, so that the uplink gets its turn."""

PART_NS = 20_000_000
"""What is played together when a pace is kept."""


class RecordingLink:
    """One recording, played once.

    Args:
        path: the file.
        speed: how much faster than it was recorded; None is as fast as the agent takes it.
        bus: only this one of the recording's buses; None takes all together.

    Raises:
        ConfigError: no frame can be read from the file.
    """

    def __init__(self, path: Path, speed: float | None = None, bus: str | None = None) -> None:
        try:
            self._recording = read(path, bus)
            self._next: Frame | None = next(self._recording)
        except InputError as error:
            raise ConfigError(str(error)) from error
        self._speed = speed
        self._began_ns = 0
        self._wall_ns = 0

    @property
    def ended(self) -> bool:
        """Whether all was played."""
        return self._next is None

    async def open(self) -> None:
        """Begin: the recording's own date is its wall clock, and where it has none, the present."""
        self._began_ns = time.monotonic_ns()
        self._wall_ns = self._recording.begun_wall_ns or time.time_ns()

    async def read(self) -> list[Recorded]:
        """Return at least one frame, or nothing when the recording has ended."""
        if self._next is None:
            return []
        first_ns = self._next.mono_ns
        await asyncio.sleep(0 if self._speed is None else self._wait_s(first_ns, self._speed))
        frames = self._part(None if self._speed is None else first_ns + round(PART_NS * self._speed))
        if self.ended:
            _tell(self._recording)
        return [Recorded(frame, self._at(frame.mono_ns)) for frame in frames]

    def close(self) -> None:
        """Do nothing: the file is closed at its end."""

    def _part(self, until_ns: int | None) -> list[Frame]:
        frames: list[Frame] = []
        following = self._next
        while following is not None and len(frames) < MAX_FRAMES:
            if until_ns is not None and following.mono_ns > until_ns:
                break
            frames.append(following)
            following = next(self._recording, None)
        self._next = following
        return frames

    def _wait_s(self, mono_ns: int, speed: float) -> float:
        return max(0.0, (self._began_ns + mono_ns / speed - time.monotonic_ns()) / NS_PER_S)

    def _at(self, mono_ns: int) -> Instant:
        # How well the recorder's clock was kept, no file says.
        return Instant(mono_ns, self._wall_ns + mono_ns, ClockQuality.UNSYNCHRONISED)


def _tell(recording: Recording) -> None:
    if recording.troubles.count:
        log.warning("%s", recording.troubles.summary)
