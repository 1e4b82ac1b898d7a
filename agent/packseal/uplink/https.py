"""Uplink over HTTPS: each request is a POST to /v1/exchange on a small pool of kept connections."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from packseal.core.errors import ConfigError, UplinkError
from packseal.uplink.credentials import Credentials
from packseal.uplink.http import Connection, Reply, connect
from packseal.uplink.portal import portal_error, portal_of
from packseal.uplink.reach import Pace
from packseal.uplink.road import Road
from packseal.uplink.route import Route
from packseal.uplink.tls import TlsFiles, is_loopback

PATH = "/v1/exchange"
MEDIA_TYPE = "application/cbor"  # RFC 8949 §9.3
OK = 200
KEEPALIVE_S = 60
"""Idle seconds until the kernel asks for a sign of life.

A NAT should keep an idle connection for 2 h 4 min (RFC 5382 REQ-5). Azure's forgets it after 4 minutes, AWS's after
350 s (their documentation of NAT gateways), some mobile networks' in less than 10 minutes (Wang et al., An Untold Story
of Middleboxes in Cellular Networks, SIGCOMM 2011). With a window of 60 s it is a spare: a request comes first.
"""


class HttpsUplink:
    """Up to `in_flight` connections to one sink.

    Args:
        url: `https://host[:port][/prefix]`; `http://` only to this machine itself.
        tls: whom to trust and who we are.
        in_flight: how many requests may be under way at once.
        reply_timeout_s: for one request and its reply.
        pace: how the sink is reached for.
        route: which way to it is taken.

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
        route: Route | None = None,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname
        if parts.scheme not in ("https", "http") or host is None or parts.query or parts.username:
            raise ConfigError(f"uplink address {url!r} must look like https://host[:port][/prefix]")
        if parts.scheme == "http" and not is_loopback(host):
            raise ConfigError(f"uplink address {url!r}: http:// is only allowed to this machine itself; use https://")
        self._credentials = Credentials(tls or TlsFiles()) if parts.scheme == "https" else None
        self._host = host
        self._headers = [("Host", parts.netloc), ("Content-Type", MEDIA_TYPE), ("Accept", MEDIA_TYPE)]
        self._target = parts.path.rstrip("/") + PATH
        self._reply_timeout_s = reply_timeout_s
        route = route or Route()
        port = parts.port or (443 if self._credentials else 80)
        self._road = Road(host, port, route, pace, route.keepalive_s or KEEPALIVE_S)
        self._slots = asyncio.Semaphore(in_flight)
        self._idle: list[Connection] = []

    @property
    def notes(self) -> Sequence[str]:
        """What somebody should act on."""
        return () if self._credentials is None else self._credentials.notes()

    @property
    def max_request_bytes(self) -> int | None:
        """There is no such limit."""
        return None

    async def __aenter__(self) -> Self:
        """Open the first connection; raises UplinkError."""
        self._idle.append(await self._open())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection at once."""
        await self._close_idle()

    async def exchange(self, request: bytes) -> bytes:
        """POST `request` and return the body of a 200 reply; raises UplinkError, for other statuses with their text."""
        async with self._slots:
            try:
                reply = await self._ask(request)
            except OSError as error:
                raise UplinkError(f"connection to {self._host} lost: {error}") from error
        self._judge(reply)
        return reply.body

    async def _ask(self, request: bytes) -> Reply:
        """Send on a kept connection, and once more on a new one when that had died unnoticed.

        The sink may then get the request twice, which changes nothing (docs/formats/exchange.md; RFC 9110 §9.2.2).
        """
        kept = await self._kept()
        if kept is not None:
            with contextlib.suppress(OSError):
                return await self._ask_on(kept, request)
        return await self._ask_on(await self._open(), request)

    async def _ask_on(self, connection: Connection, request: bytes) -> Reply:
        limit = asyncio.timeout(self._reply_timeout_s)
        try:
            async with limit:
                return await connection.ask("POST", self._target, self._headers, request)
        except TimeoutError as error:
            if limit.expired():  # and not the kernel's, for what nobody acknowledges
                raise UplinkError(f"the sink did not answer within {self._reply_timeout_s:g} s") from error
            raise
        finally:
            if connection.usable:
                self._idle.append(connection)
            else:
                await connection.abort()

    def _judge(self, reply: Reply) -> None:
        """Raise UplinkError unless the sink itself has answered, and well."""
        where = portal_of(reply.status, reply.headers.get("location", ""), self._host)
        if where is not None:
            raise portal_error(where)
        if reply.status != OK:
            raise UplinkError(f"{self._host} answers HTTP {reply.status}: {reply.text or 'no text'}")
        if reply.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/html":
            raise UplinkError(
                f"{self._host} answers with a web page in place of the sink's reply: check the address, and whether "
                "this network wants a sign-in"
            )

    async def _kept(self) -> Connection | None:
        """Return a connection that can be used again; after a renewal of the certificates none from before it."""
        if self._credentials is not None and self._credentials.refresh():
            await self._close_idle()
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            await connection.abort()  # the server closed it meanwhile
        return None

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().abort()

    async def _open(self) -> Connection:
        tls = None if self._credentials is None else self._credentials.context()
        try:
            connection = await connect(self._road, self._host, tls)
        except UplinkError as error:
            raise await self._road.explained(error, error.__cause__) from error
        self._road.proven()
        return connection
