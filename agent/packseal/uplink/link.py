"""Link: one configured way to the sink with its policy, its budget, and what the operator sees of it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from packseal.core.errors import UplinkError
from packseal.uplink.budget import Budget, Cost
from packseal.uplink.protocol import Uplink
from packseal.uplink.terms import Carries, Order, Take

log = logging.getLogger(__name__)
AGAIN_GROWTH_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go over a link, whatever its budget."""

    order: Order = Order.OLDEST_FIRST
    carries: Carries = Carries.EVERYTHING
    everything_below_bytes: int | None = None

    def take(self, backlog_bytes: float) -> Take:
        """Return what may go while so many bytes of records wait."""
        limit = self.everything_below_bytes
        if self.carries is Carries.SNAPSHOTS or (limit is not None and backlog_bytes > limit):
            return Take.SNAPSHOTS
        return Take.EVERYTHING


@dataclass(slots=True)
class Link:
    """One way to the sink.

    `trouble` says why it did not work last. While another link works, this one is tried again at `again_at`, in loop
    time; `failures` makes that rarer.
    """

    name: str
    uplink: Uplink
    policy: Policy = field(default_factory=Policy)
    budget: Budget = field(default_factory=Budget)
    cost: Cost = field(default_factory=Cost)
    in_use: bool = False
    trouble: str = ""
    failures: int = 0
    again_at: float = 0.0
    bytes_sent: int = 0

    def take(self, backlog_bytes: float, wall_s: float) -> Take:
        """Return what may go over it now."""
        return min(self.policy.take(backlog_bytes), self.budget.take(wall_s))

    def failed(self, why: str, now: float, again_s: float, again_max_s: float) -> None:
        """Note that it did not work."""
        self.in_use = False
        self.trouble = why
        self.failures = min(self.failures + 1, AGAIN_GROWTH_LIMIT)
        self.again_at = now + min(again_max_s, again_s * 2 ** (self.failures - 1))


def asking(links: Sequence[Link]) -> Callable[[bytes], Awaitable[bytes]]:
    """Return what sends a request over the link in use; raises UplinkError while there is none."""

    async def ask(request: bytes) -> bytes:
        for link in links:
            if link.in_use:
                return await link.uplink.exchange(request)
        raise UplinkError("no link to the sink is in use")

    return ask


def ranked(links: Sequence[Link], backlog_bytes: float, wall_s: float) -> list[tuple[Link, Take]]:
    """Return the links that may carry anything now: those that may carry more first, then in the order given."""
    takes = [(link, link.take(backlog_bytes, wall_s)) for link in links]
    return sorted((pair for pair in takes if pair[1]), key=lambda pair: -pair[1])
