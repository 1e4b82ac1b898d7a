"""Driver over a replay: the recording's clock is the only one, so silence is not judged; a gap is seen by its times."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Protocol

from packseal.core.errors import LinkError
from packseal.core.quantities import Quantity
from packseal.core.sample import Clock, EventCode, Frame, Instant, LinkCounts, LinkState, Notice, Sample
from packseal_drivers.decoding import Decoders
from packseal_drivers.doubles import DoubleWatch
from packseal_drivers.flaws import FlawWatch
from packseal_drivers.framing.recorded import Recorded
from packseal_drivers.health import ERR_FLAG
from packseal_drivers.sampler import Sampler

if TYPE_CHECKING:
    from packseal_drivers.answers import Answers

RETRY_S = 0.2  # until the other program has opened its socket
FAR_NS = 1 << 62  # after any time of a recording


class ReplayLink(Protocol):
    """A source of recorded frames, with an end."""

    @property
    def ended(self) -> bool:
        """Whether the recording is over."""

    async def open(self) -> None:
        """Connect; raises LinkError."""

    async def read(self) -> list[Recorded]:
        """Return at least one frame, or nothing when the recording has ended; raises LinkError when cut off."""

    def close(self) -> None:
        """Disconnect; may be called twice."""


class RecordingClock:
    """The recording's own clock: the instant of its newest frame; before the first one 0, with the machine's wall time.

    0 because a recording may begin anywhere, and a monotonic clock never steps back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: Instant | None = None

    def now(self) -> Instant:
        """Return the recording's present."""
        return self.at or self._clock.now()._replace(mono_ns=0)


class StreamDriver:
    """Samples of a battery whose frames are replayed. A `Driver`.

    `answers` finds what a scan tool was answered, where the profile has requests; nothing is asked here.
    """

    def __init__(
        self,
        name: str,
        link: ReplayLink,
        decoders: Decoders,
        period_s: float,
        clock: Clock,
        answers: "Answers | None" = None,
    ) -> None:
        self.name = name
        self.delivers: frozenset[Quantity] = frozenset(c.quantity for c in decoders.channels)
        self.period_s = period_s
        self.counts = LinkCounts()
        self.clock = RecordingClock(clock)
        self._link = link
        self._answers = answers
        self._table = decoders.table
        self._sampler = Sampler(decoders, period_s, self.counts)
        self._watch = FlawWatch(self.counts)
        self._doubles = DoubleWatch(decoders, self.counts)

    async def batches(self) -> AsyncGenerator[Sequence[Sample | Notice], None]:
        """Yield samples and notices until the recording has ended; connects again when it is cut off."""
        try:
            while not self._link.ended:
                try:
                    await self._link.open()
                    while frames := await self._link.read():
                        batch = self._take(frames)
                        if batch:
                            yield batch
                except LinkError as error:
                    self._link.close()
                    lost = self._lost(str(error))
                    if lost:
                        yield lost
                    await asyncio.sleep(RETRY_S)
            rest = self._watch.feed(self._sampler.finish(FAR_NS, self._stamp))
            if rest:
                yield rest
        finally:
            self._link.close()

    def _take(self, frames: list[Recorded]) -> list[Sample | Notice]:
        if self.clock.at is not None and frames[0].at.mono_ns < self.clock.at.mono_ns:
            raise LinkError("the recording begins again before its end: restart the agent to replay another one")
        notices = self._back()
        samples: list[Sample] = []
        start = 0
        for i in range(1, len(frames) + 1):
            # Frames of one time share their clocks, so the sampler may stamp what it closes with the last ones.
            if i == len(frames) or frames[i].at.mono_ns != frames[start].at.mono_ns:
                known = self._known(frames[start:i])
                samples += self._sampler.feed(known, self._stamp)
                notices += self._doubles.feed(known, frames[start].at)
                self.clock.at = frames[start].at
                start = i
        return [*notices, *self._watch.feed(samples)]

    def _known(self, frames: list[Recorded]) -> list[Frame]:
        answers, known = self._answers, list[Frame]()
        for frame, _ in frames:
            if frame.address & ERR_FLAG:
                self.counts.error_frames += 1
            elif answers is None or frame.address not in answers.addresses:
                known.append(frame)
            else:
                known += ([frame] if frame.address in self._table else []) + answers.feed(frame)
        return known

    def _stamp(self, mono_ns: int) -> Instant:
        at = self.clock.at or self.clock.now()
        return Instant(mono_ns, at.wall_ns + mono_ns - at.mono_ns, at.quality) if mono_ns < FAR_NS else at

    def _lost(self, why: str) -> list[Sample | Notice]:
        connected = self.counts.state is LinkState.HEALTHY
        self.counts.state = LinkState.LOST if connected or self.counts.frames else LinkState.CONNECTING
        return [Notice(EventCode.LINK_LOST, self.clock.now(), {"reason": why[:200]})] if connected else []

    def _back(self) -> list[Notice]:
        before, self.counts.state = self.counts.state, LinkState.HEALTHY
        if before is not LinkState.LOST:
            return []
        return [Notice(EventCode.BUS_RECOVERED, self.clock.now(), {"after": EventCode.LINK_LOST.name.lower()})]
