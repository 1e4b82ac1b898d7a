"""Server: one origin of HTTP on one kept connection, reached again as often as needed."""

import asyncio
from urllib.parse import urlsplit

from packseal.core.errors import ConfigError, UplinkError
from packseal.publish.dpp.answers import LaterError
from packseal.uplink.credentials import Credentials
from packseal.uplink.http import Connection, Headers, Reply, connect
from packseal.uplink.reach import Pace
from packseal.uplink.road import Road
from packseal.uplink.route import Route
from packseal.uplink.tls import TlsFiles, is_loopback


class Server:
    """A server and a path on it. One request at a time.

    Args:
        url: `https://host[:port][/path]`; `http://` only to this machine itself.
        tls: whom to trust and who we are; files that were renewed count for the next request.
        timeout_s: for one request and its reply.
        route: which way to it is taken.
        pace: how it is reached for.

    Raises:
        ConfigError: the URL cannot be used.
        InputError: a certificate or key file cannot be used.
    """

    def __init__(
        self,
        url: str,
        tls: TlsFiles | None,
        timeout_s: float,
        route: Route | None = None,
        pace: Pace | None = None,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname
        if parts.scheme not in ("https", "http") or host is None or parts.query or parts.fragment or parts.username:
            raise ConfigError(f"address {url!r} must look like https://host[:port][/path]")
        if parts.scheme == "http" and not is_loopback(host):
            raise ConfigError(f"address {url!r}: http:// is only allowed to this machine itself; use https://")
        self._tls = Credentials(tls or TlsFiles()) if parts.scheme == "https" else None
        self.name, self._host, self._authority = host, host, parts.netloc
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._road = Road(host, parts.port or (443 if self._tls else 80), route or Route(), pace)
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def ask(self, method: str, path: str, headers: Headers = (), body: bytes = b"") -> Reply:
        """Send a request to `path` below the server's own and return the reply, whatever its status.

        A connection that was kept and turns out to be closed is made anew once: what is asked here may be asked twice.

        Raises:
            LaterError: nothing came back; `in_doubt` when the request may have arrived.
        """
        return await self.ask_target(method, (self.path + path) or "/", headers, body)

    async def ask_target(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Reply:
        """Send a request to a whole path of this origin, see `ask`."""
        async with self._turn:
            kept = self._connection is not None and self._connection.usable
            try:
                return await self._once(method, target, headers, body)
            except ConnectionError:
                if not kept:
                    raise LaterError(f"{self.name} closed the connection without an answer", in_doubt=True) from None
            try:
                return await self._once(method, target, headers, body)
            except ConnectionError as error:
                raise LaterError(f"connection to {self.name} lost: {error}", in_doubt=True) from error

    async def _once(self, method: str, target: str, headers: Headers, body: bytes) -> Reply:
        connection = await self._usable()
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await connection.ask(method, target, [("Host", self._authority), *headers], body)
        except TimeoutError as error:
            raise LaterError(f"{self.name} did not answer within {self._timeout_s:g} s", in_doubt=True) from error
        except ConnectionError:
            raise
        except OSError as error:
            raise LaterError(f"connection to {self.name} lost: {error}", in_doubt=True) from error
        finally:
            if not connection.usable:
                await self.close()
        return reply

    async def _usable(self) -> Connection:
        renewed = self._tls is not None and self._tls.refresh()
        if self._connection is not None and (renewed or not self._connection.usable):
            await self.close()
        if self._connection is None:
            try:
                self._connection = await connect(self._road, self._host, self._tls.context() if self._tls else None)
            except UplinkError as error:
                raise LaterError(str(await self._road.explained(error, error.__cause__))) from error
            self._road.proven()
        return self._connection

    async def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.abort()
