"""The sink's side of MQTT 5: answers requests that come through a broker (docs/formats/exchange.md).

Requests are handled one after another, so those of one gateway in the order it sent them. A request that is lost here,
with the connection or because too many wait, is not answered; the gateway then asks for the sink's position.
"""

import asyncio
import random
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from packseal.core.errors import InputError
from packseal_sink.settings import Configuration, MqttTable
from packseal_sink.tls import client_context

TOPIC = "packseal/v1/+/exchange"
MAX_REQUEST_BYTES = 8 << 20
"""Gateways cut batches at 1 MiB of records; a single record may reach 1 MiB as well."""

MAX_WAITING = 64
KEEPALIVE_S = 15
TIMEOUT_S = 5.0
PAUSE_MIN_S, PAUSE_MAX_S = 0.25, 0.5
"""Gateways are back at a returning broker within a second and are told that no sink is there until this one is."""


@dataclass(slots=True)
class MqttState:
    """How the connection to the broker is. `strays` counts messages that no reply can be sent to."""

    connected: bool = False
    last_error: str = ""
    strays: int = 0


class MqttServer:
    """Answers for ever, through every loss of the broker.

    Args:
        configuration: with its `mqtt` table.
        handle: makes the reply to a request; called in a worker thread.
        tell: is given one line when the broker is reached or lost.

    Raises:
        InputError: a certificate, key or password file cannot be used.
    """

    def __init__(
        self, configuration: Configuration, handle: Callable[[bytes], bytes], tell: Callable[[str], None]
    ) -> None:
        table = configuration.settings.mqtt
        if table is None:
            raise InputError("the configuration has no [mqtt] table")
        self._table: MqttTable = table
        self._tls = None
        if table.tls is not None:
            files = (table.tls.authorities, table.tls.certificate, table.tls.key)
            self._tls = client_context(*map(configuration.optional_path, files))
        self._password = _read_password(configuration.optional_path(table.password_file))
        self._handle = handle
        self._tell = tell
        self._where = f"broker {table.host}:{table.effective_port}"
        self.state = MqttState()

    async def run(self) -> None:
        """Answer until cancelled; the request under way is answered first."""
        failures = 0
        while True:
            try:
                async with self._client() as client:
                    await client.subscribe(TOPIC, qos=1)
                    failures = 0
                    self._connected()
                    await self._answer_all(client)
            except aiomqtt.MqttError as error:
                self._lost(str(error))
            finally:
                self.state.connected = False
            pause = min(PAUSE_MAX_S, PAUSE_MIN_S * 2**failures)
            failures = min(failures + 1, 10)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects, keeps no secret

    async def _answer_all(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            answering = asyncio.create_task(self._answer(client, message), name="mqtt answer")
            try:
                await asyncio.shield(answering)
            except asyncio.CancelledError:
                await asyncio.wait((answering,), timeout=TIMEOUT_S)
                raise

    async def _answer(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        where = getattr(message.properties, "ResponseTopic", "")
        correlation = getattr(message.properties, "CorrelationData", b"")
        gateway = str(message.topic).rsplit("/", 1)[0]
        # Only the sender's own topics: a sink must not be made to write anywhere else on the broker.
        if not where.startswith(f"{gateway}/reply/") or not isinstance(message.payload, bytes):
            self.state.strays += 1
            return
        reply = await asyncio.to_thread(self._handle, message.payload)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = correlation
        await client.publish(where, reply, qos=1, properties=properties, timeout=TIMEOUT_S)

    def _client(self) -> aiomqtt.Client:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = MAX_REQUEST_BYTES
        return aiomqtt.Client(
            self._table.host,
            self._table.effective_port,
            identifier=f"packseal-sink-{secrets.token_hex(4)}",
            username=self._table.username,
            password=self._password,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=TIMEOUT_S,
            max_queued_incoming_messages=MAX_WAITING,
            properties=properties,
            tls_context=self._tls,
            # Or a small reply waits for the acknowledgement of the one before it, 40 ms on Linux (RFC 896; tcp(7)).
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )

    def _connected(self) -> None:
        self.state.connected = True
        self.state.last_error = ""
        self._tell(f"connected to {self._where}")

    def _lost(self, text: str) -> None:
        if self.state.connected or not self.state.last_error:
            self._tell(f"{self._where} cannot be used: {text}; trying again, HTTP goes on meanwhile")
        self.state.last_error = text


def _read_password(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the MQTT password from {path}: {error}") from error
