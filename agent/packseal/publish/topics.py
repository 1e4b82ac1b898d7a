"""The topics of the plain JSON mode: one branch per gateway, one twig per battery (docs/home-assistant.md)."""

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

ONLINE, OFFLINE = b"online", b"offline"
"""Home Assistant's own words for availability (https://www.home-assistant.io/integrations/mqtt/)."""


def level(uri: str) -> str:
    """Return `uri` as one level of a topic: percent-encoded, so without `+`, `#` and `/` (RFC 3986 §2.1)."""
    return quote(uri, safe="")


def short(*uris: str) -> str:
    """Return what stands for identifiers where only letters and digits may."""
    return hashlib.sha256("\n".join(uris).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Topics:
    """Where one gateway publishes. `prefix` and `discovery_prefix` are levels of a topic, `gateway` is a URI."""

    prefix: str
    gateway: str
    discovery_prefix: str

    @property
    def root(self) -> str:
        """What all topics of this gateway begin with, discovery aside."""
        return f"{self.prefix}/{level(self.gateway)}"

    @property
    def status(self) -> str:
        """Whether the gateway is there: `online` or `offline`, retained, the latter also by its last will."""
        return f"{self.root}/status"

    @property
    def any_battery_status(self) -> str:
        """The status topics of all batteries, to subscribe to."""
        return f"{self.root}/+/status"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it is there, by default."""
        return f"{self.discovery_prefix}/status"

    def battery(self, subject: str, what: str) -> str:
        """Return the topic of `what` of one battery: snapshot, live, event or status."""
        return f"{self.root}/{level(subject)}/{what}"

    def battery_level(self, topic: str) -> str:
        """Return the level that names the battery in one of `any_battery_status`; empty for another topic."""
        inner = topic.removeprefix(f"{self.root}/").removesuffix("/status")
        return inner if topic == f"{self.root}/{inner}/status" and "/" not in inner else ""

    def discovery(self, subject: str) -> str:
        """Return where Home Assistant is told of a battery; this gateway's own, so that only it takes it back.

        The object id may hold letters, digits, `_` and `-` (https://www.home-assistant.io/integrations/mqtt/).
        """
        return f"{self.discovery_prefix}/device/packseal_{short(self.gateway, subject)}/config"
