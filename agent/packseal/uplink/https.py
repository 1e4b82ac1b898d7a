"""Uplink over HTTPS: each request is a POST to /v1/exchange on a small pool of kept connections."""

import asyncio
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from packseal.core.errors import ConfigError, UplinkError
from packseal.uplink.http import Connection, connect
from packseal.uplink.reach import Pace, Reach
from packseal.uplink.tls import TlsFiles, context, is_loopback

PATH = "/v1/exchange"
MEDIA_TYPE = "application/cbor"  # RFC 8949 §9.3
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
        self._headers = [("Host", parts.netloc), ("Content-Type", MEDIA_TYPE), ("Accept", MEDIA_TYPE)]
        self._target = parts.path.rstrip("/") + PATH
        self._reply_timeout_s = reply_timeout_s
        self._reach = Reach(host, parts.port or (443 if self._tls else 80), pace)
        self._slots = asyncio.Semaphore(in_flight)
        self._idle: list[Connection] = []

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
        async with self._slots:
            connection = await self._take()
            try:
                async with asyncio.timeout(self._reply_timeout_s):
                    reply = await connection.ask("POST", self._target, self._headers, request)
            except TimeoutError as error:
                raise UplinkError(f"the sink did not answer within {self._reply_timeout_s:g} s") from error
            except OSError as error:
                raise UplinkError(f"connection to {self._host} lost: {error}") from error
            finally:
                await self._put_back(connection)
        if reply.status != OK:
            raise UplinkError(f"{self._host} answers HTTP {reply.status}: {reply.text or 'no text'}")
        return reply.body

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            await connection.abort()  # the server closed it meanwhile
        return await self._open()

    async def _put_back(self, connection: Connection) -> None:
        if connection.usable:
            self._idle.append(connection)
        else:
            await connection.abort()

    async def _open(self) -> Connection:
        return await connect(self._reach, self._host, self._tls)
