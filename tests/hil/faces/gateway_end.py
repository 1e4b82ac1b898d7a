"""The gateway's end of the UART, as QEMU gives it to the host: a Unix socket that listens, and lines over it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from packseal_hil.faces.slcan import SlcanAdapter
from packseal_hil.faces.slcan_text import SlcanReader
from packseal_hil.rig.protocols import CanFrame

WAIT_S = 10.0
EFF = 0x8000_0000
FRAMES = [CanFrame(0x123, b"\xaa\x55"), CanFrame(EFF | 0x18FF1234, bytes(range(8))), CanFrame(0x7FF, b"")]


class GatewayEnd:
    """Keeps what came, and says what it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = b""
        self.at_s: list[tuple[float, int]] = []
        self.writer: asyncio.StreamWriter | None = None
        self.reads = asyncio.Event()
        self.reads.set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def die(self) -> None:
        """End, as a machine whose power is cut."""
        if self.writer is not None:
            self.writer.transport.abort()
        if self._server is not None:
            self._server.close()
        self.writer = self._server = None

    async def say(self, text: str) -> None:
        assert self.writer is not None
        self.writer.write(text.encode())
        await self.writer.drain()

    async def connected(self) -> None:
        await until(lambda: self.writer is not None)

    def frames(self) -> list[CanFrame]:
        """Return the frames that came, in their order."""
        data = b"".join(piece + b"\r" for piece in self.text.split(b"\r")[:-1] if piece[:1] in (b"t", b"T"))
        return [line.frame for line in SlcanReader().feed(data) if line.frame is not None]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        with contextlib.suppress(OSError):
            while True:
                await self.reads.wait()
                data = await reader.read(4096)
                if not data:
                    break
                self.text += data
                self.at_s.append((time.monotonic(), len(data)))
        writer.close()


async def until(holds: Callable[[], bool], seconds: float = WAIT_S) -> None:
    end_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end_s, "it did not come to be in time"
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def wired(directory: Path, *, opened: bool = True) -> AsyncGenerator[tuple[SlcanAdapter, GatewayEnd]]:
    """Give an adapter and the gateway's end of its UART, opened as slcand does."""
    gateway = GatewayEnd(directory / "uart")
    await gateway.listen()
    adapter = SlcanAdapter(gateway.path)
    await adapter.connect(WAIT_S)
    await gateway.connected()
    if opened:
        await gateway.say("C\rS6\rO\r")
        await adapter.opened(WAIT_S)
    try:
        yield adapter, gateway
    finally:
        await adapter.close()
        await gateway.die()
