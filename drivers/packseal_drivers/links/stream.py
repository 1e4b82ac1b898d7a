"""Link to a replay: recorded frames from a Unix socket, with the socket's own back-pressure."""

import asyncio
from pathlib import Path

from packseal.core.errors import LinkError
from packseal_drivers.framing.recorded import Recorded, RecordedFramer

READ_BYTES = 1 << 16
"""About 2,000 frames: 10 ms of work here, so that the uplink gets its turn."""


class StreamLink:
    """One connection after another to the replay that listens at `path`. Never sends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._framer = RecordedFramer()

    @property
    def ended(self) -> bool:
        """Whether the recording has said that it is over."""
        return self._framer.ended

    async def open(self) -> None:
        """Connect; raises LinkError."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            raise LinkError(f"no replay listens at {self._path}: {error.strerror}") from error
        self._framer = RecordedFramer()

    async def read(self) -> list[Recorded]:
        """Return at least one frame, or nothing when the recording has ended; raises LinkError when cut off."""
        reader = self._reader
        if reader is None:
            raise LinkError(f"the replay at {self._path} is not connected")
        while not self._framer.ended:
            try:
                data = await reader.read(READ_BYTES)
            except OSError as error:
                raise LinkError(f"the replay at {self._path} broke off: {error.strerror}") from error
            if not data:
                raise LinkError(f"the replay at {self._path} closed the connection")
            frames = self._framer.feed(data)
            if frames:
                return frames
        return []

    def close(self) -> None:
        """Disconnect; may be called twice."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
