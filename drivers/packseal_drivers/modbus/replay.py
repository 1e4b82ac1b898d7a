"""Replay of a register dump: the same frames as a live device's polls, by the recording's own clock."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from packseal.core.errors import ConfigError, InputError, PacksealError
from packseal.core.sample import NS_PER_S, ClockQuality, Instant, Sample
from packseal_drivers.framing.recorded import Recorded
from packseal_drivers.modbus import dump
from packseal_drivers.modbus.plan import Place, Read
from packseal_drivers.modbus.registers import Decoding, Image, RegisterMap, decoders, fixed_map
from packseal_drivers.modbus.sunspec import Chain, counts_of, locate, walk
from packseal_drivers.offline import END_NS, Totals
from packseal_drivers.profile import Profile
from packseal_drivers.sampler import Sampler


class DumpLink:
    """One dump, played once. A `ReplayLink`.

    Args:
        path: the file.
        profile: whose registers or points are looked for.
        decoding: is told where they are.
        speed: how much faster than it was recorded; None is as fast as the agent takes it.
        unit: only the answers of this one, in decimal; None takes those of the first.

    Raises:
        ConfigError: nothing can be read from the file.
    """

    def __init__(
        self, path: Path, profile: Profile, decoding: Decoding, speed: float | None = None, unit: str | None = None
    ) -> None:
        self._polls = dump.polls(path, _unit(unit, ConfigError))
        self._next: dump.Recorded | None = None
        try:
            self._next = next(self._polls)
        except InputError as error:
            raise ConfigError(str(error)) from error
        decoding.map = map_of(profile, self._next.image)
        self._map = decoding.map
        self._speed = speed
        self._first_ns = self._next.at_ns
        self._began_ns = 0

    @property
    def ended(self) -> bool:
        """Whether all was played."""
        return self._next is None

    async def open(self) -> None:
        """Begin."""
        self._began_ns = time.monotonic_ns()

    async def read(self) -> list[Recorded]:
        """Return the next poll in which something of the profile was read, or nothing when the dump has ended."""
        while (poll := self._next) is not None:
            await asyncio.sleep(self._wait_s(poll.at_ns - self._first_ns))
            self._next = _following(self._polls)
            mono_ns = poll.at_ns - self._first_ns
            frame = self._map.frame(poll.image, mono_ns)
            if frame is not None:
                return [Recorded(frame, Instant(mono_ns, poll.at_ns, ClockQuality.UNSYNCHRONISED))]
        return []

    def close(self) -> None:
        """Do nothing: the file is closed at its end."""

    def _wait_s(self, mono_ns: int) -> float:
        if self._speed is None:
            return 0.0
        return max(0.0, (self._began_ns + mono_ns / self._speed - time.monotonic_ns()) / NS_PER_S)


def samples_of(
    path: Path, profile: Profile, period_s: float, totals: Totals, unit: str | None = None
) -> Iterator[Sample]:
    """Yield the samples of a dump by its own times; `totals` are live.

    Raises:
        InputError: nothing can be read from it, or what is there breaks off, with the line.
    """
    decoding = Decoding()
    sampler = Sampler(decoders(profile, decoding, None), period_s, totals.link)
    first_ns: int | None = None
    for poll in dump.polls(path, _unit(unit, InputError)):
        if first_ns is None:
            first_ns, decoding.map = poll.at_ns, map_of(profile, poll.image)
        totals.frames += 1
        frame = decoding.map.frame(poll.image, poll.at_ns - first_ns)
        if frame is not None:
            yield from sampler.feed([frame], _stamp)
    yield from sampler.finish(END_NS, _stamp)


def _unit(text: str | None, error: type[PacksealError]) -> int | None:
    if text is None or text.isdecimal():
        return None if text is None else int(text)
    raise error(f"bus of a register dump must be a unit id in decimal, not {text!r}")


def _stamp(mono_ns: int) -> Instant:
    return Instant(mono_ns, 0, ClockQuality.UNSYNCHRONISED)


def map_of(profile: Profile, image: Image) -> RegisterMap:
    """Return where everything of a profile is in a device of which `image` was read."""
    if not profile.point:
        return fixed_map(profile)
    chain = _chain(image)
    said = {r.address: words[0] for r in counts_of(profile.point, chain) if (words := _words(image, r))}
    return locate(profile.point, chain, said).map


def _chain(image: Image) -> Chain:
    steps = walk()
    try:
        read = next(steps)
        while True:
            read = steps.send(_words(image, read))
    except StopIteration as end:
        chain: Chain = end.value
        return chain


def _words(image: Image, read: Read) -> Sequence[int] | None:
    return image.words(Place(read.function, read.address, read.count))


def _following(polls: Iterator[dump.Recorded]) -> dump.Recorded | None:
    """Return the next poll; a dump that breaks off is over."""
    try:
        return next(polls, None)
    except InputError:
        return None
