"""Broker: one connection to an MQTT broker that is only published to, with a last will. Raises UplinkError alone."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from packseal.core.errors import ConfigError, UplinkError
from packseal.publish.topics import OFFLINE
from packseal.uplink.broker import Listener, said
from packseal.uplink.credentials import Credentials
from packseal.uplink.mqtt import MqttSettings
from packseal.uplink.mqtt_client import defer_urllib, give_up, hand_over, read_password, reset
from packseal.uplink.reach import Pace
from packseal.uplink.road import Road
from packseal.uplink.route import Route
from packseal.uplink.tls import is_loopback

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
        exposed = settings.password_file and settings.tls is None and not is_loopback(settings.host)
        if exposed and not plain_password:
            raise ConfigError(
                f"the password for {settings.host} would be sent in plain text: set up [publish.tls], or, where you "
                "trust the network on the way, allow it with plain_password = true"
            )
        self._settings = settings
        self._client_id = client_id
        self._will = will
        self._credentials = None if settings.tls is None else Credentials(settings.tls)
        read_password(settings.password_file)
        self._road = Road(settings.host, settings.port, Route(), pace)
        self._client: aiomqtt.Client | None = None
        self._listener: _Listener | None = None
        self._refusal = ""

    async def __aenter__(self) -> Self:
        """Reach the broker and connect; raises UplinkError."""
        defer_urllib()
        import aiomqtt  # noqa: PLC0415 - only gateways that use MQTT pay for it

        client = self._new_client()
        listener = _Listener(client._client, self._refused)  # noqa: SLF001 - aiomqtt drops what a broker says
        async with contextlib.AsyncExitStack() as stack:
            connected = await self._road.connect()
            stack.callback(give_up, client, connected)
            hand_over(client, connected)
            try:
                await client.__aenter__()
            except aiomqtt.MqttError as error:
                failed = UplinkError(f"broker {self._settings.host}: {listener.reason or error}")
                raise await self._road.explained(failed, error.__context__) from error
            if listener.limits.quality < 1:
                raise UplinkError(f"broker {self._settings.host} takes no messages of QoS 1: set that up there")
            stack.pop_all()
        self._road.proven()
        self._client, self._listener = client, listener
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

        if self._client is None:
            raise self._lost("not connected")
        try:
            async for message in self._client.messages:
                yield message
        except aiomqtt.MqttError as error:
            raise self._lost(error) from error

    async def _call(self, work: Any) -> Any:
        import aiomqtt  # noqa: PLC0415

        if self._client is None:
            raise self._lost("not connected")
        try:
            return await work(self._client)
        except (aiomqtt.MqttError, asyncio.InvalidStateError) as error:
            raise self._lost(error) from error

    def _new_client(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415

        return aiomqtt.Client(
            self._settings.host,
            self._settings.port,
            identifier=self._client_id,
            username=self._settings.username,
            password=read_password(self._settings.password_file),
            protocol=aiomqtt.ProtocolVersion.V5,
            will=None if self._will is None else aiomqtt.Will(self._will, OFFLINE, qos=1, retain=True),
            clean_start=True,
            keepalive=self._settings.keepalive_s,
            timeout=self._settings.connect_timeout_s,
            tls_context=None if self._credentials is None else self._credentials.context(),
        )

    def _refused(self, why: str) -> None:
        self._refusal = why

    def _lost(self, error: object) -> UplinkError:
        """Return what the broker said of the loss, or what was seen of it."""
        said_so = self._listener.reason if self._listener is not None else ""
        return UplinkError(f"broker {self._settings.host}: {said_so or error}")
