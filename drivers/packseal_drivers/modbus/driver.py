"""Driver of a battery that is read over Modbus: one sample per poll."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass

from packseal.core.errors import LinkError
from packseal.core.sample import NS_PER_S, Clock, Instant, LinkCounts, Notice, Sample
from packseal_drivers.doubles import DoubleWatch
from packseal_drivers.flaws import FlawWatch
from packseal_drivers.health import Health
from packseal_drivers.modbus.bus import ModbusBus, Outcome
from packseal_drivers.modbus.guard import ModbusGuard
from packseal_drivers.modbus.plan import Read
from packseal_drivers.modbus.poll import GATEWAY, SILENT_MIN_S, Poll, Silence
from packseal_drivers.modbus.registers import Decoding, Image, RegisterMap, decoders, fixed_map
from packseal_drivers.modbus.sunspec import Chain, Located, counts_of, locate, walk
from packseal_drivers.modbus.voices import Voices
from packseal_drivers.profile import Profile
from packseal_drivers.sampler import Sampler

log = logging.getLogger(__name__)

MIN_PERIOD_S = 0.1
RETRY_MIN_S, RETRY_MAX_S = 0.25, 5.0
LOOK_S = 1.0
"""While a silent unit is left alone, its silence is judged so often."""
LATE_S = 0.2
"""A sample of a serial line waits so long for a second answer: devices take 10 to 100 ms to begin one."""
MISSED_POLLS = 3
"""Without any register in so many polls the battery is silent, where its profile does not allow more."""


Heard = Callable[[int, Read, Outcome], None]


class NoAnswerError(Exception):
    """A unit has not answered what must be known before anything else can be asked."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Who is asked, and how."""

    bus: ModbusBus
    number: int
    timeout_s: float
    string: int | None = None
    """Of a SunSpec device with several, the one that is meant, from 1 on; None is the first."""


