"""Uart: the host's end of a serial line of the gateway, over a Unix socket; outlives the machine's power cycles."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

from packseal_hil.rig.protocols import RigError

READ_BYTES = 1 << 16
RETRY_S = 0.1
CONNECT_S = 30.0
SOCKET_BYTES = 1 << 12
"""Of the kernel's send buffer, which doubles it (socket(7)): what is in it cannot be taken back and comes late."""
WAITING_BYTES = 1 << 14
"""Further bytes that may wait here; a machine that does not read even those has lost what comes after."""


class Uart:
    """A serial line: what is written when nobody is there, or nobody reads, is lost.

    Args:
        path: the Unix socket at which the machine listens.
        heard: called with what comes.
        changed: called with True after every connection and False after its end.
    """

    def __init__(self, path: Path, heard: Callable[[bytes], None], changed: Callable[[bool], None]) -> None:
        self._path = path
        self._heard = heard
        self._changed = changed
        self._writer: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def connect(self, timeout_s: float = CONNECT_S) -> None:
        """Connect, and stay connected until `close`; raises RigError when nobody listens there in time."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        began_s = time.monotonic()
        while not self._connected.is_set():
            if self._task.done() or time.monotonic() - began_s > timeout_s:
                raise RigError(f"nobody listens at {self._path}: is the machine running?")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._connected.wait(), RETRY_S)

    async def close(self) -> None:
        """Disconnect for good; may be called twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    def write(self, data: bytes) -> bool:
        """Write all of it or nothing; returns whether it was written."""
        writer = self._writer
        if writer is None or writer.is_closing() or writer.transport.get_write_buffer_size() > WAITING_BYTES:
            return False
        writer.write(data)
        return True

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError):
                await self._connection()
            await asyncio.sleep(RETRY_S)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_unix_connection(self._path)
        end: socket.socket = writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
        self._writer = writer
        self._connected.set()
        self._changed(True)  # noqa: FBT003 - a callback's one argument
        try:
            while data := await reader.read(READ_BYTES):
                self._heard(data)
        finally:
            self._connected.clear()
            self._writer = None
            writer.close()
            self._changed(False)  # noqa: FBT003 - likewise
