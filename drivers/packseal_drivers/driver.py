"""Driver: what a battery's wire looks like to the agent, whatever the wire is."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from packseal.core.quantities import Quantity
from packseal.core.sample import Clock, LinkCounts, Notice, Sample


class Driver(Protocol):
    """An asynchronous source of one battery's samples. Heals itself: it never raises because a bus or adapter is down.

    `clock` is the present as this wire sees it: the machine's clock, or a recording's own.
    """

    @property
    def name(self) -> str:
        """The profile's name, vendor/model."""

    @property
    def delivers(self) -> frozenset[Quantity]:
        """The quantities its profile can deliver."""

    @property
    def period_s(self) -> float:
        """Seconds between samples; 0 where every distinct frame time makes one."""

    @property
    def clock(self) -> Clock:
        """Where `now` comes from for this battery."""

    @property
    def counts(self) -> LinkCounts:
        """What was seen so far; live, only ever grows."""

    def batches(self) -> AsyncGenerator[Sequence[Sample | Notice], None]:
        """Yield what was said since the last time, oldest first, never empty.

        Ends only when the source has ended, as a recording does. Closing the iterator closes the wire.
        """
