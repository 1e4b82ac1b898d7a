"""The tables of a long outage and of a poor road out of it: [backlog] and [partitions]."""

from typing import Annotated

import msgspec

MAX_DAYS = 366
MINUTES_PER_DAY = 1440


class Backlog(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[backlog]: what the gateway's journal holds before the agent starts: sealed minutes that nobody has received.

    Each is a telemetry record of one sample of four quantities and the snapshot after it, written by the agent's own
    meter and sealer with the gateway's own key.
    """

    days: Annotated[float, msgspec.Meta(gt=0, le=MAX_DAYS)]

    @property
    def minutes(self) -> int:
        """How many minutes were sealed."""
        return max(1, round(self.days * MINUTES_PER_DAY))


class Partitions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[partitions]: again and again, from the agent's start to the last step, the network loses everything."""

    every_s: Annotated[float, msgspec.Meta(gt=0)] = 60
    for_s: Annotated[float, msgspec.Meta(gt=0)] = 5
    """The last so many seconds of each `every_s`."""

    def __post_init__(self) -> None:
        if self.for_s >= self.every_s:
            raise ValueError("for_s must be less than every_s")
