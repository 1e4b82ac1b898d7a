"""Uplink over MQTT 5: requests and replies as QoS 1 messages through a broker (docs/formats/exchange.md)."""

import asyncio
import contextlib
import importlib
import itertools
import math
import secrets
import socket
import struct
import sys
import urllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from packseal.core.errors import ConfigError, InputError, UplinkError
from packseal.uplink.reach import Pace, Reach
from packseal.uplink.tls import TlsFiles, context, is_loopback

if TYPE_CHECKING:
    import aiomqtt

NO_LINGER = struct.pack("ii", 1, 0)  # socket(7): close drops what was not sent
NO_MATCHING_SUBSCRIBERS = 0x10  # PUBACK reason code, MQTT 5 §3.4.2.1


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is and how to show who we are; `tls` None is plain text."""

    host: str
    port: int = 8883
    tls: TlsFiles | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: int = 15
    connect_timeout_s: float = 5.0
    reply_timeout_s: float = 10.0


def gateway_name(issuer: str) -> str:
    """Return `issuer` as one level of a topic: percent-encoded, so without `+`, `#` and `/` (RFC 3986 §2.1)."""
    return quote(issuer, safe="")


class MqttUplink:
    """One connection to a broker.

    Args:
        settings: the broker.
        issuer: this gateway's URI, which names its topics.
        pace: how the broker is reached for.

    Raises:
        ConfigError: a password would cross the network in plain text.
        InputError: a certificate, key or password file cannot be used.
    """

    ordered = True

    def __init__(self, settings: MqttSettings, issuer: str, pace: Pace | None = None) -> None:
        if settings.password_file and settings.tls is None and not is_loopback(settings.host):
            raise ConfigError(f"the password for {settings.host} would be sent in plain text: set up TLS for MQTT")
        self._settings = settings
        self._tls = None if settings.tls is None else context(settings.tls)
        self._password = read_password(settings.password_file)
        self._reach = Reach(settings.host, settings.port, pace)
        name = gateway_name(issuer)
        self._client_id = f"{name}-{secrets.token_hex(4)}"
        self._topic = f"packseal/v1/{name}/exchange"
        self._reply_topic = f"packseal/v1/{name}/reply/{self._client_id}"
        self._correlations = (secrets.token_bytes(8) + n.to_bytes(8, "big") for n in itertools.count())
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._client: aiomqtt.Client | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Reach the broker, connect and subscribe to the replies; raises UplinkError."""
        defer_urllib()
        import aiomqtt  # noqa: PLC0415 - only gateways that use MQTT pay for it

        # The client library makes its own connection: this one only tells when the broker can be reached.
        (await self._reach.connect()).close()
        client = self._new_client()
        self._mind_refusals(client)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(reset, client)
            try:
                await client.__aenter__()
                await client.subscribe(self._reply_topic, qos=1)
            except aiomqtt.MqttError as error:
                raise UplinkError(f"broker {self._settings.host}: {error}") from error
            stack.pop_all()
        self._client = client
        self._reader = asyncio.create_task(self._read(client), name="mqtt replies")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; after a loss without trying to tell the broker."""
        import aiomqtt  # noqa: PLC0415

        client, reader, self._client = self._client, self._reader, None
        if client is None or reader is None:
            return
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        self._fail("the uplink was left")
        if not isinstance(error, UplinkError):
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)
        reset(client)

    async def exchange(self, request: bytes) -> bytes:
        """Publish `request` and return the message that answers it; raises UplinkError."""
        import aiomqtt  # noqa: PLC0415

        client, reader = self._client, self._reader
        if client is None or reader is None or reader.done():
            raise UplinkError(f"broker {self._settings.host}: the connection is lost")
        correlation = next(self._correlations)
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = reply
        sending = asyncio.create_task(self._publish(client, request, correlation), name="mqtt publish")
        try:
            async with asyncio.timeout(self._settings.reply_timeout_s):
                # Whichever ends first: the broker's acknowledgement never comes on a connection that broke.
                await asyncio.wait((sending, reply), return_when=asyncio.FIRST_COMPLETED)
                if not reply.done():
                    await sending
                return await reply
        except TimeoutError as error:
            raise UplinkError(f"the sink did not answer within {self._settings.reply_timeout_s:g} s") from error
        except aiomqtt.MqttError as error:
            raise UplinkError(f"broker {self._settings.host}: {error}") from error
        finally:
            self._waiting.pop(correlation, None)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def _new_client(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415

        return aiomqtt.Client(
            self._settings.host,
            self._settings.port,
            identifier=self._client_id,
            username=self._settings.username,
            password=self._password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=self._settings.keepalive_s,
            timeout=self._settings.connect_timeout_s,
            tls_context=self._tls,
            socket_options=self._reach.socket_options,
        )

    def _mind_refusals(self, client: "aiomqtt.Client") -> None:
        """Fail at once what the broker refuses, or has no sink for; waiting for an answer would only lose time."""
        paho = client._client  # noqa: SLF001 - aiomqtt drops the reason that a PUBACK carries
        confirm: Any = paho.on_publish

        def acknowledged(source: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
            if reason.value == NO_MATCHING_SUBSCRIBERS:
                self._fail(f"broker {self._settings.host}: no sink is connected to it")
            elif reason.is_failure:
                self._fail(f"broker {self._settings.host} refuses what is sent: {reason}")
            confirm(source, data, number, reason, properties)

        paho.on_publish = acknowledged

    async def _publish(self, client: "aiomqtt.Client", request: bytes, correlation: bytes) -> None:
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415
        from paho.mqtt.properties import Properties  # noqa: PLC0415

        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._reply_topic
        properties.CorrelationData = correlation
        await client.publish(self._topic, request, qos=1, properties=properties, timeout=math.inf)

    async def _read(self, client: "aiomqtt.Client") -> None:
        import aiomqtt  # noqa: PLC0415

        try:
            async for message in client.messages:
                waiting = self._waiting.get(getattr(message.properties, "CorrelationData", b""))
                if waiting is not None and not waiting.done() and isinstance(message.payload, bytes):
                    waiting.set_result(message.payload)
        except aiomqtt.MqttError as error:
            self._fail(f"broker {self._settings.host}: {error}")

    def _fail(self, text: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(UplinkError(text))


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


def read_password(path: Path | None) -> str | None:
    """Return the password in a file, None where none is named; raises InputError."""
    try:
        return None if path is None else path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the MQTT password from {path}: {error}") from error


def reset(client: "aiomqtt.Client") -> None:
    """Close the connection at once, dropping what was not sent: after an outage it would only arrive a second time."""
    paho = client._client  # noqa: SLF001 - aiomqtt has no way to close a connection without waiting for the broker
    connection = paho.socket()
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):  # already closed by the other side
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            connection.shutdown(socket.SHUT_RDWR)
        paho.disconnect()
