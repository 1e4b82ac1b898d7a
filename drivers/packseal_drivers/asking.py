"""Asking: from a profile to the one who asks, in every protocol that the profile uses, and to where it may send."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from packseal.core.sample import Frame, Instant, LinkCounts, Notice
from packseal_drivers.guard import Guard, Permitted
from packseal_drivers.poll_driver import Asker
from packseal_drivers.profile import Profile

MISSED_ANSWERS = 3
"""A battery that only answers is silent when so many answers in a row are missing."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and what its link needs: a guard, None where nothing is ever sent, and which frames to let in."""

    asker: Asker
    guard: Guard | None
    addresses: frozenset[int]
    masks: Collection[tuple[int, int]]


class Together:
    """Several askers on one bus. An `Asker`."""

    def __init__(self, askers: Sequence[Asker]) -> None:
        self._askers = askers

    def knows(self, address: int) -> bool:
        """Whether one of them knows the address."""
        return any(asker.knows(address) for asker in self._askers)

    def opened(self, now: Instant) -> None:
        """Note that the wire is a new one."""
        for asker in self._askers:
            asker.opened(now)

    def take(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames for the sampler."""
        for asker in self._askers:
            frames = asker.take(frames)
        return frames

    def due(self, now: Instant) -> list[Permitted]:
        """Return what is to be sent now."""
        return [permitted for asker in self._askers for permitted in asker.due(now)]

    def notices(self, now: Instant) -> list[Notice]:
        """Return what is to be told."""
        return [notice for asker in self._askers for notice in asker.notices(now)]


def ask(profile: Profile, counts: LinkCounts) -> Asking:
    """Return who asks for what a profile with requests or parameter groups wants to know."""
    from packseal_drivers import group_poller, poller, sdo_poller  # noqa: PLC0415 - most profiles need one of them

    lanes = [*poller.lanes(profile.request), *group_poller.lanes(profile.pgn)]
    guard = Guard(lanes, counts)
    protocols = {request.protocol for request in profile.request}
    askers: list[Asker] = []
    addresses: frozenset[int] = frozenset()
    masks: list[tuple[int, int]] = []
    if protocols & set(poller.PROTOCOLS):
        iso_tp = poller.Poller(profile.request, guard, counts)
        askers.append(iso_tp)
        addresses |= iso_tp.addresses
    if sdo_poller.PROTOCOL in protocols:
        objects = sdo_poller.SdoPoller(profile.request, guard, counts)
        askers.append(objects)
        addresses |= objects.addresses
    if profile.pgn:
        groups = group_poller.GroupPoller(profile.pgn, guard if group_poller.lanes(profile.pgn) else None, counts)
        askers.append(groups)
        masks += groups.masks
    asker = askers[0] if len(askers) == 1 else Together(askers)
    return Asking(asker, guard if lanes else None, addresses, masks)


def silent_after_s(profile: Profile) -> float:
    """Return after how many seconds without anything known the battery counts as silent."""
    given_s = profile.sampling.silent_after_s
    periods = [r.period_s for r in profile.request] + [p.ask_s for p in profile.pgn if p.ask_s is not None]
    unasked = profile.signal or any(p.ask_s is None for p in profile.pgn)
    return given_s if unasked or not periods else max(given_s, MISSED_ANSWERS * min(periods))
