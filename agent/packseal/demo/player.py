"""Player: streams recorded messages to whatever agent connects to a Unix socket, and goes on where an agent left.

The agent's pace holds the player back.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from packseal.core.errors import InputError
from packseal_drivers.framing.recorded import HEADER, encode_end

LENGTH_AT = 20  # of a message's data, in its header
SEND_BUFFER_BYTES = 64 << 10
"""What a dying agent can take with it unread: the kernel's usual 208 KiB would be an hour of a recording."""


@dataclass(frozen=True, slots=True)
class Part:
    """Messages sent in one go, `due_s` after the start of the play."""

    due_s: float
    data: bytes
    rows: int
    frames: int


@dataclass(slots=True)
class Progress:
    """How far the play is. `connections` counts the agents that were served so far."""

    rows: int = 0
    frames: int = 0
    connections: int = 0
    ended: bool = False


class Player:
    """Listens at `path`; serves one agent at a time, in the order in which they connect.

    Args:
        path: the socket; a stale one is replaced.
        tell: called with the progress after every part.

    Raises:
        InputError: the socket cannot be made.
    """

    def __init__(self, path: Path, tell: Callable[[Progress], None]) -> None:
        self.progress = Progress()
        self._tell = tell
        self._connection: socket.socket | None = None
        self._waited_s = 0.0
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            path.unlink(missing_ok=True)
            self._listener.bind(str(path))
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            raise InputError(f"socket {path} cannot be made: {error.strerror or error}") from error

    def play(self, parts: Iterable[Part]) -> None:
        """Send every part, each not before it is due; the time without an agent does not count."""
        self._accept()
        start_s, self._waited_s = time.monotonic(), 0.0
        for part in parts:
            early_s = start_s + self._waited_s + part.due_s - time.monotonic()
            if early_s > 0:
                time.sleep(early_s)
            self._send(part.data)
            self.progress.rows += part.rows
            self.progress.frames += part.frames
            self._tell(self.progress)

    def end(self) -> None:
        """Tell this agent, and every later one, that the recording has ended. Does not return."""
        self.progress.ended = True
        self._tell(self.progress)
        while True:
            self._send(encode_end())
            connection = self._connection
            with contextlib.suppress(OSError):
                while connection is not None and connection.recv(1):
                    pass
            if connection is not None:
                connection.close()
            self._accept()

    def close(self) -> None:
        """Close the socket; a `play` or `end` in another thread ends with OSError."""
        for end in (self._listener, self._connection):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def _send(self, data: bytes) -> None:
        """Send whole messages. One that was cut by an agent's end counts as sent, as it would on a bus."""
        done = 0
        while done < len(data):
            connection = self._connection or self._accept()
            try:
                done += connection.send(data[done:] if done else data)
            except OSError:
                done = _boundary(data, done)
                connection.close()
                self._connection = None

    def _accept(self) -> socket.socket:
        before_s = time.monotonic()
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._waited_s += time.monotonic() - before_s
        self._connection = connection
        self.progress.connections += 1
        return connection


def _boundary(data: bytes, sent: int) -> int:
    """Return where the first message begins at or after `sent` bytes."""
    place = 0
    while place < sent:
        place += HEADER.size + data[place + LENGTH_AT]
    return place
