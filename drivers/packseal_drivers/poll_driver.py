"""Driver over a CAN bus on which something is asked, too: listens as `CanDriver` does, and sends what is permitted."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol

from packseal.core.errors import LinkError
from packseal.core.sample import Clock, Frame, Instant, LinkCounts, Notice
from packseal_drivers.can_driver import CanDriver, CanLink
from packseal_drivers.decoding import Decoders
from packseal_drivers.guard import Permitted, RefusedRequest


class SendingLink(CanLink, Protocol):
    """A CAN bus on which permitted frames may be sent."""

    def send(self, permitted: Permitted) -> bool:
        """Send without waiting; False where there is no room now.

        Raises:
            RefusedRequest: the link's guard has not permitted it.
            LinkError: the bus is gone.
        """


class Asker(Protocol):
    """Knows what is to be asked, when, and what an answer is. Pure."""

    def knows(self, address: int) -> bool:
        """Whether frames of this address are part of answers."""

    def opened(self, now: Instant) -> None:
        """Note that the wire is a new one."""

    def take(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames for the sampler, whole answers among them, in the order of their times."""

    def due(self, now: Instant) -> list[Permitted]:
        """Return what is to be sent now."""

    def notices(self, now: Instant) -> list[Notice]:
        """Return what is to be told."""


class PollDriver(CanDriver):
    """Samples of a battery that is asked. A `Driver`.

    Args:
        name: of the profile.
        link: whose guard is the asker's.
        decoders: of the profile.
        pace_s: seconds per sample, and without anything known until the battery counts as silent.
        asker: asks.
        counts: of the link, shared with asker and guard.
        clock: the machine's.
    """

    def __init__(
        self,
        name: str,
        link: SendingLink,
        decoders: Decoders,
        pace_s: tuple[float, float],
        asker: Asker,
        counts: LinkCounts,
        clock: Clock,
    ) -> None:
        super().__init__(name, link, decoders, *pace_s, clock, counts)
        self._known = _Known(decoders.table, asker)
        self._sending = link
        self._asker = asker

    def _opened(self, now: Instant) -> None:
        super()._opened(now)
        self._asker.opened(now)

    def _hear(self, frames: list[Frame], now: Instant) -> list[Frame]:
        heard = self._asker.take(frames)
        for permitted in self._asker.due(now):
            try:
                if not self._sending.send(permitted):
                    self.counts.unsent += 1
            except RefusedRequest:
                continue  # counted by the guard
            except LinkError:  # the next reading will say so as well, and lose nothing that was just heard
                self.counts.unsent += 1
        return heard

    def _told(self, now: Instant) -> list[Notice]:
        return self._asker.notices(now)


@dataclass(frozen=True, slots=True)
class _Known:
    """All addresses that say something of the battery."""

    table: Container[int]
    asker: Asker

    def __contains__(self, address: object) -> bool:
        return address in self.table or (isinstance(address, int) and self.asker.knows(address))
