"""Portal: tell a captive portal, which answers in place of the sink until somebody signs in, from everything else.

Nothing here trusts a portal. TLS has already refused it: no certificate, password or record has left. What is left to
find out is what to tell the operator. For that, one request without any content goes to port 80 of the sink's own name,
as RFC 8910 §1 describes that portals intercept; no other host is ever asked. A portal answers it with a redirect to
itself (RFC 8952 §2.6 calls that legacy) or with 511 (RFC 6585 §6); the sink's own web server, if any, with neither.
"""

import asyncio
import contextlib
import re
import ssl
from urllib.parse import urljoin, urlsplit

from packseal.core.errors import UplinkError
from packseal.uplink.reach import Pace, Reach
from packseal.uplink.route import HTTP_PORT

LOOK_S = 3.0
LOOK_EVERY_S = 60.0
MAX_HEAD_BYTES = 4 << 10
NETWORK_AUTHENTICATION_REQUIRED = 511
REDIRECTS = frozenset({301, 302, 303, 307, 308})  # RFC 9110 §15.4
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\n]*\n")
_LOCATION = re.compile(rb"\nlocation:[ \t]*([!-~]+)", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9.:\[\]-]{1,100}")

WORDS = "a captive portal answers in place of the sink: sign in to this network"
EXPIRED, NOT_YET_VALID = 10, 9  # X509_verify_cert_error_string(3): X509_V_ERR_CERT_HAS_EXPIRED, …_NOT_YET_VALID


class PortalError(UplinkError):
    """Something on the way answers in place of the sink."""


def portal_error(where: str) -> PortalError:
    """Return the error that names a portal; `where` is its address, empty when it did not say."""
    return PortalError(f"{WORDS} at {where}" if where else WORDS)


def portal_of(status: int, location: str, host: str) -> str | None:
    """Return the address of the portal that answered in place of `host`, "" when it gives none; None: no portal did."""
    if status in REDIRECTS and location:
        try:
            target = urlsplit(urljoin(f"http://{host}/", location))
        except ValueError:  # it leads nowhere, and the sink's own server would not say so
            return ""
        if target.hostname not in (None, host):
            # It comes from a stranger and goes to a terminal: nothing but a plain host is shown of it.
            return f"{target.scheme}://{target.netloc}/" if _PLAIN.fullmatch(target.netloc) else ""
    return "" if status == NETWORK_AUTHENTICATION_REQUIRED else None


def untrusted(error: ssl.SSLError, host: str) -> UplinkError:
    """Return what to tell of a TLS handshake with `host` that failed."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"):
            return UplinkError(f"what answers for {host} does not speak TLS: a captive portal, or the wrong port")
        return UplinkError(f"no secure connection to {host}: {error.reason or error}")
    if error.verify_code in (EXPIRED, NOT_YET_VALID):
        return UplinkError(
            f"the certificate of {host} is not valid now ({error.verify_message}): "
            "set this gateway's clock, or have that certificate renewed"
        )
    return PortalError(
        f"another server answers in place of {host} ({error.verify_message.rstrip('.')}): a captive portal where this "
        "network has one, then sign in to it; else check the address and authorities"
    )


class Portal:
    """Looks whether one answers in place of `host`."""

    def __init__(self, host: str, interface: str | None = None, port: int = HTTP_PORT) -> None:
        self._host = host
        pace = Pace(give_up_s=LOOK_S, resolve_s=LOOK_S)
        self._reach = Reach(host, port, pace, interface=interface)
        self._looking = asyncio.Lock()
        self._looked = float("-inf")
        self.where: str | None = None
        """The portal's address, "" when it gave none; None: none was seen when it was last looked for."""

    async def look(self) -> None:
        """Ask, at most once in LOOK_EVERY_S and for LOOK_S; never raises."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._looked < LOOK_EVERY_S:
                return
            where = None
            with contextlib.suppress(UplinkError, OSError, TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    where = await self._ask()
            self._looked, self.where = now, where

    def forget(self) -> None:
        """Note that the sink itself has answered."""
        self._looked, self.where = float("-inf"), None

    async def _ask(self) -> str | None:
        reader, writer = await asyncio.open_connection(sock=await self._reach.connect(), limit=MAX_HEAD_BYTES)
        try:
            writer.write(f"GET / HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n".encode())
            head = b""
            while b"\n\r\n" not in head and len(head) < MAX_HEAD_BYTES and (more := await reader.read(MAX_HEAD_BYTES)):
                head += more
        finally:
            writer.transport.abort()
        status, location = _HEAD.match(head), _LOCATION.search(head.partition(b"\r\n\r\n")[0])
        if status is None:
            return None
        return portal_of(int(status[1]), location[1].decode("ascii") if location else "", self._host)
