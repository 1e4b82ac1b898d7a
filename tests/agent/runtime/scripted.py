"""A driver that says what a test tells it to, and a recorder on a real journal around it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from packseal.config import Battery, Config, ConfigFile, Gateway
from packseal.config_keep import Keep
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, LinkCounts, Notice, Sample
from packseal.journal.store import LogKind
from packseal.keys.file import FileSigner
from packseal.runtime import opening
from packseal.runtime.desk import Desk
from packseal.runtime.keeping import Keeper
from packseal.runtime.recorder import Recorder
from packseal.runtime.writer import LogWriter
from packseal_drivers.settings import Stream

GATEWAY, BATTERY = "urn:example:gateway:1", "urn:example:battery:1"
V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
WALL_NS = 1_795_000_000_000_000_000
KEY = FileSigner(Ed25519PrivateKey.generate())


@dataclass
class ScriptedClock:
    """Stands where the script has put it."""

    at: Instant = field(default_factory=lambda: Instant(0, WALL_NS, ClockQuality.NTP))

    def now(self) -> Instant:
        return self.at


@dataclass
class ScriptedDriver:
    """Yields what is put into `said`; None ends it. `clock` follows the samples."""

    said: asyncio.Queue[Sequence[Sample | Notice] | None] = field(default_factory=asyncio.Queue)
    clock: ScriptedClock = field(default_factory=ScriptedClock)
    counts: LinkCounts = field(default_factory=LinkCounts)
    name: str = "scripted/pack"
    delivers: frozenset[Quantity] = frozenset({V.quantity, A.quantity})
    period_s: float = 1.0
    closed: bool = False

    async def batches(self) -> AsyncGenerator[Sequence[Sample | Notice], None]:
        try:
            while (batch := await self.said.get()) is not None:
                self.clock.at = batch[-1].at
                yield batch
        finally:
            self.closed = True

    def say(self, *items: Sample | Notice) -> None:
        self.said.put_nowait(items)

    def end(self) -> None:
        self.said.put_nowait(None)


def sample(t_s: float, current_a: float = 10.0, wall_shift_s: float = 0.0) -> Sample:
    ns = round(t_s * 1e9)
    at = Instant(ns, WALL_NS + ns + round(wall_shift_s * 1e9), ClockQuality.NTP)
    return Sample(at, {V: 400.0, A: current_a})


def config(directory: Path, window_s: float = 60) -> Config:
    battery = Battery(id=BATTERY, profile="scripted/pack", link=Stream("bus.sock"))
    file = ConfigFile(gateway=Gateway(id=GATEWAY, window_s=window_s), battery=(battery,))
    return Config(file, directory / "packseal.toml", b"")


@dataclass
class Bench:
    """A recorder at work."""

    desk: Desk
    driver: ScriptedDriver
    recorder: Recorder
    log_id: bytes
    keeper: Keeper
    tasks: list[asyncio.Task[None]]

    async def settle(self) -> None:
        """Wait until all that was said is taken and stored or known not to be."""
        while not self.driver.said.empty() or not self.recorder._queue.empty():  # noqa: ASYNC110 - queues tell nobody
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop in good order."""
        self.tasks[0].cancel()
        await asyncio.wait(self.tasks)
        self.tasks[1].result()


@asynccontextmanager
async def recording(directory: Path, window_s: float = 60, keep: Keep | None = None) -> AsyncIterator[Bench]:
    """Record in `directory`; goes on with what an earlier call left there. Leaving kills it unless it was stopped."""
    settings = config(directory, window_s)
    driver = ScriptedDriver()
    async with Desk(settings.journal) as desk:
        found = await desk.run(lambda: opening.find_log(desk.journal, KEY, GATEWAY, BATTERY, LogKind.BATTERY))
        writer = LogWriter(opening.store_in(desk, found.log_id), lambda: None)
        keeper = Keeper(desk, keep or settings.file.keep)
        recorder = opening.open_recorder(settings, settings.file.battery[0], driver, found, writer, keeper)
        tasks = [asyncio.create_task(recorder.read()), asyncio.create_task(recorder.record())]
        try:
            yield Bench(desk, driver, recorder, found.log_id, keeper, tasks)
        finally:
            for task in (tasks[1], tasks[0]):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
