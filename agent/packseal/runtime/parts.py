"""Parts: what batteries made of others are read from. A part passes on what it says, and never waits for the whole."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from packseal.core.aggregate import Aggregator
from packseal.core.combining import Combiner
from packseal.core.quantities import Quantity
from packseal.core.sample import Clock, EventCode, Instant, LinkCounts, LinkState, Notice, Sample
from packseal_drivers.driver import Driver

Batch = Sequence[Sample | Notice]

TICK_S = 1.0
MAX_WAITING = 4096
"""What waits for the whole's recorder; more is dropped by name."""

LOST = EventCode.LINK_LOST, EventCode.BUS_SILENT, EventCode.BUS_OFF, EventCode.ECU_SILENT


class LastInstant:
    """The clock of a whole whose parts are replayed: its newest instant; before it 0, with the machine's wall time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at: Instant | None = None

    def now(self) -> Instant:
        """Return the replay's present."""
        return self.at or self._clock.now()._replace(mono_ns=0)


class WholeDriver:
    """Samples of a battery that is made of parts. A `Driver`.

    Args:
        name: what it is called beside the names of profiles.
        combiner: puts the parts' values together.
        period_s: seconds per sample.
        clock: the machine's.
        replayed: whether its parts are. Recordings are brought together by their wall clocks, for a monotonic one
            begins anew in each; a part that is behind is waited for.
    """

    def __init__(self, name: str, combiner: Combiner, period_s: float, clock: Clock, *, replayed: bool) -> None:
        self.name = name
        self.delivers: frozenset[Quantity] = combiner.delivers
        self.period_s = period_s
        self.counts = LinkCounts()
        self.replayed = replayed
        self._last = LastInstant(clock)
        self.clock: Clock = self._last if replayed else clock
        self._aggregator = Aggregator(combiner, period_s, patient=replayed)
        self._open = set(range(len(combiner.parts)))
        self._waiting: deque[Sample | Notice] = deque()
        self._dropped = 0
        self._something = asyncio.Event()

    @property
    def silent(self) -> Sequence[str]:
        """The ids of the parts that are not heard."""
        return self._aggregator.silent

    def hear(self, number: int, batch: Batch) -> None:
        """Take what a part says. Never waits."""
        for item in batch:
            if isinstance(item, Sample):
                self._take(self._aggregator.feed(number, self._in_common_time(item)))
            elif item.code in LOST and "part" not in item.attributes:
                self._take(self._aggregator.lose(number))

    def end(self, number: int) -> None:
        """Take note that a part's source has ended."""
        self._open.discard(number)
        self._take(self._aggregator.lose(number) if self._open else self._aggregator.finish())
        self._something.set()

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield what is known of the whole; ends when all its parts have ended."""
        while self._open or self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self.replayed else TICK_S):
                    await self._something.wait()
            self._something.clear()
            if not self.replayed:
                self._take(self._aggregator.tick(self.clock.now()))
            if self._waiting:
                batch = [*self._missing(), *self._waiting]
                self._waiting.clear()
                yield batch

    def _in_common_time(self, sample: Sample) -> Sample:
        if not self.replayed:
            return sample
        return Sample(sample.at._replace(mono_ns=sample.at.wall_ns), sample.values, sample.flaws)

    def _take(self, items: Batch) -> None:
        if not items:
            return
        self._last.at = items[-1].at
        for item in items:
            self.counts.samples += isinstance(item, Sample)
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(item)
        self.counts.state = LinkState.SILENT if self._aggregator.silent else LinkState.HEALTHY
        self._something.set()

    def _missing(self) -> list[Notice]:
        dropped, self._dropped = self._dropped, 0
        if not dropped:
            return []
        self.counts.dropped += dropped
        return [Notice(EventCode.FRAMES_DROPPED, self._waiting[0].at, {"samples": dropped})]


class PartDriver:
    """A part's own driver, which also tells the whole what it says. A `Driver`."""

    def __init__(self, driver: Driver, whole: WholeDriver, number: int) -> None:
        self._driver = driver
        self._whole = whole
        self._number = number
        self.name = driver.name
        self.period_s = driver.period_s
        self.clock = driver.clock

    @property
    def delivers(self) -> frozenset[Quantity]:
        """The quantities that the part can deliver."""
        return self._driver.delivers

    @property
    def counts(self) -> LinkCounts:
        """What was seen of the part."""
        return self._driver.counts

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield what the part says; ends with it."""
        async with aclosing(self._driver.batches()) as batches:
            async for batch in batches:
                self._whole.hear(self._number, batch)
                yield batch
        self._whole.end(self._number)
