"""A road with a round-trip time: a forwarder that lets every byte pass a fixed time after it came, and counts them."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK_BYTES = 1 << 16
MOST_WAITING = 4096
"""Chunks on their way in one direction: more than any window of TCP needs here."""


class Road:
    """The road while it is open. `up` and `down` count bytes: from the gateway, and to it."""

    def __init__(self, far_port: int, one_way_s: float) -> None:
        self._far_port = far_port
        self._one_way_s = one_way_s
        self.port = 0
        self.up = 0
        self.down = 0

    async def serve(self, ready: threading.Event, end: asyncio.Event) -> None:
        """Forward until `end`."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await end.wait()
        server.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._far_port)
            await asyncio.gather(self._carry(reader, far_writer, up=True), self._carry(far_reader, writer, up=False))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(MOST_WAITING)
        letting = asyncio.create_task(self._let(waiting, writer))
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                self.up += len(data) if up else 0
                self.down += 0 if up else len(data)
                await waiting.put((time.monotonic() + self._one_way_s, data))
        await waiting.put((0.0, b""))
        await letting

    async def _let(self, waiting: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                due, data = await waiting.get()
                if not data:
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                writer.write(data)
                await writer.drain()
        writer.close()


@contextmanager
def road(far_port: int, round_trip_s: float) -> Iterator[Road]:
    """Open one to a local port, in a thread of its own, until left."""
    made = Road(far_port, round_trip_s / 2)
    ready, loops = threading.Event(), []
    end = asyncio.Event()

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await made.serve(ready, end)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield made
    finally:
        loops[0].call_soon_threadsafe(end.set)
        thread.join()
