"""A gateway that publishes: a real journal with recorders, whose batteries say what a test tells them to."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.agent.runtime.scripted import GATEWAY, KEY, WALL_NS, ScriptedDriver

from packseal.config import Battery, Config, ConfigFile, Gateway
from packseal.core.declared import Declared
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, LinkState, Notice, Sample
from packseal.journal.store import LogKind
from packseal.publish.protocol import Publisher
from packseal.runtime import opening, publishing
from packseal.runtime.agent import Recording
from packseal.runtime.bell import Bell
from packseal.runtime.desk import Desk
from packseal.runtime.source import RecordedSource
from packseal.runtime.writer import LogWriter
from packseal_drivers.settings import Stream

BATTERY = "urn:example:battery:4711"
DECLARED = Declared(category="stationary", status="re-used", rated_capacity_ah=100, date_into_service="2027-03")
WINDOW_S = 10
V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
SOC = Channel(Quantity.STATE_OF_CHARGE_PCT)
VALUES = {
    V: 400.0,
    A: -10.0,
    SOC: 55.5,
    Channel(Quantity.TEMPERATURE_C, 0): 21.0,
    Channel(Quantity.TEMPERATURE_C, 2): 23.25,
    Channel(Quantity.CELL_VOLTAGE_V, 0): 3.3001,
    Channel(Quantity.CELL_VOLTAGE_V, 1): 3.3121,
}


@dataclass
class Station:
    """Batteries by their id, what is published of them, and the bell."""

    drivers: Mapping[str, ScriptedDriver]
    source: RecordedSource
    bell: Bell

    def say(self, subject: str, t_s: float, *notices: Notice, values: Mapping[Channel, float] = VALUES) -> None:
        """Let a battery say this at `t_s` of its own time; every WINDOW_S a window and a snapshot are sealed."""
        driver = self.drivers[subject]
        driver.counts.state = LinkState.HEALTHY
        driver.say(Sample(at(t_s), values), *notices)

    def seal(self, subject: str, number: int = 1) -> None:
        """Let a battery say so much that snapshot `number`, from 1, is sealed."""
        for t_s in range((number - 1) * WINDOW_S + 1, number * WINDOW_S + 2):
            self.say(subject, t_s)

    @asynccontextmanager
    async def publishing(self, publisher: Publisher) -> AsyncIterator[Publisher]:
        """Run a publisher until left; leaving it breaks its connection, as a crash would."""
        self.bell.listeners.append(publisher.notify)
        task = asyncio.create_task(publishing.publish(publisher))
        try:
            yield publisher
        finally:
            self.bell.listeners.remove(publisher.notify)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def at(t_s: float) -> Instant:
    ns = round(t_s * 1e9)
    return Instant(ns, WALL_NS + ns, ClockQuality.NTP)


def config(directory: Path, subjects: Sequence[str]) -> Config:
    batteries = tuple(
        Battery(id=subject, profile="scripted/pack", link=Stream("bus.sock"), declared=DECLARED) for subject in subjects
    )
    file = ConfigFile(gateway=Gateway(id=GATEWAY, window_s=WINDOW_S), battery=batteries)
    return Config(file, directory / "packseal.toml", b"")


@asynccontextmanager
async def station(directory: Path, *subjects: str) -> AsyncIterator[Station]:
    """Record in `directory`."""
    settings = config(directory, subjects or (BATTERY,))
    bell, tasks, recordings, drivers = Bell(), [], [], {}
    async with Desk(settings.journal) as desk:
        for battery in settings.file.battery:
            name = battery.id
            found = await desk.run(
                lambda name=name: opening.find_log(desk.journal, KEY, GATEWAY, name, LogKind.BATTERY)  # type: ignore[misc]
            )
            driver = drivers[name] = ScriptedDriver(delivers=frozenset(c.quantity for c in VALUES))
            writer = LogWriter(opening.store_in(desk, found.log_id), bell.ring)
            recorder = opening.open_recorder(settings, battery, driver, found, writer)
            tasks += [asyncio.create_task(recorder.read()), asyncio.create_task(recorder.record())]
            recordings.append(Recording(name, (), found.log_id, recorder))
        try:
            yield Station(drivers, RecordedSource(lambda: settings, desk, recordings), bell)
        finally:
            for task in reversed(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
