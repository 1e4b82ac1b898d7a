"""Broker: one connection to an MQTT broker that is only published to, with a last will. Raises UplinkError alone."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from packseal.core.errors import ConfigError, UplinkError
from packseal.publish.topics import OFFLINE
from packseal.uplink.mqtt import MqttSettings, defer_urllib, read_password, reset
from packseal.uplink.reach import Pace, Reach
from packseal.uplink.tls import context, is_loopback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiomqtt

WRONG_PASSWORD = (0x86, 0x87)
"""CONNACK: bad user name or password, not authorized (MQTT 5 §3.2.2.2)."""


class Broker:
    """One connection at a time, over and over: `async with` connects.

    Args:
        settings: where it is and who we are.
        client_id: letters and digits, at most 23, which every broker takes (MQTT 5 §3.1.3.1). With the same one a new
            connection ends the old one first, so that the old one's will cannot come after it.
        will: the topic on which the broker says OFFLINE for us when the connection breaks; None for no will.
        pace: how the broker is reached for.

    Raises:
        ConfigError: a password would cross the network in plain text.
        InputError: a certificate, key or password file cannot be used.
    """

    def __init__(self, settings: MqttSettings, client_id: str, will: str | None, pace: Pace | None = None) -> None:
        if settings.password_file and settings.tls is None and not is_loopback(settings.host):
            raise ConfigError(f"the password for {settings.host} would be sent in plain text: set up [publish.tls]")
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._tls = None if settings.tls is None else context(settings.tls)
        self._password = read_password(settings.password_file)
        self._reach = Reach(settings.host, settings.port, pace)
        self._client: aiomqtt.Client | None = None
        self._refusal = ""

    async def __aenter__(self) -> Self:
        """Reach the broker and connect; raises UplinkError."""
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
            except aiomqtt.MqttError as error:
                raise UplinkError(self._connect_trouble(error)) from error
            stack.pop_all()
        self._client = client
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect in good order, without the will; after an error break the connection, with the will."""
        import aiomqtt  # noqa: PLC0415

        client, self._client = self._client, None
        if client is None:
            return
        if kind is None:
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)
        reset(client)

    async def put(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        """Publish, and with `qos` 1 wait until the broker has it; raises UplinkError. One call at a time."""
        self._refusal = ""
        await self._call(lambda client: client.publish(topic, payload, qos=qos, retain=retain))
        if self._refusal:
            raise UplinkError(
                f"broker {self._settings.host} refuses {topic}: {self._refusal}: allow this user to write there"
            )

    async def subscribe(self, topic: str) -> bool:
        """Subscribe to what others publish; return whether the broker lets us. Raises UplinkError."""
        from paho.mqtt.subscribeoptions import SubscribeOptions  # noqa: PLC0415

        options = SubscribeOptions(qos=1, noLocal=True)
        reasons: Any = await self._call(lambda client: client.subscribe(topic, options=options))
        return not any(reason.is_failure for reason in reasons)

    async def messages(self) -> "AsyncIterator[aiomqtt.Message]":
        """Yield what comes; raises UplinkError when the connection is lost."""
        import aiomqtt  # noqa: PLC0415

        if self._client is None:
            raise UplinkError(f"broker {self._settings.host}: not connected")
        try:
            async for message in self._client.messages:
                yield message
        except aiomqtt.MqttError as error:
            raise UplinkError(f"broker {self._settings.host}: {error}") from error

    async def _call(self, work: Any) -> Any:
        import aiomqtt  # noqa: PLC0415

        if self._client is None:
            raise UplinkError(f"broker {self._settings.host}: not connected")
        try:
            return await work(self._client)
        except (aiomqtt.MqttError, asyncio.InvalidStateError) as error:
            raise UplinkError(f"broker {self._settings.host}: {error}") from error

    def _new_client(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415

        return aiomqtt.Client(
            self._settings.host,
            self._settings.port,
            identifier=self._client_id,
            username=self._settings.username,
            password=self._password,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=None if self._will is None else aiomqtt.Will(self._will, OFFLINE, qos=1, retain=True),
            clean_start=True,
            keepalive=self._settings.keepalive_s,
            timeout=self._settings.connect_timeout_s,
            tls_context=self._tls,
            socket_options=self._reach.socket_options,
        )

    def _mind_refusals(self, client: "aiomqtt.Client") -> None:
        paho = client._client  # noqa: SLF001 - aiomqtt drops the reason that a PUBACK carries
        confirm: Any = paho.on_publish

        def acknowledged(source: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
            if reason.is_failure:
                self._refusal = str(reason)
            confirm(source, data, number, reason, properties)

        paho.on_publish = acknowledged

    def _connect_trouble(self, error: "aiomqtt.MqttError") -> str:
        reason = getattr(getattr(error, "rc", None), "value", None)
        hint = ": check username and password_file" if reason in WRONG_PASSWORD else ""
        return f"broker {self._settings.host}: {error}{hint}"
