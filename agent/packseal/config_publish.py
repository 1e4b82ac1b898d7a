"""The tables of what is published beside the sync, one per receiver: [[publish]], told apart by `kind`.

The Structs are the tables; their docstrings are the reference. Nothing published is receipted: see [uplink] for that.
"""

import msgspec

from packseal.config_dpp import Dpp
from packseal.config_tls import Tls

MIN_PACE_S, MAX_PACE_S = 1, 3600
MAX_PORT = 65535
_WILDCARDS = "+#\0"
"""What a topic that is published to may not hold (MQTT 5 §4.7.1, §4.7.3)."""


class MqttJson(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind", tag="mqtt-json"
):
    """[[publish]] with kind = "mqtt-json": plain JSON to an MQTT broker, neither signed nor receipted.

    For Home Assistant, Node-RED, Grafana and the like. Plain text unless [publish.tls] is given.
    """

    host: str
    port: int = 8883
    username: str | None = None
    password_file: str | None = None
    plain_password: bool = False
    """Allows a password without TLS, for a network that you trust."""
    tls: Tls | None = None
    prefix: str = "packseal"
    """What every topic begins with; levels may be parted by slashes."""
    live_s: float = 10.0
    """Seconds between two messages of live values."""
    home_assistant: bool = True
    """Whether Home Assistant is told what there is to see; false takes back what it was told."""
    discovery_prefix: str = "homeassistant"
    """As set in Home Assistant's MQTT integration."""

    def __post_init__(self) -> None:
        if not MIN_PACE_S <= self.live_s <= MAX_PACE_S:
            raise ValueError(f"live_s must be from {MIN_PACE_S} to {MAX_PACE_S} seconds")
        if not 1 <= self.port <= MAX_PORT:
            raise ValueError(f"port must be from 1 to {MAX_PORT}")
        for name in ("prefix", "discovery_prefix"):
            _check_levels(name, getattr(self, name))


Publish = MqttJson | Dpp
"""Every kind there is."""


def _check_levels(name: str, topic: str) -> None:
    if not all(topic.split("/")) or topic.startswith("$") or set(topic) & set(_WILDCARDS):
        raise ValueError(f"{name} must be levels of a topic such as site/packseal, without +, # and $")
