"""Recorder: one battery's driver, sealer and log writer; reading and recording are two tasks with a short queue."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from packseal.core.bodies import GapCause, Lifecycle, LifecycleCode
from packseal.core.changes import Change
from packseal.core.declared import Declared
from packseal.core.quantities import Channel
from packseal.core.sample import Instant, Notice, Sample
from packseal.core.sealer import Sealed, Sealer
from packseal.journal.retention import Step
from packseal.runtime.writer import LogWriter
from packseal_drivers.driver import Driver

log = logging.getLogger(__name__)

QUEUE_BATCHES = 4
TICK_S = 1.0
KEEP_S = 1.0
"""How often something is removed to keep within the journal's limits."""

Batch = Sequence[Sample | Notice]
Retention = Callable[[], Awaitable[Step | None]]


@dataclass(slots=True)
class RecorderStatus:
    """What the operator sees of one battery."""

    samples: int = 0
    notices: int = 0
    lost_samples: int = 0
    ended: bool = False
    last: Sample | None = None
    present: dict[Channel, float] = field(default_factory=dict)


class Recorder:
    """Records one battery until it is stopped or its source ends.

    Args:
        driver: where the samples come from.
        sealer: what makes records of them.
        writer: what stores the records.
        preface: the first entries of this run, written when the battery's clock is known.
        retention: gives what is to be removed next from this log.

    `ticked` is called at least every second while it records; it must return at once.
    """

    def __init__(
        self,
        driver: Driver,
        sealer: Sealer,
        writer: LogWriter,
        preface: Sequence[Lifecycle],
        retention: Retention | None = None,
    ) -> None:
        self._driver = driver
        self._sealer = sealer
        self.writer = writer
        self._queue: asyncio.Queue[Batch | None] = asyncio.Queue(QUEUE_BATCHES)
        self._lost = 0
        self._is_read = False
        self._hurry = 0  # batches to be taken before the open window is sealed at once
        self._preface = preface
        self._retention = retention
        self._keep_at = 0.0
        self._declared: tuple[Declared, Sequence[Change]] | None = None
        self._is_shown = True  # whether a snapshot has the newest declared data
        self.ticked: Callable[[], None] = _nothing
        self.status = RecorderStatus()

    @property
    def driver(self) -> Driver:
        """Where the samples come from."""
        return self._driver

    @property
    def open_samples(self) -> int:
        """Samples in the open window: what a power cut would cost now."""
        return self._sealer.open_samples

    def use(self) -> dict[str, object]:
        """Return how the battery was used, see `Meter.use`."""
        return self._sealer.use()

    @property
    def is_declared(self) -> bool:
        """Whether the log says all that was declared and that `declare` gave, and it is stored."""
        return self._declared is None and not self._preface and not self.writer.status.pending

    def declare(self, declared: Declared, changes: Sequence[Change]) -> None:
        """Go on with other declared data; `changes` is all that people said happened. A log that is over stays so."""
        self._declared = declared, changes
        if not self._queue.full():
            self._queue.put_nowait(())

    def hurry(self) -> None:
        """Seal and store the open window with what is already read, as the power may fail; then record on."""
        if not self._queue.full():
            self._queue.put_nowait(())
        self._hurry = self._queue.qsize()

    async def read(self) -> None:
        """Hand what the driver says to `record`; ends with the source. Cancel it to stop."""
        try:
            async with aclosing(self._driver.batches()) as batches:
                async for batch in batches:
                    await self._queue.put(batch)
            self.status.ended = True
        finally:
            # Nothing may be awaited here: a second cancel would break it off, and `record` would wait for ever.
            self._is_read = True
            if not self._queue.full():
                self._queue.put_nowait(None)

    async def record(self) -> None:
        """Seal and store until `read` has ended; what is open is then sealed too."""
        while not (self._is_read and self._queue.empty()):
            batch = await self._next()
            self.ticked()
            self._begin()
            if batch is not None:
                self._take(batch)
                self._redeclare()
                await self.writer.flush(at_once=self._cut())
                await self._keep()
        self._begin()
        if self._lost and self.status.last is not None:
            self._name_lost(self.status.last.at)
        self._redeclare()
        code = LifecycleCode.SOURCE_ENDED if self.status.ended else LifecycleCode.AGENT_STOPPED
        self._put(self._sealer.end(code, self._driver.clock.now()))
        if not await self.writer.flush(at_once=True):
            log.error("%d sealed records could not be stored before the stop", self.writer.status.pending)

    async def _keep(self) -> None:
        """Take one step of retention, unless the disk is behind or one was taken just now."""
        now = asyncio.get_running_loop().time()
        if self._retention is None or self.writer.status.pending or now < self._keep_at:
            return
        self._keep_at = now + KEEP_S
        step = await self._retention()
        if step is not None:
            self.writer.put(self._sealer.seal(step.bodies, self._driver.clock.now()), step.removed)
            await self.writer.flush()

    def _cut(self) -> bool:
        """Seal the open window if it must not wait and all that was read by then is in it; return whether so."""
        if not self._hurry:
            return False
        self._hurry -= 1
        sealed = None if self._hurry or self.writer.is_full else self._sealer.cut(self._driver.clock.now())
        if sealed is not None:
            self._put(sealed)
        return not self._hurry

    def _redeclare(self) -> None:
        """Take up other declared data, unless there is no room to say so; the first sample after it gets a snapshot."""
        if not self._is_shown and self._sealer.open_samples and not self.writer.is_full:
            self._put(self._sealer.seal((), self._driver.clock.now()))
            self._is_shown = True
        if self._declared is not None and not self.writer.is_full:
            self._put(self._sealer.declare(*self._declared, self._driver.clock.now()))
            self._declared, self._is_shown = None, False

    async def _next(self) -> Batch | None:
        """Return what was read, nothing after a tick, or None when `read` has ended."""
        try:
            async with asyncio.timeout(TICK_S):
                return await self._queue.get()
        except TimeoutError:
            return ()

    def _begin(self) -> None:
        for entry in self._preface:
            self._put(self._sealer.begin(entry.code, self._driver.clock.now(), entry.attributes))
        self._preface = ()

    def _take(self, batch: Batch) -> None:
        for item in batch:
            if isinstance(item, Notice):
                self.status.notices += 1
                log.warning("%s: %s %s", self._driver.name, item.code.name, dict(item.attributes))
                sealed = self._sealer.note(item)
                if sealed is not None:
                    self._put(sealed)
            else:
                self._take_sample(item)
        if not batch and not self.writer.is_full:
            sealed = self._sealer.tick(self._driver.clock.now())
            if sealed is not None:
                self._put(sealed)

    def _take_sample(self, sample: Sample) -> None:
        self.status.samples += 1
        self.status.last = sample
        self.status.present.update(sample.values)
        if self.writer.is_full:
            self._lost += 1
            self.status.lost_samples += 1
            return
        if self._lost:
            self._name_lost(sample.at)
        for sealed in self._sealer.feed(sample):
            self._put(sealed)

    def _name_lost(self, end: Instant) -> None:
        """Write down what found no room, up to the sample at `end`, which is the next or the last of them."""
        self._put(self._sealer.lose(GapCause.NOT_STORED, end, {"samples": self._lost}))
        self._lost = 0

    def _put(self, sealed: Sealed) -> None:
        self.writer.put(sealed)


def _nothing() -> None:
    """Nobody wants to know."""
