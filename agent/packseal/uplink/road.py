"""Road: the way to one host and port: by one interface, through a proxy, and seeing a captive portal for what it is."""

import asyncio
import socket
import ssl

from packseal.core.errors import UplinkError
from packseal.uplink.portal import Portal, PortalError, portal_error, untrusted
from packseal.uplink.reach import Pace, Reach
from packseal.uplink.route import Route

LOOK_AFTER_S = 2.5


class Road:
    """Connects to one host and port by one route, again and again.

    Args:
        host, port: the sink or broker.
        route: which way to take.
        pace: how attempts follow each other.
        keepalive_s: for idle TCP connections; None never asks.
    """

    def __init__(
        self, host: str, port: int, route: Route, pace: Pace | None = None, keepalive_s: int | None = None
    ) -> None:
        self._host = host
        self._port = port
        self._proxy = route.proxy
        # Behind a proxy the proxy's network decides what answers; this machine has no portal on its way.
        first = (host, port) if self._proxy is None else (self._proxy.host, self._proxy.port)
        self._reach = Reach(*first, pace, interface=route.interface, keepalive_s=keepalive_s)
        self._portal = None if self._proxy else Portal(host, route.interface, route.portal_port)
        self._pace = pace or Pace()
        self._place: object = None
        self._not_before = 0.0

    async def connect(self) -> socket.socket:
        """Return a connected, non-blocking socket whose other end is to be the host; the caller's to close.

        Raises:
            UplinkError: it cannot be reached. A PortalError, when a captive portal says so.
        """
        await asyncio.sleep(self._not_before - asyncio.get_running_loop().time())
        looking = asyncio.create_task(self._look_later(), name="portal")
        try:
            connected = await self._reach.connect()
        except UplinkError as error:
            raise await self._blamed(error) from error
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        try:
            self._place = connected.getpeername()
            if self._proxy is not None:
                from packseal.uplink.proxy import tunnel  # noqa: PLC0415 - only gateways behind one pay for it

                # It answers when it has reached the host, which may take as long as reaching it ourselves.
                await tunnel(self._proxy, connected, self._host, self._port, self._pace.give_up_s)
                self._reach.proven(self._place)
        except OSError as error:
            connected.close()
            raise UplinkError(f"connection to {self._host} lost: {error.strerror}") from error
        except BaseException:
            connected.close()
            raise
        return connected

    def proven(self) -> None:
        """Note that the host itself has answered at the end of the last connection."""
        self._reach.proven(self._place)
        if self._portal is not None:
            self._portal.forget()

    async def explained(self, error: UplinkError, cause: BaseException | None) -> UplinkError:
        """Return what to tell of a connection that did not become a secure one because of `cause`."""
        if not isinstance(cause, ssl.SSLError):
            return error
        told = untrusted(cause, self._host)
        if self._proxy is None:
            self._reach.doubt(self._place)
        return await self._blamed(told)

    async def _blamed(self, error: UplinkError) -> UplinkError:
        """Return `error`, or the portal that is behind it."""
        if self._portal is not None:
            await self._portal.look()
            if self._portal.where is not None:
                error = portal_error(self._portal.where)
        if isinstance(error, PortalError):
            self._not_before = asyncio.get_running_loop().time() + self._pace.portal_s
        return error

    async def _look_later(self) -> None:
        """Look for a portal while nobody answers, so that the look takes no time from the tries."""
        if self._portal is not None:
            await asyncio.sleep(LOOK_AFTER_S)
            await self._portal.look()
