"""Opening: from a configured battery to its recorder, going on with its log and meter where there are any."""

import asyncio
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from packseal import __version__
from packseal.clock import SystemClock, boot_id
from packseal.config import Battery, Config
from packseal.core.bodies import Event, GapCause, Kind, Lifecycle, LifecycleCode
from packseal.core.chain import Pen, SealedRecord
from packseal.core.changes import Told, told_by
from packseal.core.cose import Signer
from packseal.core.errors import ConfigError, FormatError, StorageError
from packseal.core.holes import Hole
from packseal.core.meter import Meter
from packseal.core.meter.recovery import recovered
from packseal.core.meter.state import MeterState, load
from packseal.core.passport import Snapshot
from packseal.core.record import LOG_ID_BYTES, parse
from packseal.core.sample import EventCode
from packseal.core.sealer import Sealed, Sealer
from packseal.journal.store import Journal, LogKind
from packseal.runtime.desk import Desk
from packseal.runtime.keeping import Keeper
from packseal.runtime.recorder import Recorder
from packseal.runtime.writer import RETRY_S, LogWriter, Store
from packseal_drivers import profile as profiles
from packseal_drivers.driver import Driver
from packseal_drivers.registry import open_driver

log = logging.getLogger(__name__)

REASON_CHARACTERS = 200
MOST_RECORDS_BACK = 1000
"""Where a snapshot is looked for: at least one is among as many, unless the battery said nothing at all."""
PAGE_RECORDS, PAGE_BYTES = 500, 1 << 20
"""Of the records that are looked through at once."""
STOPS = (LifecycleCode.AGENT_STOPPED, LifecycleCode.SOURCE_ENDED)


@dataclass(frozen=True, slots=True)
class Found:
    """What the journal knows of a log. `stopped` is None for a new one, `trouble` says why the state is no good.

    `last_ms`: UTC time of its last record; 0 for a new one. Where there is trouble also: `snapshot`, its last one, and
    `told`, how far it is with what was declared and happened.
    """

    log_id: bytes
    pen: Pen
    stopped: GapCause | None
    last_ms: int
    state: MeterState | None
    trouble: str
    snapshot: Snapshot | None
    told: Told | None = None


def find_log(journal: Journal, signer: Signer, issuer: str, subject: str, kind: LogKind) -> Found:
    """Return the newest log of `subject`, begun now where there is none; raises StorageError. For the desk's thread."""
    ids = [entry.log_id for entry in journal.logs() if (entry.subject, entry.kind) == (subject, kind)]
    log_id = ids[-1] if ids else os.urandom(LOG_ID_BYTES)
    journal.begin_log(subject, log_id, kind)
    pen = Pen(signer, issuer, subject, log_id, boot_id(), journal.head(log_id))
    state, trouble = None, ""
    try:
        saved = journal.state(log_id)
        state = load(saved) if saved else None
    except (StorageError, FormatError) as error:
        trouble = str(error)
    last = journal.last(log_id)
    lost = (last_snapshot(journal, log_id), told_by(_entries(journal, log_id))) if trouble else (None, None)
    return Found(log_id, pen, _how_it_stopped(last), last.wall_ms if last else 0, state, trouble, *lost)


def _entries(journal: Journal, log_id: bytes) -> Iterator[tuple[Lifecycle, int]]:
    """Yield the log's lifecycle entries with their times, oldest first; raises StorageError."""
    following, end = 0, journal.head(log_id).next_sequence
    while page := journal.entries(log_id, following, end, PAGE_RECORDS, PAGE_BYTES, urgent=True, snapshots=False):
        following = page[-1][0] + 1
        for record in (parse(raw) for _, raw in page):
            if isinstance(record.body, Lifecycle):
                yield record.body, record.header.wall_ms


def last_snapshot(journal: Journal, log_id: bytes) -> Snapshot | None:
    """Return the log's newest snapshot; None if there is none among its newest records. Raises StorageError."""
    following = journal.head(log_id).next_sequence
    for sequence in range(following - 1, max(-1, following - 1 - MOST_RECORDS_BACK), -1):
        record = journal.record(log_id, sequence)
        if record is not None and record.kind is Kind.SNAPSHOT:
            body = parse(record.raw).body
            return body if isinstance(body, Snapshot) else None
    return None


