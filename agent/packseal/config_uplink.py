"""The tables of the ways to the sink: [uplink], or several [[uplink]] in order of preference, told apart by `kind`.

The Structs are the tables; their docstrings are the reference. docs/uplinks.md says what the limits mean.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from packseal.config_tls import Tls
from packseal.core.errors import ConfigError
from packseal.uplink.route import Route, parse_proxy
from packseal.uplink.terms import Carries, Order

MAX_UPLINKS = 8
BYTES_PER_MB = 1_000_000
MIN_BYTES_PER_S = 100
MIN_MB_PER_DAY = 0.1
MIN_KEEPALIVE_S, MAX_KEEPALIVE_S = 5, 1200
MAX_INTERFACE_CHARACTERS = 15  # IFNAMSIZ of netdevice(7) with its closing zero


class _Road(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every [uplink] may say, whatever its kind."""

    sink_key: str
    """The sink's public key, the only one whose receipts count; the same for every [[uplink]]."""
    name: str = ""
    """What messages and `packseal status` call it, and what its used volume is kept under. Default: from its address.
    """
    order: Order = Order.OLDEST_FIRST
    """Which end of a backlog goes first: oldest_first or newest_first. The newest snapshot goes before both."""
    carries: Carries = Carries.EVERYTHING
    """everything, or snapshots: snapshots, events, gaps and lifecycle, while telemetry waits for another link."""
    everything_below_mb: float | None = None
    """Above a backlog of so many megabytes, telemetry waits for another link."""
    bytes_per_s: float | None = None
    """At most so many bytes per second, on the mean of some seconds."""
    mb_per_day: float | None = None
    """At most so many megabytes per UTC day."""
    proxy: str | None = None
    """http://[user@]host:port (CONNECT) or socks5h://[user@]host:port. No environment variable is looked at."""
    proxy_password_file: str | None = None
    interface: str | None = None
    """The network interface that this uplink uses, such as wwan0."""
    keepalive: int | None = None
    """Idle seconds until the other side is asked for a sign of life. Default: 15 with MQTT, 60 with HTTPS."""

    def __post_init__(self) -> None:
        self._check_route()
        for key, least in (
            ("everything_below_mb", 0.0),
            ("bytes_per_s", MIN_BYTES_PER_S),
            ("mb_per_day", MIN_MB_PER_DAY),
        ):
            value = getattr(self, key)
            if value is not None and not (math.isfinite(value) and value >= least):
                raise ValueError(f"{key} must be at least {least:g}")
        if self.carries is Carries.SNAPSHOTS and self.everything_below_mb is not None:
            raise ValueError('everything_below_mb belongs to carries = "everything"')

    def _check_route(self) -> None:
        try:
            self.route(Path())
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if self.interface is not None and not 0 < len(self.interface) <= MAX_INTERFACE_CHARACTERS:
            raise ValueError(f"interface must be a name of 1 to {MAX_INTERFACE_CHARACTERS} characters, such as wwan0")
        if self.keepalive is not None and not MIN_KEEPALIVE_S <= self.keepalive <= MAX_KEEPALIVE_S:
            raise ValueError(f"keepalive must be from {MIN_KEEPALIVE_S} to {MAX_KEEPALIVE_S} seconds")

    def route(self, directory: Path) -> Route:
        """Return the way to take; paths are relative to `directory`. Raises ConfigError."""
        secret = None if self.proxy_password_file is None else directory / self.proxy_password_file
        if self.proxy is None and secret is not None:
            raise ConfigError("proxy_password_file needs proxy")
        proxy = None if self.proxy is None else parse_proxy(self.proxy, secret)
        return Route(proxy, self.interface, self.keepalive)


class Mqtt(_Road, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """[uplink] with kind = "mqtt": an MQTT 5 broker. Plain text unless [uplink.tls] is given."""

    host: str
    port: int = 8883
    username: str | None = None
    password_file: str | None = None
    plain_text: bool = False
    """Without [uplink.tls]: you know that anyone on the way to the broker can read the records, and are not warned."""
    tls: Tls | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.plain_text and self.tls is not None:
            raise ValueError("plain_text = true and [uplink.tls] exclude each other")

    @property
    def title(self) -> str:
        """Its name, or its address."""
        return self.name or f"mqtt {self.host}:{self.port}"


class Https(_Road, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="https"):
    """[uplink] with kind = "https": the sink itself."""

    url: str
    tls: Tls | None = None

    @property
    def title(self) -> str:
        """Its name, or its address."""
        return self.name or self.url


Uplink = Mqtt | Https
"""Every kind there is."""


def check_together(uplinks: Sequence[Uplink]) -> None:
    """Refuse uplinks that do not lead to one sink, or cannot be told apart; raises ValueError."""
    if not 1 <= len(uplinks) <= MAX_UPLINKS:
        raise ValueError(f"from 1 to {MAX_UPLINKS} [[uplink]] tables, or none at all")
    keys = {uplink.sink_key: uplink.title for uplink in uplinks}
    if len(keys) > 1:
        named = " and ".join(f"{key} ({title})" for key, title in list(keys.items())[:2])
        raise ValueError(f"every uplink must lead to the same sink, with the same sink_key, not {named}")
    titles = [uplink.title for uplink in uplinks]
    for twice in {title for title in titles if titles.count(title) > 1}:
        raise ValueError(f"two uplinks are called {twice}: give each a name of its own")
