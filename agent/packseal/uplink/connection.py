"""Connection: one connection to an MQTT 5 broker, as the uplink and plain publishing both need it."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.core.errors import UplinkError
from packseal.uplink.broker import Listener
from packseal.uplink.credentials import Credentials
from packseal.uplink.mqtt_client import defer_urllib, give_up, hand_over, read_password, reset
from packseal.uplink.reach import Pace
from packseal.uplink.road import Road
from packseal.uplink.route import Route
from packseal.uplink.tls import TlsFiles, is_loopback

if TYPE_CHECKING:
    import aiomqtt

TAKEN_MIN_S, TAKEN_MAX_S = 30.0, 600.0
"""After another client took over: two devices of one identity would end each other's connection once a second, and
both look dead to everybody. So the pause doubles, until a connection has lasted as long as the longest."""

SHORT_S, SHORT_TIMES = 10.0, 3
"""mosquitto 2.0 says nothing when another client takes over: so many connections in a row that were cut this soon."""
GUESS = (
    "each connection is cut within seconds, as brokers do when another client has the same identifier: is a second "
    "device using this gateway's key?"
)


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """Where the broker is and how to show who we are; `tls` None is plain text.

    `keepalive_s`: silence after which the broker is asked for a sign of life. It may set another (MQTT 5 §3.2.2.3.14).
    `refresh_s`: how long a renewed certificate may wait for its first use. `plain_text`: somebody has decided that what
    is sent may be read on the way.
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
    plain_text: bool = False

    @property
    def is_open(self) -> bool:
        """Whether anyone on the way to another machine can read what is sent."""
        return self.tls is None and not is_loopback(self.host)

    @property
    def shows_password(self) -> bool:
        """Whether that holds for a password too."""
        return self.is_open and self.password_file is not None


class Connection:
    """Opened and closed again and again; one at a time.

    Args:
        settings: the broker.
        client_id: the same each time.
        make_listener: what hears the broker's reasons; is given the client library's client.
        pace: how the broker is reached for.
        route: which way to it is taken.
        will: the topic and payload that the broker publishes, retained, when the connection breaks.
        own_id: whether no other device has this client id, so that a connection that is cut is cut by the network.

    Raises:
        InputError: a certificate, key or password file cannot be used.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        make_listener: Callable[[object], Listener],
        pace: Pace | None = None,
        route: Route | None = None,
        will: tuple[str, bytes] | None = None,
        *,
        own_id: bool,
    ) -> None:
        self._settings = settings
        self._client_id = client_id
        self._make_listener = make_listener
        self._will = will
        self.credentials = None if settings.tls is None else Credentials(settings.tls)
        read_password(settings.password_file)
        route = route or Route()
        self._keepalive_s = route.keepalive_s or settings.keepalive_s
        self.road = Road(settings.host, settings.port, route, pace)
        self.client: aiomqtt.Client | None = None
        self.listener: Listener | None = None
        self._opened_at = self._held_until = 0.0
        self._own_id = own_id
        self._held_s = TAKEN_MIN_S
        self._held_why = ""
        self._short = 0

    async def open(self) -> "aiomqtt.Client":
        """Reach the broker and connect; raises UplinkError."""
        self._check_held()
        defer_urllib()
        import aiomqtt  # noqa: PLC0415 - only gateways that use MQTT pay for it

        client = self._new_client()
        listener = self._make_listener(client._client)  # noqa: SLF001 - aiomqtt drops what a broker says
        async with contextlib.AsyncExitStack() as stack:
            connected = await self.road.connect()
            stack.callback(give_up, client, connected)
            hand_over(client, connected)
            try:
                await client.__aenter__()
                listener.limits.check()
            except (aiomqtt.MqttError, UplinkError) as error:
                failed = UplinkError(f"broker {self._settings.host}: {listener.reason or error}")
                raise await self.road.explained(failed, error.__context__) from error
            stack.pop_all()
        self.road.proven()
        self._opened_at = asyncio.get_running_loop().time()
        self.client, self.listener = client, listener
        return client

    async def close(self, *, orderly: bool) -> None:
        """Disconnect; without `orderly` break the connection, so that the broker publishes the will."""
        client, self.client = self.client, None
        if client is None:
            return
        self._note_taken()
        if orderly:
            import aiomqtt  # noqa: PLC0415

            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)
        reset(client)

    def lost(self, error: object) -> UplinkError:
        """Return what the broker said of the loss, or what was seen of it."""
        said = self.listener.reason if self.listener is not None else ""
        return UplinkError(f"broker {self._settings.host}: {said or error}")

    def _note_taken(self) -> None:
        """Hold back after a take-over, for longer each time that it comes again soon."""
        if self.listener is None:
            return
        now = asyncio.get_running_loop().time()
        cut_soon = self.listener.is_cut and now - self._opened_at < SHORT_S and not self._own_id
        self._short = self._short + 1 if cut_soon else 0
        if now - self._opened_at >= TAKEN_MAX_S:
            self._held_s = TAKEN_MIN_S
        if self.listener.is_taken or self._short >= SHORT_TIMES:
            self._held_why = self.listener.reason or GUESS
            self._held_until = now + self._held_s
            self._held_s = min(TAKEN_MAX_S, self._held_s * 2)

    def _check_held(self) -> None:
        if asyncio.get_running_loop().time() < self._held_until:
            raise UplinkError(f"broker {self._settings.host}: {self._held_why}")

    def _new_client(self) -> "aiomqtt.Client":
        import aiomqtt  # noqa: PLC0415

        return aiomqtt.Client(
            self._settings.host,
            self._settings.port,
            identifier=self._client_id,
            username=self._settings.username,
            password=read_password(self._settings.password_file),
            protocol=aiomqtt.ProtocolVersion.V5,
            will=None if self._will is None else aiomqtt.Will(*self._will, qos=1, retain=True),
            clean_start=True,
            keepalive=self._keepalive_s,
            timeout=self._settings.connect_timeout_s,
            tls_context=None if self.credentials is None else self.credentials.context(),
        )
