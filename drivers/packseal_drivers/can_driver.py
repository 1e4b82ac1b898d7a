"""Driver over a CAN bus: drained on a tick, because a wake-up per frame costs seven times what decoding does."""

import asyncio
from collections.abc import AsyncGenerator, Container, Sequence
from itertools import dropwhile
from typing import Protocol

from packseal.core.errors import LinkError
from packseal.core.quantities import Quantity
from packseal.core.sample import Clock, Frame, Instant, LinkCounts, Notice, Sample
from packseal_drivers.decoding import Decoders
from packseal_drivers.doubles import DoubleWatch
from packseal_drivers.flaws import FlawWatch
from packseal_drivers.health import ERR_FLAG, Health
from packseal_drivers.sampler import Sampler

TICK_S = 0.01
"""Half the latency budget of a 50 Hz signal, at 80 frames a wake-up on a full 1 Mbit/s bus (docs/performance.md)."""

RETRY_MIN_S, RETRY_MAX_S = 0.25, 5.0
"""An interface that is gone is tried again soon, then less and less often; one that is back is heard within seconds."""


class CanLink(Protocol):
    """A CAN bus that is listened to."""

    @property
    def dropped(self) -> int:
        """How many frames were lost before they could be read; only grows."""

    def open(self) -> None:
        """Open or open again; raises LinkError."""

    def drain(self, now: Instant) -> list[Frame]:
        """Return what has come since the last call, without waiting; raises LinkError when the bus is gone."""

    def close(self) -> None:
        """Close; may be called twice."""


class CanDriver:
    """Samples of a battery on a live CAN bus. A `Driver`.

    Args:
        name: of the profile.
        link: the wire.
        decoders: of the profile.
        period_s: seconds per sample.
        silent_after_s: without a known frame for so long the battery counts as silent.
        clock: the machine's.
        counts: of the link, where someone else counts as well.
    """

    def __init__(
        self,
        name: str,
        link: CanLink,
        decoders: Decoders,
        period_s: float,
        silent_after_s: float,
        clock: Clock,
        counts: LinkCounts | None = None,
    ) -> None:
        self.name = name
        self.delivers: frozenset[Quantity] = frozenset(c.quantity for c in decoders.channels)
        self.period_s = period_s
        self.clock = clock
        self.counts = counts or LinkCounts()
        self._link = link
        self._known: Container[int] = decoders.table
        self._sampler = Sampler(decoders, period_s, self.counts)
        self._health = Health(self.counts, silent_after_s)
        self._watch = FlawWatch(self.counts)
        self._doubles = DoubleWatch(decoders, self.counts)

    async def batches(self) -> AsyncGenerator[Sequence[Sample | Notice], None]:
        """Yield samples and notices for ever; a bus that is gone is opened again and again."""
        pause_s = RETRY_MIN_S
        try:
            while True:
                try:
                    self._link.open()
                    self._opened(self.clock.now())
                    while True:
                        await asyncio.sleep(TICK_S)
                        batch = self._look()
                        if batch:
                            pause_s = RETRY_MIN_S
                            yield batch
                except LinkError as error:
                    self._link.close()
                    notices = self._health.lost(self.clock.now(), str(error))
                    if notices:
                        yield notices
                await asyncio.sleep(pause_s)
                pause_s = min(RETRY_MAX_S, 2 * pause_s)
        finally:
            self._link.close()

    def _opened(self, now: Instant) -> None:
        self._health.opened(now)

    def _hear(self, frames: list[Frame], now: Instant) -> list[Frame]:  # noqa: ARG002 - for who asks as well
        """Return the frames for the sampler, given those of the wire."""
        return frames

    def _told(self, now: Instant) -> list[Notice]:  # noqa: ARG002 - likewise
        return []

    def _look(self) -> list[Sample | Notice]:
        now = self.clock.now()
        frames = self._link.drain(now)
        counts = self.counts
        errors = [f for f in frames if f.address & ERR_FLAG]
        data = [f for f in frames if not f.address & ERR_FLAG] if errors else frames
        data = self._hear(data, now)
        known_before = counts.frames - counts.unknown
        samples = self._sampler.feed(data, self._stamp) if data else []
        samples += self._sampler.finish(now.mono_ns, self._stamp)
        known = counts.frames - counts.unknown > known_before
        if errors:  # what came before the last of them says nothing about how the bus is now
            after = dropwhile(lambda f: f is not errors[-1], frames)
            known = any(f.address in self._known for f in after)
        notices = [*self._health.errors(errors, now), *self._health.heard(now, known=known)]
        notices += [*self._health.drops(self._link.dropped, now), *self._doubles.feed(data, now), *self._told(now)]
        return [*self._watch.feed(samples), *notices]

    def _stamp(self, mono_ns: int) -> Instant:
        now = self.clock.now()
        return Instant(mono_ns, now.wall_ns + mono_ns - now.mono_ns, now.quality)
