"""What every client of an MQTT broker needs around aiomqtt and paho, which have no way of their own for it."""

import asyncio
import contextlib
import importlib
import socket
import ssl
import struct
import sys
import urllib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from packseal.core.errors import InputError

if TYPE_CHECKING:
    import aiomqtt

NO_LINGER = struct.pack("ii", 1, 0)  # socket(7): close drops what was not sent


class _Deferred(ModuleType):
    """Stands for urllib.request until something of it is wanted. paho asks it for proxies, and only with PySocks."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        sys.modules.pop(self.__name__, None)
        return getattr(importlib.import_module(self.__name__), attribute)


def defer_urllib() -> None:
    """Spare the agent 34 modules and 1.4 MB of memory that paho loads on the off chance of a proxy."""
    name = "urllib.request"
    if name not in sys.modules:
        urllib.request = sys.modules[name] = _Deferred(name)


def hand_over(client: "aiomqtt.Client", connected: socket.socket) -> None:
    """Have the client use this connection. Its own would know neither proxy nor interface.

    And with PySocks installed it would take a proxy from the environment, which nobody has configured.
    """
    paho: Any = client._client  # noqa: SLF001 - neither library can be given a connection
    connected.settimeout(paho.connect_timeout)
    paho._create_socket_connection = lambda: connected  # noqa: SLF001
    tls: ssl.SSLContext | None = paho._ssl_context  # noqa: SLF001

    def secured(plain: socket.socket) -> ssl.SSLSocket:
        """As the library does it, but closing what did not become a secure connection."""
        made = (tls or ssl.create_default_context()).wrap_socket(
            plain, server_hostname=paho.host, do_handshake_on_connect=False
        )
        try:
            made.settimeout(paho.connect_timeout)
            made.do_handshake()
        except BaseException:
            made.close()
            raise
        return made

    paho._ssl_wrap_socket = secured  # noqa: SLF001


def read_password(path: Path | None) -> str | None:
    """Return the password in a file, None where none is named; raises InputError."""
    try:
        return None if path is None else path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the MQTT password from {path}: {error}") from error


def reset(client: "aiomqtt.Client") -> None:
    """Close the connection at once, dropping what was not sent: after an outage it would only arrive a second time.

    Call it in the event loop's thread.
    """
    paho = client._client  # noqa: SLF001 - aiomqtt has no way to close a connection without waiting for the broker
    connection = paho.socket()
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):  # already closed by the other side
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            connection.shutdown(socket.SHUT_RDWR)
        paho.disconnect()
        # After what the library has scheduled for this connection, which would else meet a closed one, or another one's
        # number; and whether or not the connection still says that it has ended.
        asyncio.get_running_loop().call_soon(paho._sock_close)  # noqa: SLF001


def give_up(client: "aiomqtt.Client", connected: socket.socket) -> None:
    """Close a connection that was handed over to a client which did not get on with it, as `reset` does."""
    if client._client.socket() is None:  # noqa: SLF001
        connected.close()  # it had not taken it yet
    else:
        reset(client)
