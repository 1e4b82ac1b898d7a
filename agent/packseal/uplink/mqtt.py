"""Uplink over MQTT 5: requests and replies as QoS 1 messages through a broker (docs/formats/exchange.md)."""

import asyncio
import contextlib
import itertools
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from packseal.core.errors import ConfigError, UplinkError
from packseal.uplink.broker import Listener, said
from packseal.uplink.credentials import Credentials
from packseal.uplink.mqtt_client import defer_urllib, give_up, hand_over, read_password, reset
from packseal.uplink.reach import Pace
from packseal.uplink.road import Road
from packseal.uplink.route import Route
from packseal.uplink.tls import TlsFiles, is_loopback

if TYPE_CHECKING:
    import aiomqtt

ENVELOPE_BYTES = 64
"""What a PUBLISH has beside topics and payload, rounded up (MQTT 5 §3.3): header, lengths, correlation data."""
MAX_IN_FLIGHT = 20
"""Of messages that the broker has not acknowledged; fewer where it says so."""


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is and how to show who we are; `tls` None is plain text.

    `keepalive_s`: silence after which the broker is asked for a sign of life. It may set another (MQTT 5 §3.2.2.3.14).
    `refresh_s`: how long a renewed certificate may wait for its first use.
    """

    host: str
    port: int = 8883
    tls: TlsFiles | None = None
    username: str | None = None
    password_file: Path | None = None
    keepalive_s: int = 15
    connect_timeout_s: float = 5.0
    reply_timeout_s: float = 10.0
    refresh_s: float = 10.0


def gateway_name(issuer: str) -> str:
    """Return `issuer` as one level of a topic: percent-encoded, so without `+`, `#` and `/` (RFC 3986 §2.1)."""
    return quote(issuer, safe="")


class MqttUplink:
    """One connection to a broker.

    Args:
        settings: the broker.
        issuer: this gateway's URI, which names its topics.
        pace: how the broker is reached for.
        route: which way to it is taken.

    Raises:
        ConfigError: a password would cross the network in plain text.
        InputError: a certificate, key or password file cannot be used.
    """

    ordered = True

    def __init__(
        self, settings: MqttSettings, issuer: str, pace: Pace | None = None, route: Route | None = None
    ) -> None:
        if settings.password_file and settings.tls is None and not is_loopback(settings.host):
            raise ConfigError(f"the password for {settings.host} would be sent in plain text: set up TLS for MQTT")
        self._settings = settings
        self._credentials = None if settings.tls is None else Credentials(settings.tls)
        read_password(settings.password_file)
        route = route or Route()
        self._keepalive_s = route.keepalive_s or settings.keepalive_s
        self._road = Road(settings.host, settings.port, route, pace)
        name = gateway_name(issuer)
        self._client_id = f"{name}-{secrets.token_hex(4)}"
        self._topic = f"packseal/v1/{name}/exchange"
        self._reply_topic = f"packseal/v1/{name}/reply/{self._client_id}"
        self._correlations = (secrets.token_bytes(8) + n.to_bytes(8, "big") for n in itertools.count())
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._client: aiomqtt.Client | None = None
        self._reader: asyncio.Task[None] | None = None
        self._listener: Listener | None = None
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._changing = asyncio.Lock()
        self._refreshed = 0.0

    @property
    def notes(self) -> Sequence[str]:
        """What somebody should act on."""
        return () if self._credentials is None else self._credentials.notes()

    @property
    def max_request_bytes(self) -> int | None:
        """The largest request in a packet that the broker takes (its Maximum Packet Size, MQTT 5 §3.2.2.3.6)."""
        most = None if self._listener is None else self._listener.limits.packet_bytes
        return None if most is None else max(0, most - len(self._topic) - len(self._reply_topic) - ENVELOPE_BYTES)

    async def __aenter__(self) -> Self:
        """Reach the broker, connect and subscribe to the replies; raises UplinkError."""
        defer_urllib()
        import aiomqtt  # noqa: PLC0415 - only gateways that use MQTT pay for it

        client = self._new_client()
        listener = Listener(client._client, self._refused)  # noqa: SLF001 - aiomqtt drops what a broker says
        async with contextlib.AsyncExitStack() as stack:
            connected = await self._road.connect()
            stack.callback(give_up, client, connected)
            hand_over(client, connected)
            try:
                await client.__aenter__()
                listener.limits.check()
                codes = await client.subscribe(self._reply_topic, qos=1)
            except (aiomqtt.MqttError, UplinkError) as error:
                failed = UplinkError(f"broker {self._settings.host}: {listener.reason or error}")
                raise await self._road.explained(failed, error.__context__) from error
            refused = next((c for c in codes if not isinstance(c, int) and c.is_failure), None)
            if refused is not None:
                raise UplinkError(f"broker {self._settings.host} gives no replies: {said(refused.value, None)}")
            stack.pop_all()
        self._road.proven()
        self._client, self._listener = client, listener
        self._slots = asyncio.Semaphore(min(MAX_IN_FLIGHT, listener.limits.receive_maximum or MAX_IN_FLIGHT))
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

        await self._renew()
        client, reader = self._client, self._reader
        if client is None or reader is None or reader.done():
            raise UplinkError(f"broker {self._settings.host}: {self._why('the connection is lost')}")
        most = self.max_request_bytes
        if most is not None and len(request) > most:
            raise UplinkError(f"broker {self._settings.host} takes {most} bytes at once, this are {len(request)}")
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
            raise UplinkError(f"broker {self._settings.host}: {self._why(error)}") from error
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
            password=read_password(self._settings.password_file),
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=self._keepalive_s,
            timeout=self._settings.connect_timeout_s,
            tls_context=None if self._credentials is None else self._credentials.context(),
        )

    async def _publish(self, client: "aiomqtt.Client", request: bytes, correlation: bytes) -> None:
        from paho.mqtt.packettypes import PacketTypes  # noqa: PLC0415
        from paho.mqtt.properties import Properties  # noqa: PLC0415

        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._reply_topic
        properties.CorrelationData = correlation
        async with self._slots:
            await client.publish(self._topic, request, qos=1, properties=properties, timeout=math.inf)

    async def _read(self, client: "aiomqtt.Client") -> None:
        import aiomqtt  # noqa: PLC0415

        try:
            async for message in client.messages:
                waiting = self._waiting.get(getattr(message.properties, "CorrelationData", b""))
                if waiting is not None and not waiting.done() and isinstance(message.payload, bytes):
                    waiting.set_result(message.payload)
        except aiomqtt.MqttError as error:
            self._fail(f"broker {self._settings.host}: {self._why(error)}")

    async def _renew(self) -> None:
        """Connect anew after the certificates were renewed, once what is under way has landed."""
        if self._credentials is None:
            return
        async with self._changing:
            if self._client is None:
                return
            now = asyncio.get_running_loop().time()
            if now - self._refreshed < self._settings.refresh_s:
                return
            self._refreshed = now
            if self._credentials.refresh():
                if self._waiting:
                    await asyncio.wait(self._waiting.values())
                await self.__aexit__(None, None, None)
                await self.__aenter__()

    def _why(self, error: object) -> str:
        """Return what the broker said of the loss, or what was seen of it."""
        return (self._listener.reason if self._listener is not None else "") or str(error)

    def _refused(self, why: str) -> None:
        # At once: waiting for an answer would only lose time.
        self._fail(f"broker {self._settings.host}: {why}")

    def _fail(self, text: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(UplinkError(text))
