"""Drive: takes agents through everything that a power cut may interrupt, and notes how far the logs were."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from packseal_hil.powercut.gateway import Station
from packseal_hil.powercut.sink import LocalSink
from packseal_hil.powercut.trail import Phase
from packseal_hil.powercut.watch import Watch
from packseal_hil.rig.protocols import RigError

FIRST_START = "first start, making the journal"
RECORDING = "recording and sealing, no sink"
SENDING = "sending and receipting"
STOPPING = "stopping"
STARTING = "start after a stop"
KILLED = "start after a kill"
PHASES = (FIRST_START, RECORDING, SENDING, STOPPING, STARTING, KILLED)
STEP_S = 0.1

MOUNTING = "mounting after a cut"
CUT = "start after a cut"
CONTROL_PHASES = PHASES[:3]
"""What the negative control goes through: enough to lose records, and half the work."""


class Drive:
    """One run through all phases, of several agents side by side.

    Args:
        stations: the agents, each on its own disk; those that are controls end after CONTROL_PHASES.
        sink: where they send; runs, and is stopped for a while.
        pace_s: how long what has no end of its own lasts.
        patience_s: how long an agent may take until its first record is received.
    """

    def __init__(self, stations: Sequence[Station], sink: LocalSink, pace_s: float, patience_s: float) -> None:
        self._stations = list(stations)
        self._sink = sink
        self._pace_s = pace_s
        self._patience_s = patience_s
        self.watch = Watch(sink, stations)
        self.phases: dict[str, list[Phase]] = {station.issuer: [] for station in stations}

    async def run(self) -> None:
        """Go through the phases and leave the agents recording; raises RigError."""
        async with self._watching():
            async with self._phase(FIRST_START):
                await self._start()
            async with self._phase(RECORDING):
                await asyncio.to_thread(self._sink.stop)
                await asyncio.sleep(self._pace_s)
            async with self._phase(SENDING):
                await asyncio.to_thread(self._sink.start)
                await self._until_received_more()
                await asyncio.sleep(self._pace_s)
            await self._dismiss_controls()
            async with self._phase(STOPPING):
                await asyncio.gather(*(station.stop() for station in self._stations))
            async with self._phase(STARTING):
                await self._start()
                await asyncio.sleep(self._pace_s)
            async with self._phase(KILLED):
                await asyncio.gather(*(station.kill() for station in self._stations))
                await self._start()
                await asyncio.sleep(self._pace_s)

    async def run_after_a_cut(self) -> None:
        """Start the agents on disks that a cut has left, just mounted, and leave them recording; raises RigError."""
        for issuer, log_bytes in ((station.issuer, station.log_bytes) for station in self._stations):
            self.phases[issuer].append(Phase(MOUNTING, 0, log_bytes))
        async with self._watching(), self._phase(CUT):
            await self._start()
            await asyncio.sleep(self._pace_s)

    async def _dismiss_controls(self) -> None:
        controls = [station for station in self._stations if station.control]
        await asyncio.gather(*(station.kill() for station in controls))
        self._stations = [station for station in self._stations if not station.control]

    async def _start(self) -> None:
        self.watch.restarted()
        await asyncio.gather(*(station.start() for station in self._stations))
        await self._until_received_more()

    async def _until_received_more(self) -> None:
        before = {s.issuer: self.watch.received(s.issuer) for s in self._stations}
        await self._until(lambda: all(self.watch.received(i) > n + 2 for i, n in before.items()))

    async def _until(self, holds: Callable[[], bool]) -> None:
        end_s = time.monotonic() + self._patience_s
        while not holds():
            self._sink.check()
            if time.monotonic() > end_s:
                raise RigError(f"the sink received nothing new for {self._patience_s:g} s: see the agents' output")
            await asyncio.sleep(STEP_S)
            for station in self._stations:
                await station.check()

    @asynccontextmanager
    async def _phase(self, name: str) -> AsyncIterator[None]:
        starts = {station.issuer: station.log_bytes for station in self._stations}
        yield
        for station in self._stations:
            self.phases[station.issuer].append(Phase(name, starts[station.issuer], station.log_bytes))

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self.watch.run(), name="watch")
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
