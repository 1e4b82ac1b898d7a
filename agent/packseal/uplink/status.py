"""SyncStatus: what the operator sees of the way to the sink, with one log line per change and none per retry."""

import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """What the operator sees of one link.

    `state`: "in use", "ready", or why it is not used. `carries`: what may go over it now, as the names of Take in lower
    case. Bytes are with what the link's protocols add; `day_limit_bytes` is None without a daily budget.
    """

    name: str
    state: str
    carries: str
    bytes_today: int
    day_limit_bytes: int | None


@dataclass(slots=True)
class SyncStatus:
    """What the operator sees. `halted` maps a log id in hex to why the sink does not get on with it."""

    connected: bool = False
    state: str = "starting"
    last_error: str = ""
    last_receipt_wall_ms: int | None = None
    batches_sent: int = 0
    records_sent: int = 0
    bytes_sent: int = 0
    records_outstanding: int = 0
    halted: dict[str, str] = field(default_factory=dict)

    def answered(self, over: str = "") -> None:
        """Note that the sink has given an answer that counts, over one of several links where that is named."""
        if not self.connected:
            log.info("connected to the sink%s", f" over {over}" if over else "")
        self.connected = True
        self.state = "connected"

    def disconnected(self, why: str) -> None:
        """Note that the sink is out of reach, or that what answers is not our sink."""
        if self.connected or why != self.state:
            log.warning("not connected to the sink: %s", why)
        self.connected = False
        self.state = self.last_error = why

    def rested(self, why: str) -> None:
        """Note that no link may carry anything at present. How many records wait is not told anew each time."""
        if _cause(why) != _cause(self.state):
            log.info("nothing is sent: %s", why)
        self.connected = False
        self.state = why


def _cause(why: str) -> str:
    return why.partition(" wait: ")[2] or why
