"""Driver over Bluetooth: asks and listens in rounds, believes what is plausible, and shares its adapter with others."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from packseal.core.errors import LinkError
from packseal.core.quantities import Quantity
from packseal.core.sample import NS_PER_S, Clock, Frame, Instant, LinkCounts, LinkState, Notice, Sample
from packseal_drivers.ble.guard import BleGuard, PermittedWrite
from packseal_drivers.ble.plausibility import Plausibility
from packseal_drivers.ble.protocols import BleProtocol
from packseal_drivers.ble.whole import lenient
from packseal_drivers.decoding import Decoders
from packseal_drivers.flaws import FlawWatch
from packseal_drivers.framing.burst import Notification
from packseal_drivers.guard import RefusedRequest
from packseal_drivers.health import Health
from packseal_drivers.sampler import Sampler

ANSWER_S = 2.0
"""So long an answer is waited for: a whole one takes some connection intervals, mostly of less than 0.1 s."""
QUIET_S = 0.15
"""After an answer that did not come whole: what was late of it must not fall into the next one's window."""
SETTLE_S = 0.5
AGAIN_S = 5.0
"""A battery that speaks by itself is asked again when it was silent for so long."""
TICK_S = 0.1
RETRY_MIN_S, RETRY_MAX_S = 1.0, 60.0
JITTER = 0.2
"""So that batteries that were lost together are not looked for together for ever."""
GIVE_UP_NS = 60 * NS_PER_S
"""A connection over which nothing comes for so long is made anew."""


class BleWire(Protocol):
    """A battery's connection."""

    @property
    def is_wanted(self) -> bool:
        """Whether another battery waits for this one's connection."""

    @property
    def dropped(self) -> int:
        """Notifications lost before they could be taken; only grows."""

    async def open(self) -> None:
        """Connect; raises LinkError."""

    async def close(self) -> None:
        """Disconnect; may be called twice."""

    def take(self) -> list[Notification]:
        """Return what was heard; raises LinkError when the connection is lost."""

    async def wait(self, seconds: float) -> None:
        """Wait until something is heard, at most so long."""

    async def write(self, permitted: PermittedWrite) -> None:
        """Write; raises RefusedRequest, LinkError."""

    async def read(self, uuid: str) -> Notification | None:
        """Read; None where there is no such characteristic. Raises LinkError."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: per sample, between rounds of questions, until silence is told, and with a connection others want."""

    period_s: float
    poll_s: float
    silent_after_s: float
    turn_s: float


Tap = Callable[[str, str, bytes, int], None]
"""Is told of every notification (<), write (>) and read (=): which, the UUID, the bytes, the monotonic time."""


