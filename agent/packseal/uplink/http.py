"""HTTP/1.1 on one kept connection, one request at a time: for the sink's exchange and for an operator's backend."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packseal.core.errors import UplinkError
from packseal.uplink.reach import Reach
from packseal.uplink.road import Road

if TYPE_CHECKING:
    import h11

MAX_REPLY_BYTES = 4 << 20  # ten thousand receipts, and more than any passport
READ_BYTES = 1 << 16
HANDSHAKE_S = 5.0

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered. The names of `headers` are in lower case; of several alike the last counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The beginning of the body as one line for a person."""
        return " ".join(self.body[:200].decode("utf-8", "replace").split())


class Connection:
    """One connection to one server. Made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11  # noqa: PLC0415 - only gateways that use HTTP pay for it

        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @property
    def usable(self) -> bool:
        """Whether another request may go out on it."""
        import h11  # noqa: PLC0415

        return self._http.our_state is h11.IDLE and not self._reader.at_eof()

    async def ask(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Reply:
        """Send one request and return the reply to it; `headers` must have Host.

        Raises:
            OSError: the connection broke, or what came is no HTTP or too long.
        """
        import h11  # noqa: PLC0415

        sized = [*headers, ("Content-Length", str(len(body)))] if body or method != "GET" else [*headers]
        try:
            for event in (h11.Request(method=method, target=target, headers=sized), h11.Data(data=body)):
                self._writer.write(self._http.send(event) or b"")
            self._writer.write(self._http.send(h11.EndOfMessage()) or b"")
            await self._writer.drain()
            return await self._receive()
        except h11.RemoteProtocolError as error:
            raise ConnectionAbortedError(f"what came is no HTTP: {error}") from error

    async def _receive(self) -> Reply:
        import h11  # noqa: PLC0415

        status, headers, body = 0, dict[str, str](), bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("closed without an answer")
            if len(body) > MAX_REPLY_BYTES:
                raise ConnectionAbortedError(f"a reply of more than {MAX_REPLY_BYTES} bytes")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return Reply(status, headers, bytes(body))

    async def _event(self) -> "h11.Event":
        import h11  # noqa: PLC0415

        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Event):
                return event
            self._http.receive_data(await self._reader.read(READ_BYTES))

    async def abort(self) -> None:
        """Close without waiting for the other side."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def connect(reach: Reach | Road, host: str, tls: ssl.SSLContext | None) -> Connection:
    """Return a new connection to the host that `reach` finds; raises UplinkError, caused by what TLS said."""
    reached = await reach.connect()
    try:
        streams = await asyncio.open_connection(
            sock=reached,
            ssl=tls,
            server_hostname=host if tls else None,
            ssl_handshake_timeout=HANDSHAKE_S if tls else None,
        )
    except OSError as error:  # TLS errors among them
        raise UplinkError(f"no secure connection to {host}: {error}") from error
    return Connection(*streams)
