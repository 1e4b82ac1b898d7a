"""PublishStatus: what the operator sees of one publisher, with one log line per change and none per retry."""

import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PublishStatus:
    """What the operator sees. `troubles` maps a battery's id to why what is published of it does not get on.

    `kind` is the configuration's word, `target` where it goes, such as `broker.example:8883`.
    """

    kind: str
    target: str
    connected: bool = False
    state: str = "starting"
    last_error: str = ""
    published: int = 0
    last_published_wall_ms: int | None = None
    troubles: dict[str, str] = field(default_factory=dict)

    def answered(self) -> None:
        """Note that the receiver takes what is published."""
        if not self.connected:
            log.info("%s: connected to %s", self.kind, self.target)
        self.connected = True
        self.state = "connected"

    def took(self, wall_ms: int) -> None:
        """Note that the receiver has taken one message or update."""
        self.published += 1
        self.last_published_wall_ms = wall_ms

    def disconnected(self, why: str) -> None:
        """Note why nothing gets through."""
        if self.connected or why != self.state:
            log.warning("%s: not publishing to %s: %s", self.kind, self.target, why)
        self.connected = False
        self.state = self.last_error = why