class BleDriver:
    """Samples of a battery over Bluetooth. A `Driver`.

    Args:
        name: of the profile.
        link: the connection.
        protocol: what is spoken.
        decoders: of the profile.
        judge: of the profile; shares the counts.
        guard: of the link.
        pace: how often.
        clock: the machine's.
        counts: of the link.
    """

    def __init__(  # noqa: PLR0913 - the parts that make a driver
        self,
        name: str,
        link: BleWire,
        *,
        protocol: BleProtocol,
        decoders: Decoders,
        judge: Plausibility,
        guard: BleGuard,
        pace: Pace,
        clock: Clock,
        counts: LinkCounts,
    ) -> None:
        self.name = name
        self.delivers: frozenset[Quantity] = frozenset(c.quantity for c in decoders.channels)
        self.period_s = pace.period_s
        self.clock = clock
        self.counts = counts
        self.tap: Tap | None = None
        """For `packseal capture`."""
        self._link = link
        self._protocol = protocol
        self._framer = protocol.framer()
        self._judge = judge
        self._guard = guard
        self._pace = pace
        self._sampler = Sampler(lenient(decoders), pace.period_s, counts)
        self._health = Health(counts, pace.silent_after_s)
        self._watch = FlawWatch(counts)
        self._cut = self._heard_ns = self._asked_ns = 0

    async def batches(self) -> AsyncGenerator[Sequence[Sample | Notice], None]:
        """Yield samples and notices for ever; a battery that is gone is looked for again and again."""
        pause_s = RETRY_MIN_S
        try:
            while True:
                try:
                    await self._link.open()
                    self._opened()
                    while not self._is_over():
                        async for batch in self._round():
                            pause_s = RETRY_MIN_S
                            yield batch
                    await self._link.close()
                    rest_s = min(self._pace.period_s, 1.0)
                except LinkError as error:
                    await self._link.close()
                    notices = self._health.lost(self.clock.now(), str(error))
                    if notices:
                        yield notices
                    rest_s = pause_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
                    pause_s = min(RETRY_MAX_S, 2 * pause_s)
                await asyncio.sleep(rest_s)
                samples = self._watch.feed(self._sampler.finish(self.clock.now().mono_ns, self._stamp))
                if samples:
                    yield samples
        finally:
            await self._link.close()

    def _opened(self) -> None:
        now = self.clock.now()
        self._framer.begin()
        self._opened_ns = self._heard_ns = now.mono_ns
        self._asked_ns = 0
        resting = self.counts.state is LinkState.HEALTHY
        self._health.opened(now)
        if resting:  # it gave its connection away and has it again: nothing was wrong
            self.counts.state = LinkState.HEALTHY

    def _is_over(self) -> bool:
        """Whether the connection is another battery's turn, or so long silent that it is made anew."""
        now_ns = self.clock.now().mono_ns
        turn_ns = round(self._pace.turn_s * NS_PER_S)
        return (self._link.is_wanted and now_ns - self._opened_ns > turn_ns) or now_ns - self._heard_ns > GIVE_UP_NS

    async def _round(self) -> AsyncGenerator[list[Sample | Notice], None]:
        """Ask everything once, then listen until the next round is due."""
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._pace.poll_s
        for question in self._due():
            batch = self._account(await self._ask(question))
            if batch:
                yield batch
        for uuid in self._protocol.reads:
            batch = self._account(await self._read(uuid))
            if batch:
                yield batch
        while (left_s := due_s - loop.time()) > 0:
            await self._link.wait(min(left_s, TICK_S if self._protocol.speaks else left_s))
            batch = self._account(self._take())
            if batch:
                yield batch

    def _due(self) -> Sequence[bytes]:
        now_ns = self.clock.now().mono_ns
        if self._protocol.speaks:
            silent_ns = now_ns - max(self._heard_ns, self._asked_ns)
            if self._asked_ns and silent_ns < AGAIN_S * NS_PER_S:
                return ()
            self._asked_ns = now_ns
        return self._protocol.questions

    async def _ask(self, question: bytes) -> list[Frame]:
        """Write a question and return what is believed of the answer that comes in its window."""
        assert self._protocol.write is not None, "a protocol with questions has where to write them"  # noqa: S101
        believed = self._take()  # what came before is no answer to what is asked now
        try:
            permitted = self._guard.permit(self._protocol.write, question)
        except RefusedRequest:
            return believed
        self._framer.asked(question)
        await self._link.write(permitted)
        self.counts.requests += 1
        self._tell(">", permitted.uuid, permitted.data, self.clock.now().mono_ns)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + ANSWER_S
        while not self._framer.answered and (left_s := end_s - loop.time()) > 0:
            await self._link.wait(left_s)
            believed += self._take()
        if self._protocol.speaks:  # what it says to one question must not run into the next one
            await self._link.wait(SETTLE_S)
            believed += self._take()
        if not self._framer.answered:
            self.counts.unanswered += 1
            await asyncio.sleep(QUIET_S)
        return believed

    async def _read(self, uuid: str) -> list[Frame]:
        value = await self._link.read(uuid)
        if value is None:
            return []
        self.counts.requests += 1
        self._tell("=", value.uuid, value.data, value.mono_ns)
        return self._judged(value)

    def _take(self) -> list[Frame]:
        believed: list[Frame] = []
        for notification in self._link.take():
            self._tell("<", *notification)
            believed += self._judged(notification)
        return believed

    def _judged(self, notification: Notification) -> list[Frame]:
        reading = self._framer.feed(notification)
        if reading is None:
            return []
        self.counts.answers += 1
        return self._judge.judge(reading)

    def _account(self, frames: list[Frame]) -> list[Sample | Notice]:
        now = self.clock.now()
        self.counts.cut += self._framer.cut - self._cut
        self._cut = self._framer.cut
        if frames:
            self._heard_ns = now.mono_ns
        samples = self._sampler.feed(frames, self._stamp) + self._sampler.finish(now.mono_ns, self._stamp)
        notices = [*self._health.heard(now, known=bool(frames)), *self._health.drops(self._link.dropped, now)]
        return [*self._watch.feed(samples), *notices]

    def _tell(self, way: str, uuid: str, data: bytes, mono_ns: int) -> None:
        if self.tap is not None:
            self.tap(way, uuid, data, mono_ns)

    def _stamp(self, mono_ns: int) -> Instant:
        now = self.clock.now()
        return Instant(mono_ns, now.wall_ns + mono_ns - now.mono_ns, now.quality)
