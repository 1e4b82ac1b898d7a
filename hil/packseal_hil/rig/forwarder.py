"""Forwarder: carries TCP connections from one address to a loopback port of this machine, and can stop doing so."""

import asyncio
import contextlib
import socket

from packseal_hil.rig.protocols import RigError

CHUNK_BYTES = 1 << 16
LOOPBACK = "127.0.0.1"


class Forwarder:
    """Accepts on `listening`, a bound socket, and carries to 127.0.0.1:`port`.

    While it is stopped nothing is carried and nobody is told: what was taken waits, as in a network that is silent.
    """

    def __init__(self, listening: socket.socket, port: int) -> None:
        self._listening = listening
        self._port = port
        self._carrying = asyncio.Event()
        self._carrying.set()
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Begin."""
        self._server = await asyncio.start_server(self._serve, sock=self._listening)

    def stop(self) -> None:
        """Carry nothing from now on."""
        self._carrying.clear()

    def go(self) -> None:
        """Carry again."""
        self._carrying.set()

    async def close(self) -> None:
        """End every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        self._listening.close()
        self._carrying.set()
        for way in list(self._ways):
            way.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ways.add(writer)
        try:
            await self._carrying.wait()
            there_reader, there_writer = await asyncio.open_connection(LOOPBACK, self._port)
        except OSError:  # nobody serves there: the caller sees a connection that is reset
            self._end(writer)
            return
        self._ways.add(there_writer)
        out = asyncio.create_task(self._carry(reader, there_writer), name="forward out")
        back = asyncio.create_task(self._carry(there_reader, writer), name="forward back")
        try:
            await asyncio.wait((out, back), return_when=asyncio.FIRST_COMPLETED)
        finally:
            out.cancel()
            back.cancel()
            await asyncio.gather(out, back, return_exceptions=True)
            self._end(writer)
            self._end(there_writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._carrying.wait()
                writer.write(data)
                await writer.drain()

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._ways.discard(writer)
        writer.transport.abort()


def bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host`:`port`; raises RigError."""
    made = socket.socket(type=socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()
    except OSError as error:
        made.close()
        raise RigError(f"cannot listen at {host} port {port}: {error.strerror}") from error
    made.setblocking(False)  # noqa: FBT003 - the library's signature
    return made