def _how_it_stopped(last: SealedRecord | None) -> GapCause | None:
    if last is None:
        return None
    body = parse(last.raw).body if last.kind is Kind.LIFECYCLE else None
    good = isinstance(body, Lifecycle) and body.code in STOPS
    return GapCause.STOPPED if good else GapCause.UNCLEAN_STOP


def store_in(desk: Desk, log_id: bytes) -> Store:
    """Return what stores records of one log through the desk."""

    async def store(records: Sequence[SealedRecord], state: bytes | None, removed: Sequence[Hole]) -> str:
        await desk.run(lambda: desk.journal.append(log_id, records, state, removed))
        return desk.journal.trouble

    return store


def open_battery_driver(config: Config, battery: Battery, clock: SystemClock) -> Driver:
    """Return the driver of one battery with a link; raises ConfigError for a wrong profile or DBC."""
    if battery.profile is None or battery.link is None:
        raise ConfigError(f"battery {battery.id} has no link of its own: it is made of parts")
    profile = profiles.load(battery.profile, config.directory)
    return open_driver(
        battery.link,
        profile,
        directory=config.directory,
        cache=config.cache,
        clock=clock,
        period_s=battery.period_s,
        firmware=battery.firmware,
    )


def open_recorder(
    config: Config, battery: Battery, driver: Driver, found: Found, writer: LogWriter, keeper: Keeper | None = None
) -> Recorder:
    """Return what records one battery, its counters going on from the saved state."""
    state = recovered(found.snapshot) if found.snapshot is not None else found.state
    if found.told is not None:
        state = state or MeterState()
        state.told = found.told
    period_s = driver.period_s or 1.0
    meter = Meter(battery.declared, driver.delivers, period_s, state, battery.gap_s)
    sealer = Sealer(found.pen, meter, config.file.gateway.window_s, found.stopped, found.last_ms)
    code = LifecycleCode.LOG_BEGUN if found.stopped is None else LifecycleCode.AGENT_STARTED
    preface = [Lifecycle(code, facts(config) | {"profile": driver.name})]
    if found.trouble:
        preface.append(_trouble(battery.id, found))
    preface += meter.untold(config.changes.get(battery.id, ()))
    return Recorder(driver, sealer, writer, preface, keeper.share(found.log_id) if keeper else None)


def _trouble(battery_id: str, found: Found) -> Lifecycle:
    code, what = LifecycleCode.METER_RESET, "begin anew"
    if found.snapshot is not None:
        code, what = LifecycleCode.METER_RECOVERED, "go on from the last snapshot"
    log.error("%s: the counters %s: %s", battery_id, what, found.trouble)
    return Lifecycle(code, {"reason": found.trouble[:REASON_CHARACTERS]})


def facts(config: Config) -> dict[str, int | str]:
    """Return what every first record of a run says: the program's version and which configuration it had."""
    return {"version": __version__, "configuration_sha256": hashlib.sha256(config.text).hexdigest()}


class GatewayLog:
    """The gateway's own log: when the agent ran, and with which configuration.

    What the disk does not take is tried again until AGENT_STOPPED is written: nobody else may write here for months.
    """

    def __init__(self, found: Found, writer: LogWriter, clock: SystemClock) -> None:
        self._pen = found.pen
        self._clock = clock
        self._turn = asyncio.Lock()
        self._retrying: asyncio.Task[None] | None = None
        self.log_id = found.log_id
        self.writer = writer

    async def write(self, code: LifecycleCode, facts: dict[str, int | str]) -> None:
        """Store one entry, or keep it for the next try."""
        await self._write(Lifecycle(code, facts), is_last=code is LifecycleCode.AGENT_STOPPED)

    async def note(self, code: EventCode, facts: dict[str, int | str]) -> None:
        """Store one event, or keep it for the next try."""
        await self._write(Event(code, facts))

    async def _write(self, body: Event | Lifecycle, *, is_last: bool = False) -> None:
        async with self._turn:
            if self._retrying is not None:
                self._retrying.cancel()
                self._retrying = None
            self.writer.put(Sealed((self._pen.write(body, self._clock.now()),), b""))
            if not await self.writer.flush(at_once=True) and not is_last:
                self._retrying = asyncio.create_task(self._retry(), name="gateway's log")

    async def _retry(self) -> None:
        while True:
            await asyncio.sleep(RETRY_S)
            async with self._turn:
                if await self.writer.flush():
                    return
