"""SyncStatus: what the operator sees of the way to the sink, with one log line per change and none per retry."""

import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(slots=True)
class SyncStatus:
    """What the operator sees. `halted` maps a log id in hex to why the sink does not get on with it.

    `notes` is what somebody should act on although it works.
    """

    connected: bool = False
    state: str = "starting"
    last_error: str = ""
    last_receipt_wall_ms: int | None = None
    batches_sent: int = 0
    records_sent: int = 0
    bytes_sent: int = 0
    records_outstanding: int = 0
    halted: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def answered(self) -> None:
        """Note that the sink has given an answer that counts."""
        if not self.connected:
            log.info("connected to the sink")
        self.connected = True
        self.state = "connected"

    def disconnected(self, why: str) -> None:
        """Note that the sink is out of reach, or that what answers is not our sink."""
        if self.connected or why != self.state:
            log.warning("not connected to the sink: %s", why)
        self.connected = False
        self.state = self.last_error = why
