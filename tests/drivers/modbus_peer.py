"""A Modbus peer that answers whatever it is told to, byte by byte."""

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress

from pymodbus.framer.rtu import FramerRTU
from tests.drivers.modbus_devices import HOST

UNIT = 7
Answer = Callable[[bytes], list[bytes]]
"""From a whole request, with its header or checksum, to what is written, piece by piece."""


def rtu(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def tcp(request: bytes, body: bytes, *, transaction: int | None = None) -> bytes:
    number = int.from_bytes(request[:2], "big") if transaction is None else transaction
    return struct.pack(">HHH", number, 0, len(body)) + body


def good(count: int, unit: int = UNIT, function: int = 3) -> bytes:
    return bytes((unit, function, 2 * count)) + bytes(range(2 * count))


class Peer:
    """A TCP server that answers each request with whatever it is told to."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, *, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, HOST, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError):
            while request := await reader.read(300):
                self.requests += 1
                for piece in self.answer(request):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
        writer.close()

    def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