class ModbusDriver:
    """Samples of one unit. A `Driver`.

    Args:
        profile: with [[register]] or [[point]] tables.
        unit: whom it asks.
        period_s: seconds between two polls, each of which gives a sample.
        clock: the machine's.
        firmware: of the battery, on which placeholders depend.
    """

    def __init__(
        self, profile: Profile, unit: Unit, period_s: float, clock: Clock, firmware: str | None = None
    ) -> None:
        self.name = profile.name
        self.delivers = profile.delivers
        self.period_s = max(period_s, MIN_PERIOD_S)
        self.clock = clock
        self.counts = LinkCounts()
        self.heard: Heard | None = None
        """Is told of every answer: when its poll began in ns since 1970, what was read, and what came of it."""
        self.trouble = ""
        """What is wrong with the device's SunSpec models; "" where nothing is."""
        self._profile = profile
        self._unit = unit
        self._bus = unit.bus
        serial = unit.bus.settings.is_rtu
        self._guard = ModbusGuard((unit.number,), serial=serial, counts=self.counts)
        self._decoding = Decoding(fixed_map(profile) if profile.register else None)
        made = decoders(profile, self._decoding, firmware)
        self._sampler = Sampler(made, 0, self.counts)
        self._doubles = DoubleWatch(made, self.counts)
        self._watch = FlawWatch(self.counts)
        self._voices = Voices(unit.number, self.counts)
        silent_s = max(profile.sampling.silent_after_s, MISSED_POLLS * self.period_s)
        self._health = Health(self.counts, silent_s)
        self._silence = Silence()
        self._poll: Poll | None = None
        self._next_s = 0.0
        self._began_wall_ns = 0

    async def batches(self) -> AsyncGenerator[Sequence[Sample | Notice], None]:
        """Yield samples and notices for ever; a connection that is gone is opened again and again."""
        pause_s, generation, is_open = RETRY_MIN_S, -1, False
        self._bus.join()
        try:
            while True:
                try:
                    opened = await self._bus.connect()
                    if not is_open:
                        is_open = True
                        self._health.opened(self.clock.now())
                    if opened != generation and self._profile.point:
                        self._poll = None  # what is behind the connection may be another device now
                    generation = opened
                    for batch in (await self._turn(), self._look()):
                        if batch:
                            pause_s = RETRY_MIN_S
                            yield batch
                    while (left_s := self._next_s - self._now_s()) > 0:
                        await asyncio.sleep(min(left_s, LOOK_S))
                        if batch := self._look():
                            yield batch
                except LinkError as error:
                    is_open = False
                    if notices := self._health.lost(self.clock.now(), str(error)):
                        yield notices
                    await asyncio.sleep(pause_s)
                    pause_s = min(RETRY_MAX_S, 2 * pause_s)
        finally:
            self._bus.leave()

    async def _turn(self) -> list[Sample | Notice]:
        """Carry out one poll, and set when the next one is."""
        began_s = self._now_s()
        self._began_wall_ns = self.clock.now().wall_ns
        try:
            poll = self._poll or await self._prepare()
            image, missed = await self._read(poll)
        except NoAnswerError:
            self._rest(began_s, self._silence.next_s())
            return []
        self._silence.over()
        self._rest(began_s, SILENT_MIN_S if missed else 0.0)
        now = self.clock.now()
        await self._hear_out()
        return self._samples(image, now)

    async def _hear_out(self) -> None:
        """Leave a second device time to answer the poll's last question too, as far as the next poll does."""
        if self._bus.settings.is_rtu:
            await asyncio.sleep(min(LATE_S, max(0.0, self._next_s - self._now_s())))
            if self._bus.followed(self._unit.number):
                self._voices.second()

    async def _read(self, poll: Poll) -> tuple[Image, bool]:
        """Ask what is due; return what came, and whether something was not answered.

        Raises:
            NoAnswerError: nothing at all was.
            LinkError: the connection is gone.
        """
        image, missed, patience = Image(), 0, self._patience
        waiting = poll.due(self.clock.now().mono_ns)
        while waiting:
            read = waiting.pop(0)
            outcome = await self._ask(read)
            if outcome.words is not None:
                image.take(read, outcome.words)
                poll.answered(read)
            elif outcome.code is not None and outcome.code not in GATEWAY:
                waiting[:0] = poll.declined(read, outcome.code, self.clock.now().mono_ns)
            elif outcome.fault == "doubled":
                continue  # somebody is there, and nothing of this poll will be believed
            elif len(image) == 0:
                raise NoAnswerError
            else:
                missed += 1
                if missed > patience:
                    break
        return image, missed > 0

    @property
    def _patience(self) -> int:
        """Return how many reads of a poll may stay without an answer while others are asked.

        On a serial line none: an answer that comes late cannot be told there from the one to the next question, so the
        unit is left alone until it must have come.
        """
        return 0 if self._bus.settings.is_rtu else 1

    async def _ask(self, read: Read) -> Outcome:
        """Ask one read and count what came of it; raises LinkError."""
        counts, unit = self.counts, self._unit
        permitted = self._guard.permit_read(unit.number, *read)
        counts.requests += 1
        outcome = await self._bus.ask(self._guard, permitted, unit.timeout_s, self._profile.modbus.pause_s)
        if self.heard is not None and (outcome.words is not None or outcome.code is not None):
            self.heard(self._began_wall_ns, read, outcome)
        counts.unexpected += outcome.foreign
        counts.answers += outcome.words is not None
        if outcome.code is not None:
            counts.negative += 1
            counts.declined[outcome.code] = counts.declined.get(outcome.code, 0) + 1
        elif outcome.fault is not None:
            counts.unanswered += outcome.fault in ("unanswered", "unexpected")
            counts.cut += outcome.fault == "cut"
            counts.short += outcome.fault == "short"
            if outcome.fault == "doubled":
                self._voices.second()
        return outcome

    async def _prepare(self) -> Poll:
        """Find out where everything is; raises NoAnswerError where nothing of it is there, LinkError."""
        if self._profile.point:
            self._decoding.map = (await self._discover()).map
        found: RegisterMap = self._decoding.map
        poll = Poll(found.places, self._profile.modbus, round(self.period_s * NS_PER_S))
        if not found.places:
            raise NoAnswerError
        self._poll = poll
        return poll

    async def _discover(self) -> Located:
        steps = walk()
        try:
            read = next(steps)
            while True:
                read = steps.send(await self._known(read))
        except StopIteration as end:
            chain: Chain = end.value
        said: dict[int, int] = {}
        for read in counts_of(self._profile.point, chain):
            answer = await self._known(read)
            if answer is not None:
                said[read.address] = answer[0]
        located = locate(self._profile.point, chain, said, self._unit.string)
        self.counts.cut += located.lies + (chain.trouble is not None)
        lies = f"{located.lies} of its models say to have more blocks than they have room for" if located.lies else ""
        self._tell("; ".join(filter(None, (chain.trouble or lies, located.doubt))))
        return located

    async def _known(self, read: Read) -> Sequence[int] | None:
        """Return the registers, or None where the device declines; raises NoAnswerError."""
        outcome = await self._ask(read)
        if outcome.words is None and (outcome.code is None or outcome.code in GATEWAY):
            raise NoAnswerError
        return outcome.words

    def _tell(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            log.warning("%s at %s, unit %d: %s", self.name, self._bus.settings.where, self._unit.number, trouble)
        self.trouble = trouble

    def _samples(self, image: Image, now: Instant) -> list[Sample | Notice]:
        if not self._voices.believed():
            return [*self._health.heard(now, known=True)]
        frame = self._decoding.map.frame(image, now.mono_ns)
        if frame is None:
            return []
        samples = [*self._sampler.feed([frame], self._stamp), *self._sampler.finish(now.mono_ns + 1, self._stamp)]
        notices = [*self._health.heard(now, known=True), *self._doubles.feed([frame], now)]
        return [*self._watch.feed(samples), *notices]

    def _look(self) -> list[Sample | Notice]:
        now = self.clock.now()
        return [*self._health.heard(now, known=False), *self._voices.notices(now)]

    def _rest(self, began_s: float, silent_s: float) -> None:
        self._next_s = max(began_s + max(self.period_s, silent_s), self._now_s())

    def _now_s(self) -> float:
        now: Instant = self.clock.now()
        return now.mono_ns / NS_PER_S

    def _stamp(self, mono_ns: int) -> Instant:
        now = self.clock.now()
        return Instant(mono_ns, now.wall_ns + mono_ns - now.mono_ns, now.quality)
