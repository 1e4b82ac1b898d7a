"""The agent: one TaskGroup over every battery, the uplink and the status socket, and an orderly stop."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packseal.clock import SystemClock
from packseal.config import Config
from packseal.core.bodies import GapCause, LifecycleCode
from packseal.journal.contradictions import Contradiction
from packseal.journal.store import LogKind
from packseal.keys import file as key_file
from packseal.runtime import epochs, opening, opening_parts, publishing, ways
from packseal.runtime.bell import Bell
from packseal.runtime.declaring import RegistryWatch
from packseal.runtime.desk import Desk
from packseal.runtime.epochs import EpochWatch
from packseal.runtime.keeping import Keeper
from packseal.runtime.opening import GatewayLog
from packseal.runtime.recorder import Recorder
from packseal.runtime.status import StatusServer, describe
from packseal.runtime.writer import LogWriter
from packseal.uplink.link import Link, asking
from packseal.uplink.sync import Sync
from packseal.uplink.tally import Tally
from packseal_drivers.settings import Recording as RecordingSettings

if TYPE_CHECKING:
    from packseal.publish.protocol import Publisher
    from packseal.runtime.power import PowerWatch

log = logging.getLogger(__name__)

DRAIN_CHECK_S = 0.02


@dataclass(frozen=True, slots=True)
class Recording:
    """One battery of this run. `parts`: the ids of those it is made of."""

    subject: str
    parts: Sequence[str]
    log_id: bytes
    recorder: Recorder


@dataclass(frozen=True, slots=True)
class Agent:
    """All parts of one run, opened and ready to start. `sync` and `watch` are None without an uplink.

    `ended`: the logs that the sink has another history of.
    """

    config: Config
    kid: bytes
    desk: Desk
    gateway_log: GatewayLog
    stopped: GapCause | None
    recordings: Sequence[Recording]
    sync: Sync | None
    watch: EpochWatch | None = None
    ended: Sequence[Contradiction] = ()
    publishers: "Sequence[Publisher]" = ()
    power: "PowerWatch | None" = None
    keeper: Keeper | None = None
    registry: RegistryWatch | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop` is set or nothing more can come; then seal, store, and wait for the sink's receipts.

        Ends without `stop` where a log must be succeeded: the agent is then to be opened anew.
        """
        async with StatusServer(self.config.socket, lambda: describe(self)), asyncio.TaskGroup() as group:
            code = LifecycleCode.LOG_BEGUN if self.stopped is None else LifecycleCode.AGENT_STARTED
            await self.gateway_log.write(code, opening.facts(self.config))
            syncing = [group.create_task(work, name="sync") for work in self._beside(stop)]
            publishes = [group.create_task(publishing.publish(p), name="publish") for p in self.publishers]
            records = [group.create_task(r.recorder.record(), name="record") for r in self.recordings]
            reads = [group.create_task(r.recorder.read(), name="read") for r in self.recordings]
            log.info("recording %d of %d configured batteries", len(reads), len(self.config.file.battery))
            # Cancelled before its first step, a task does nothing at all: its recorder would wait for its end for ever.
            await asyncio.sleep(0)
            # What is made of parts ends with them.
            links = [battery.link for battery in self.config.file.battery if battery.link is not None]
            replayed = [isinstance(link, RecordingSettings) for link in links]
            if all(replayed):
                group.create_task(_stop_after(records, stop), name="end of the recordings")
            # A recording would be replayed from its beginning, and counted twice: its new log begins at the next start.
            await _first([stop] if any(replayed) or self.watch is None else [stop, self.watch.due])
            for task in reads:
                task.cancel()
            await asyncio.wait(records)
            await self.gateway_log.write(LifecycleCode.AGENT_STOPPED, {})
            if stop.is_set():
                drain_s = self.config.file.gateway.drain_s
                await asyncio.gather(self._drain(), publishing.finish(self.publishers, drain_s))
            for task in (*publishes, *syncing):
                task.cancel()

    def _beside(self, stop: asyncio.Event) -> list[Coroutine[None, None, None]]:
        """Return what runs beside the recording, until it is cancelled."""
        parts = (self.sync, self.watch, self.registry)
        works = [part.run() for part in parts if part is not None]
        return [*works, self._minded(self.power, stop)] if self.power else works

    def _minded(self, power: "PowerWatch", stop: asyncio.Event) -> Coroutine[None, None, None]:
        from packseal.runtime.power import Actions  # noqa: PLC0415 - only gateways with a signal pay for it

        return power.run(Actions(self.hurry, self.gateway_log.note, stop.set))

    def hurry(self) -> None:
        """Seal and store every open window at once: the power is about to fail. Then record on, for it may not."""
        log.warning("the power may fail: the open windows are sealed at once")
        for recording in self.recordings:
            recording.recorder.hurry()

    async def _drain(self) -> None:
        """Wait until everything is receipted, for as long as the configuration allows."""
        if self.sync is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.config.file.gateway.drain_s):
                # What waits for another link or another day is not waited for.
                while not (self.sync.settled or await self.desk.run(self._is_delivered)):  # noqa: ASYNC110 - no event of it
                    await asyncio.sleep(DRAIN_CHECK_S)
                return
        log.warning("stopped before the sink had receipted everything; the rest is sent after the next start")

    def _is_delivered(self) -> bool:
        journal, ended = self.desk.journal, {e.log_id for e in self.desk.journal.contradictions()}
        going = [e.log_id for e in journal.logs() if e.log_id not in ended]
        return all(journal.delivered(log_id) >= journal.head(log_id).next_sequence for log_id in going)


