"""SOCKS 5 (RFC 1928) with a name and password (RFC 1929): a tunnel to a host whose name the proxy resolves."""

import asyncio
import ipaddress
import socket

from packseal.core.errors import UplinkError

VERSION, LOGIN_VERSION = 5, 1
NO_LOGIN, WITH_LOGIN = 0, 2  # RFC 1928 §3
CONNECT = 1
IPV4, NAME, IPV6 = 1, 3, 4  # RFC 1928 §5
MAX_BYTES = 255
REFUSALS = {
    1: "general failure",
    2: "its rules do not allow it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the host refuses the connection",
    6: "the host does not answer",
    7: "it makes no tunnels",
    8: "it does not know this kind of address",
}
"""RFC 1928 §6."""


async def connect_socks(to_proxy: socket.socket, host: str, port: int, login: tuple[str, str] | None) -> None:
    """Turn the connection `to_proxy` into one to `host`.

    Raises:
        UplinkError: the proxy does not let us, or cannot reach the host.
        OSError: the connection broke.
    """
    loop = asyncio.get_running_loop()
    methods = bytes([NO_LOGIN] if login is None else [NO_LOGIN, WITH_LOGIN])
    await loop.sock_sendall(to_proxy, bytes([VERSION, len(methods)]) + methods)
    version, method = await _exactly(to_proxy, 2)
    if version != VERSION:
        raise UplinkError("what it answers is no SOCKS 5: is this the proxy's address and port?")
    if method == WITH_LOGIN and login is not None:
        await _log_in(to_proxy, login)
    elif method != NO_LOGIN:
        raise UplinkError("it wants a name and password: proxy = socks5h://user@… and proxy_password_file")
    await loop.sock_sendall(to_proxy, bytes([VERSION, CONNECT, 0]) + _address(host) + port.to_bytes(2, "big"))
    _, answer, _, kind = await _exactly(to_proxy, 4)
    if answer != 0:
        raise UplinkError(f"no tunnel to {host} port {port}: {REFUSALS.get(answer, f'reason {answer}')}")
    sizes = {IPV4: 4, IPV6: 16}
    size = sizes[kind] if kind in sizes else (await _exactly(to_proxy, 1))[0]
    await _exactly(to_proxy, size + 2)  # the address that the proxy calls from, of no interest


async def _log_in(to_proxy: socket.socket, login: tuple[str, str]) -> None:
    name, password = (part.encode() for part in login)
    if max(len(name), len(password)) > MAX_BYTES:
        raise UplinkError(f"a SOCKS name or password may have {MAX_BYTES} bytes")
    request = bytes([LOGIN_VERSION, len(name)]) + name + bytes([len(password)]) + password
    await asyncio.get_running_loop().sock_sendall(to_proxy, request)
    _, status = await _exactly(to_proxy, 2)
    if status != 0:
        raise UplinkError("it wants another name or password: check proxy and proxy_password_file")


def _address(host: str) -> bytes:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        name = _name(host)
        return bytes([NAME, len(name)]) + name
    return bytes([IPV4 if literal.version == 4 else IPV6]) + literal.packed  # noqa: PLR2004 - the IP version


def _name(host: str) -> bytes:
    try:
        name = host.encode("idna")
    except UnicodeError as error:
        raise UplinkError(f"{host!r} is not the name of a host: {error}") from error
    if len(name) > MAX_BYTES:
        raise UplinkError(f"a host's name may have {MAX_BYTES} bytes")
    return name


async def _exactly(to_proxy: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        more = await asyncio.get_running_loop().sock_recv(to_proxy, size - len(got))
        if not more:
            raise ConnectionResetError("closed in the middle of its answer")
        got += more
    return got
