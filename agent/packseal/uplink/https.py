"""Uplink over HTTPS: each request is a POST to /v1/exchange on a small pool of kept connections."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from packseal.core.errors import ConfigError, UplinkError
from packseal.uplink.reach import Pace, Reach
from packseal.uplink.tls import TlsFiles, context, is_loopback

if TYPE_CHECKING:
    import h11

PATH = "/v1/exchange"
MEDIA_TYPE = "application/cbor"  # RFC 8949 §9.3
MAX_REPLY_BYTES = 4 << 20  # ten thousand receipts
READ_BYTES = 1 << 16
HANDSHAKE_S = 5.0
OK = 200


class HttpsUplink:
    """Up to `in_flight` connections to one sink.

    Args:
        url: `https://host[:port][/prefix]`; `http://` only to this machine itself.
        tls: whom to trust and who we are.
        in_flight: how many requests may be under way at once.
        reply_timeout_s: for one request and its reply.
        pace: how the sink is reached for.

    Raises:
        ConfigError: the URL cannot be used.
        InputError: a certificate or key file cannot be used.
    """

    ordered = False  # each connection has its own pace

    def __init__(
        self,
        url: str,
        tls: TlsFiles | None = None,
        in_flight: int = 4,
        reply_timeout_s: float = 10.0,
        pace: Pace | None = None,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname
        if parts.scheme not in ("https", "http") or host is None or parts.query or parts.username:
            raise ConfigError(f"uplink address {url!r} must look like https://host[:port][/prefix]")
        if parts.scheme == "http" and not is_loopback(host):
            raise ConfigError(f"uplink address {url!r}: http:// is only allowed to this machine itself; use https://")
        self._tls = context(tls or TlsFiles()) if parts.scheme == "https" else None
        self._host = host
        self._authority = parts.netloc
        self._target = parts.path.rstrip("/") + PATH
        self._reply_timeout_s = reply_timeout_s
        self._reach = Reach(host, parts.port or (443 if self._tls else 80), pace)
        self._slots = asyncio.Semaphore(in_flight)
        self._idle: list[_Connection] = []

    async def __aenter__(self) -> Self:
        """Open the first connection; raises UplinkError."""
        self._idle.append(await self._open())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection at once."""
        while self._idle:
            await self._idle.pop().abort()

    async def exchange(self, request: bytes) -> bytes:
        """POST `request` and return the body of a 200 reply; raises UplinkError, for other statuses with their text."""
        import h11  # noqa: PLC0415 - only gateways that use HTTPS pay for it

        async with self._slots:
            connection = await self._take()
            try:
                async with asyncio.timeout(self._reply_timeout_s):
                    status, body = await connection.post(self._authority, self._target, request)
            except TimeoutError as error:
                raise UplinkError(f"the sink did not answer within {self._reply_timeout_s:g} s") from error
            except (OSError, h11.RemoteProtocolError) as error:
                raise UplinkError(f"connection to {self._host} lost: {error}") from error
            finally:
                await self._put_back(connection)
        if status != OK:
            text = body[:200].decode("utf-8", "replace").strip()
            raise UplinkError(f"{self._host} answers HTTP {status}: {text or 'no text'}")
        return body

    async def _take(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            await connection.abort()  # the server closed it meanwhile
        return await self._open()

    async def _put_back(self, connection: "_Connection") -> None:
        if connection.usable:
            self._idle.append(connection)
        else:
            await connection.abort()

    async def _open(self) -> "_Connection":
        reached = await self._reach.connect()
        try:
            streams = await asyncio.open_connection(
                sock=reached,
                ssl=self._tls,
                server_hostname=self._host if self._tls else None,
                ssl_handshake_timeout=HANDSHAKE_S if self._tls else None,
            )
        except OSError as error:  # TLS errors among them
            raise UplinkError(f"no secure connection to {self._host}: {error}") from error
        return _Connection(*streams)


class _Connection:
    """One HTTP/1.1 connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import h11  # noqa: PLC0415

        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @property
    def usable(self) -> bool:
        """Whether another request may go out on it."""
        import h11  # noqa: PLC0415

        return self._http.our_state is h11.IDLE and not self._reader.at_eof()

    async def post(self, authority: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the reply."""
        import h11  # noqa: PLC0415

        headers = [
            ("Host", authority),
            ("Content-Type", MEDIA_TYPE),
            ("Accept", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
        ]
        for event in (h11.Request(method="POST", target=target, headers=headers), h11.Data(data=body)):
            self._writer.write(self._http.send(event) or b"")
        self._writer.write(self._http.send(h11.EndOfMessage()) or b"")
        await self._writer.drain()
        return await self._receive()

    async def _receive(self) -> tuple[int, bytes]:
        import h11  # noqa: PLC0415

        status, body = 0, bytearray()
        while not isinstance(event := await self._event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.ConnectionClosed):
                raise ConnectionResetError("closed without an answer")
            if len(body) > MAX_REPLY_BYTES:
                raise ConnectionAbortedError(f"a reply of more than {MAX_REPLY_BYTES} bytes")
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return status, bytes(body)

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
