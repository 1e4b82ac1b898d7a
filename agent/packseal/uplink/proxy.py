"""Proxy: a tunnel to the sink through an HTTP proxy (CONNECT, RFC 9110 §9.3.6) or a SOCKS 5 proxy (uplink/socks.py).

The proxy resolves the sink's name. It is used only where the configuration names it: variables such as https_proxy are
not looked at.
"""

import asyncio
import base64
import re
import socket

from packseal.core.errors import UplinkError
from packseal.uplink.route import Proxy
from packseal.uplink.socks import connect_socks

MAX_HEAD_BYTES = 8 << 10
READ_BYTES = 1 << 10
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([ -~]*))?\r?\n")  # RFC 9112 §4
REFUSALS = {
    407: "it wants another name or password: check proxy and proxy_password_file",
    401: "it wants another name or password: check proxy and proxy_password_file",  # so tinyproxy 1.11 says it
    403: "it does not let anyone connect there: have its rules allow this host and port",
    405: "it makes no tunnels (CONNECT)",
    502: "it cannot reach that host",
    503: "it cannot reach that host",
    504: "that host does not answer it",
}
"""RFC 9110 §15: what a status means to someone who wanted a tunnel."""


async def tunnel(proxy: Proxy, to_proxy: socket.socket, host: str, port: int, wait_s: float) -> None:
    """Turn the connection `to_proxy` into one to `host`; raises UplinkError, also when `wait_s` is over."""
    try:
        async with asyncio.timeout(wait_s):
            if proxy.kind == "http":
                await _connect(proxy, to_proxy, host, port)
            else:
                await connect_socks(to_proxy, host, port, _login(proxy))
    except TimeoutError as error:
        raise UplinkError(f"proxy {proxy.host} does not answer within {wait_s:g} s") from error
    except OSError as error:
        raise UplinkError(f"proxy {proxy.host} broke off: {error.strerror or error}") from error
    except UplinkError as error:
        raise UplinkError(f"proxy {proxy.host}: {error}") from error


def _login(proxy: Proxy) -> tuple[str, str] | None:
    """Return name and password, read anew each time, so that a changed one needs no restart."""
    if proxy.user is None:
        return None
    try:
        secret = "" if proxy.password_file is None else proxy.password_file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UplinkError(f"cannot read its password from {proxy.password_file}: {error}") from error
    return proxy.user, secret


async def _connect(proxy: Proxy, to_proxy: socket.socket, host: str, port: int) -> None:
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    login = _login(proxy)
    if login is not None:  # RFC 7617 §2
        lines.append("Proxy-Authorization: Basic " + base64.b64encode(":".join(login).encode()).decode())
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(to_proxy, ("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        got = await loop.sock_recv(to_proxy, READ_BYTES)
        if not got or len(head) > MAX_HEAD_BYTES:
            break
        head += got
    _judge(head, authority)


def _judge(head: bytes, authority: str) -> None:
    status = _STATUS.match(head)
    if status is None:
        raise UplinkError("what it answers is no HTTP: is this the proxy's address and port?")
    code = int(status[1])
    if not 200 <= code < 300:  # noqa: PLR2004 - RFC 9110 §9.3.6: any 2xx is a tunnel
        why = REFUSALS.get(code, (status[2] or b"").decode("latin-1"))
        raise UplinkError(f"no tunnel to {authority}, HTTP {code}: {why}")
    if not head.endswith(b"\r\n\r\n"):
        # In TLS and in MQTT the client speaks first: whatever comes now is not the sink's.
        raise UplinkError("it says more than that the tunnel is there")