@asynccontextmanager
async def opened(config: Config, power: "PowerWatch | None" = None) -> AsyncIterator[Agent]:
    """Open everything that the configuration names, buses and network aside.

    Args:
        config: what was read.
        power: who tells of the gateway's own power.

    Raises:
        ConfigError, InputError, StorageError: one sentence for whoever must act.
    """
    signer = key_file.load(config.key)
    clock = SystemClock()
    tally = ways.read_tally(config)
    links, sink_key = ways.open_links(config, tally), ways.read_sink_key(config)
    drivers = opening_parts.open_drivers(config, clock)
    issuer = config.file.gateway.id
    async with Desk(config.journal) as desk:
        ended = await desk.run(lambda: epochs.begin(desk.journal, signer, issuer, clock))
        watch = EpochWatch(desk, asking(links), sink_key) if sink_key else None
        sync = _sync(desk, links, tally, watch, ended)
        bell = Bell([sync.notify] if sync else [])
        found = await desk.run(lambda: opening.find_log(desk.journal, signer, issuer, issuer, LogKind.GATEWAY))
        gateway_log = GatewayLog(found, LogWriter(opening.store_in(desk, found.log_id), bell.ring), clock)
        keeper, recordings = Keeper(desk, config.file.keep, config.file.gateway.window_s), []
        for battery, driver in zip(config.file.battery, drivers, strict=True):
            subject = battery.id
            own = await desk.run(
                lambda subject=subject: opening.find_log(desk.journal, signer, issuer, subject, LogKind.BATTERY)  # type: ignore[misc]
            )
            writer = LogWriter(opening.store_in(desk, own.log_id), bell.ring)
            recorder = opening.open_recorder(config, battery, driver, own, writer, keeper)
            recordings.append(Recording(subject, battery.parts, own.log_id, recorder))
        registry = RegistryWatch(config, desk, {r.subject: r.recorder for r in recordings})
        publishers = _publishers(registry, desk, recordings)
        bell.listeners += [publisher.notify for publisher in publishers]
        around = (sync, watch, ended, publishers, power, keeper, registry)
        yield Agent(config, signer.kid, desk, gateway_log, found.stopped, recordings, *around)


def _publishers(registry: RegistryWatch, desk: Desk, recordings: Sequence[Recording]) -> "Sequence[Publisher]":
    config = registry.config
    if not config.file.publish:
        return ()
    from packseal.runtime.source import RecordedSource  # noqa: PLC0415 - only gateways that publish pay for it

    return publishing.open_publishers(config, RecordedSource(lambda: registry.config, desk, recordings))


def _power(config: Config) -> "PowerWatch | None":
    if config.file.power is None:
        return None
    from packseal.runtime.power import PowerWatch, open_source  # noqa: PLC0415 - only gateways with a signal pay for it

    return PowerWatch(open_source(config.file.power))


def _sync(
    desk: Desk, links: Sequence[Link], tally: Tally, watch: EpochWatch | None, ended: Sequence[Contradiction]
) -> Sync | None:
    if watch is None:
        return None
    over = {log.log_id for log in ended if log.successor is not None}
    return Sync(desk.journal, links, watch.sink_key, desk.run, contradicted=watch.contradicted, ended=over, tally=tally)


async def run(config: Config) -> None:
    """Run the agent until SIGTERM or SIGINT; SIGPWR seals the open windows. Raises like `opened`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Not yet a reason to end, which it is by default (signal(7)): what is being opened has no window.
    loop.add_signal_handler(signal.SIGPWR, lambda: None)
    power = _power(config)
    while not stop.is_set():
        async with opened(config, power) as agent:
            loop.add_signal_handler(signal.SIGPWR, agent.hurry)
            gc.collect()  # what the start has left is room for the work: the agent stays small
            gc.freeze()
            await agent.run(stop)
            config = agent.registry.config if agent.registry else config


async def _first(events: Sequence[asyncio.Event]) -> None:
    """Return as soon as one of them is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _stop_after(records: Sequence[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Where every battery is a recording in a file, the end of them all is the end of the run."""
    await asyncio.wait(records)
    stop.set()
