"""Way: the network between a gateway and its broker, which can be cut cleanly or fall silent."""

import asyncio
import socket
import struct
from contextlib import suppress
from enum import Enum
from typing import Self

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close sends RST (socket(7))
CHUNK_BYTES = 1 << 16


class Fault(Enum):
    """How a network fails."""

    CLEAN = "clean"  # connections are reset, new ones refused
    SILENT = "silent"  # nothing passes and nothing is said; connections are reset when it is over, as by a new address


class Way:
    """Forwards a port of its own to the broker's. `bytes_up` counts what the gateway sent."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.bytes_up = 0

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.fail(Fault.CLEAN)

    async def fail(self, fault: Fault) -> None:
        """Fail from now on."""
        if fault is Fault.SILENT:
            self._passing.clear()
            return
        if self._server is not None:
            self._server.close()
        self._reset()

    async def mend(self) -> None:
        """Carry again what comes from now on; no connection has survived."""
        self._reset()
        self._passing.set()
        if self._server is None or not self._server.is_serving():
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _reset(self) -> None:
        for end in list(self._ends):
            with suppress(OSError):  # closed already
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.transport.abort()
        self._ends.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        with suppress(OSError):
            if not self._passing.is_set():
                await asyncio.Event().wait()  # a SYN that nobody answers; the reset ends it
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
            self._ends.add(far_writer)
            await asyncio.gather(self._carry(reader, far_writer, up=True), self._carry(far_reader, writer, up=False))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._passing.wait()
                if writer.transport.is_closing():
                    return
                writer.write(data)
                await writer.drain()
                self.bytes_up += len(data) if up else 0
        writer.transport.abort()
