"""Broker: one connection to an MQTT broker that is only published to, with a last will. Raises UplinkError alone."""

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from packseal.core.errors import ConfigError, UplinkError
from packseal.publish.topics import OFFLINE
from packseal.uplink.broker import Listener, said
from packseal.uplink.connection import Connection, MqttSettings
from packseal.uplink.reach import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiomqtt


class _Listener(Listener):
    """That nobody listens to a topic is no trouble here: the broker retains what matters."""

    def _acknowledged(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refused(said(reason.value, properties))
        self._on_publish(client, data, number, reason, properties)


class Broker:
    """One connection at a time, over and over: `async with` connects.

    Args:
        settings: where it is and who we are.
        client_id: letters and digits, at most 23, which every broker takes (MQTT 5 §3.1.3.1). With the same one a new
            connection ends the old one first, so that the old one's will cannot come after it.
        will: the topic on which the broker says OFFLINE for us when the connection breaks; None for no will.
        pace: how the broker is reached for.
        plain_password: whether the password may cross a network in plain text.

    Raises:
        ConfigError: a password would cross the network in plain text.
        InputError: a certificate, key or password file cannot be used.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: str | None,
        pace: Pace | None = None,
        *,
        plain_password: bool = False,
    ) -> None:
        if settings.shows_password and not plain_password:
            raise ConfigError(
                f"the password for {settings.host} would be sent in plain text: set up [publish.tls], or, where you "
                "trust the network on the way, allow it with plain_password = true"
            )
        self._settings = settings
        last_will = None if will is None else (will, OFFLINE)
        self._connection = Connection(settings, client_id, self._listen, pace, will=last_will, own_id=False)
        self._refusal = ""

    async def __aenter__(self) -> Self:
        """Reach the broker and connect; raises UplinkError."""
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect in good order, without the will; after an error break the connection, with the will."""
        await self._connection.close(orderly=kind is None)

    async def put(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish, and with `qos` 1 wait until the broker has it; raises UplinkError. One call at a time."""
        self._refusal = ""
        await self._call(lambda client: client.publish(topic, payload, qos=qos, retain=retain))
        if self._refusal:
            raise UplinkError(f"broker {self._settings.host} does not take {topic}: {self._refusal}")

    async def subscribe(self, topic: str) -> bool:
        """Subscribe to what others publish; return whether the broker lets us. Raises UplinkError."""
        from paho.mqtt.subscribeoptions import SubscribeOptions  # noqa: PLC0415

        options = SubscribeOptions(qos=1, noLocal=True)
        reasons: Any = await self._call(lambda client: client.subscribe(topic, options=options))
        return not any(reason.is_failure for reason in reasons)

    async def messages(self) -> "AsyncIterator[aiomqtt.Message]":
        """Yield what comes; raises UplinkError when the connection is lost."""
        import aiomqtt  # noqa: PLC0415

        client = self._connection.client
        if client is None:
            raise self._connection.lost("not connected")
        try:
            async for message in client.messages:
                yield message
        except aiomqtt.MqttError as error:
            raise self._connection.lost(error) from error

    async def _call(self, work: Any) -> Any:
        import aiomqtt  # noqa: PLC0415

        client = self._connection.client
        if client is None:
            raise self._connection.lost("not connected")
        try:
            return await work(client)
        except (aiomqtt.MqttError, asyncio.InvalidStateError) as error:
            raise self._connection.lost(error) from error

    def _listen(self, paho: object) -> Listener:
        return _Listener(paho, self._refused)

    def _refused(self, why: str) -> None:
        self._refusal = why
