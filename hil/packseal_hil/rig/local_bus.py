"""The bus of this machine's rig: frames streamed over a Unix socket, in the format that the `stream` link reads.

There is no CAN controller on it, so it knows no error states: it can fall silent and it can be gone.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from packseal.clock import SystemClock
from packseal.core.sample import Frame
from packseal_drivers.framing.recorded import Recorded, encode
from packseal_hil.rig.protocols import BusFault, CanFrame, RigError

BACKLOG_BYTES = 1 << 18
"""What may wait for a slow listener; more is lost, as in the receive buffer of a CAN interface."""

CARRIED = {BusFault.NONE, BusFault.UNPLUGGED, BusFault.GONE}


class StreamBus:
    """A `Bus` that listens at `path`. Every agent that connects hears all that is sent from then on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self._listeners: set[asyncio.StreamWriter] = set()
        self._fault = BusFault.NONE
        self._clock = SystemClock()

    @property
    def link(self) -> Mapping[str, str]:
        """The agent's [battery.link] table."""
        return {"kind": "stream", "path": str(self._path)}

    async def send(self, frames: Sequence[CanFrame]) -> None:
        """Put frames on the bus, stamped with this machine's clocks."""
        if self._fault is not BusFault.NONE or not frames:
            return
        now = self._clock.now()
        data = b"".join(encode(Recorded(Frame(f.address, f.data, now.mono_ns), now)) for f in frames)
        for listener in self._listeners:
            if listener.transport.get_write_buffer_size() < BACKLOG_BYTES:
                listener.write(data)

    def listen(self, heard: Callable[[CanFrame], None]) -> None:
        """Do nothing: a stream carries nothing back."""

    async def fault(self, fault: BusFault) -> None:
        """Mend, silence or remove the bus; raises RigError for the states of a controller."""
        if fault not in CARRIED:
            raise RigError(f"the bus of this machine has no controller that could be {fault}: use the virtual gateway")
        self._fault = fault
        if fault is BusFault.GONE:
            await self.close()
        elif self._server is None:
            await self.open()

    async def open(self) -> None:
        """Listen; raises RigError."""
        self._path.unlink(missing_ok=True)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path)
        except OSError as error:
            raise RigError(f"socket {self._path} cannot be made: {error.strerror or error}") from error

    async def close(self) -> None:
        """Hang up on everybody and be gone."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for listener in list(self._listeners):
            listener.transport.abort()
        self._path.unlink(missing_ok=True)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listeners.add(writer)
        try:
            with contextlib.suppress(OSError):
                await reader.read()  # an agent says nothing: its end is all that can come
        finally:
            self._listeners.discard(writer)
            writer.close()
