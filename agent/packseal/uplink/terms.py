"""Terms: what one link may carry, and in which order. Pure: knows no clock and no network."""

from dataclasses import dataclass
from enum import Enum, IntEnum


class Order(Enum):
    """Which end of a backlog goes first."""

    OLDEST_FIRST = "oldest_first"
    NEWEST_FIRST = "newest_first"


class Carries(Enum):
    """What a link is for."""

    EVERYTHING = "everything"
    SNAPSHOTS = "snapshots"  # and events, gaps and lifecycle records; telemetry and its summaries wait


class Take(IntEnum):
    """What may go over a link at this moment; each includes those before it."""

    NOTHING = 0
    EVENTS = 1  # events, gaps and lifecycle records
    SNAPSHOTS = 2
    EVERYTHING = 3


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms records may be sent now.

    Args:
        take: what may go.
        order: of the backlog; that of snapshots and events out of turn is always oldest first.
        early: whether the sink takes records out of turn.
        ordered: whether requests arrive in the order in which they are sent.
        batch_records: about how many records make a batch.
        batch_bytes: of raw records in one request.
        present_s: while there is a backlog, the newest snapshot goes out this often.
    """

    take: Take = Take.EVERYTHING
    order: Order = Order.OLDEST_FIRST
    early: bool = True
    ordered: bool = True
    batch_records: int = 500
    batch_bytes: int = 1 << 20
    present_s: float = 60.0
