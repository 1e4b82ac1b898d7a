"""Uplink over MQTT 5: requests and replies as QoS 1 messages through a broker (docs/formats/exchange.md)."""

import asyncio
import itertools
import math
import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from packseal.core.errors import ConfigError, UplinkError
from packseal.uplink.broker import Listener, said
from packseal.uplink.connection import Connection, MqttSettings
from packseal.uplink.reach import Pace
from packseal.uplink.route import Route

if TYPE_CHECKING:
    import aiomqtt

__all__ = ["MqttSettings", "MqttUplink", "gateway_name"]

ENVELOPE_BYTES = 64
"""What a PUBLISH has beside topics and payload, rounded up (MQTT 5 §3.3): header, lengths, correlation data."""
SECURE = "set up [uplink.tls], or say plain_text = true where you trust the network"
MAX_IN_FLIGHT = 20
"""Of messages that the broker has not acknowledged; fewer where it says so."""


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
        if settings.shows_password:
            raise ConfigError(f"the password for {settings.host} would be sent in plain text: set up TLS for MQTT")
        self._settings = settings
        name = gateway_name(issuer)
        self._client_id = f"{name}-{secrets.token_hex(4)}"
        self._topic = f"packseal/v1/{name}/exchange"
        self._reply_topic = f"packseal/v1/{name}/reply/{self._client_id}"
        self._correlations = (secrets.token_bytes(8) + n.to_bytes(8, "big") for n in itertools.count())
        self._waiting: dict[bytes, asyncio.Future[bytes]] = {}
        self._connection = Connection(settings, self._client_id, self._listen, pace, route, own_id=True)
        self._reader: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._changing = asyncio.Lock()
        self._refreshed = 0.0

    @property
    def notes(self) -> Sequence[str]:
        """What somebody should act on."""
        credentials = self._connection.credentials
        notes = [] if credentials is None else list(credentials.notes())
        if self._settings.is_open and not self._settings.plain_text:
            notes.append(f"anyone on the way to broker {self._settings.host} can read the records: {SECURE}")
        return notes

    @property
    def max_request_bytes(self) -> int | None:
        """The largest request in a packet that the broker takes (its Maximum Packet Size, MQTT 5 §3.2.2.3.6)."""
        listener = self._connection.listener
        most = None if listener is None else listener.limits.packet_bytes
        return None if most is None else max(0, most - len(self._topic) - len(self._reply_topic) - ENVELOPE_BYTES)

    async def __aenter__(self) -> Self:
        """Reach the broker, connect and subscribe to the replies; raises UplinkError."""
        client = await self._connection.open()
        try:
            await self._subscribe(client)
        except BaseException:
            await self._connection.close(orderly=False)
            raise
        listener = self._connection.listener
        most = None if listener is None else listener.limits.receive_maximum
        self._slots = asyncio.Semaphore(min(MAX_IN_FLIGHT, most or MAX_IN_FLIGHT))
        self._reader = asyncio.create_task(self._read(client), name="mqtt replies")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; after a loss without trying to tell the broker."""
        reader, self._reader = self._reader, None
        if reader is None:
            return
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        self._fail("the uplink was left")
        await self._connection.close(orderly=not isinstance(error, UplinkError))

    async def exchange(self, request: bytes) -> bytes:
        """Publish `request` and return the message that answers it; raises UplinkError."""
        import aiomqtt  # noqa: PLC0415

        await self._renew()
        client, reader = self._connection.client, self._reader
        if client is None or reader is None or reader.done():
            raise self._connection.lost("the connection is lost")
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
            raise self._connection.lost(error) from error
        finally:
            self._waiting.pop(correlation, None)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    def _listen(self, paho: object) -> Listener:
        return Listener(paho, self._refused)

    async def _subscribe(self, client: "aiomqtt.Client") -> None:
        import aiomqtt  # noqa: PLC0415 - only gateways that use MQTT pay for it

        try:
            codes = await client.subscribe(self._reply_topic, qos=1)
        except aiomqtt.MqttError as error:
            raise self._connection.lost(error) from error
        refused = next((c for c in codes if not isinstance(c, int) and c.is_failure), None)
        if refused is not None:
            raise UplinkError(f"broker {self._settings.host} gives no replies: {said(refused.value, None)}")

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
            self._fail(str(self._connection.lost(error)))

    async def _renew(self) -> None:
        """Connect anew after the certificates were renewed, once what is under way has landed."""
        credentials = self._connection.credentials
        if credentials is None:
            return
        async with self._changing:
            if self._connection.client is None:
                return
            now = asyncio.get_running_loop().time()
            if now - self._refreshed < self._settings.refresh_s:
                return
            self._refreshed = now
            if credentials.refresh():
                if self._waiting:
                    await asyncio.wait(self._waiting.values())
                await self.__aexit__(None, None, None)
                await self.__aenter__()

    def _refused(self, why: str) -> None:
        # At once: waiting for an answer would only lose time.
        self._fail(f"broker {self._settings.host}: {why}")

    def _fail(self, text: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(UplinkError(text))
