"""The gateway's side of the tests: a real journal in its own thread, pens that write logs, and the sync engine."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.agent.uplink import written

from packseal.core.bodies import Event
from packseal.core.chain import Pen
from packseal.core.cose import PublicKey
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner
from packseal.uplink.link import Link
from packseal.uplink.protocol import Uplink
from packseal.uplink.sync import Sync, SyncSettings
from packseal.uplink.tally import Tally

GATEWAY = "urn:example:gateway:1"
T = TypeVar("T")
FAST = SyncSettings(batch_records=100, pause_min_s=0.02, pause_max_s=0.1, silence_s=2.0)


class Gateway:
    """Opens or continues `logs` logs in the journal at `path`."""

    def __init__(self, path: Path, signer: FileSigner, logs: int = 1) -> None:
        self._path = path
        self._signer = signer
        self._executor = ThreadPoolExecutor(1)
        self._task: asyncio.Task[None] | None = None
        self.ids = [bytes([number]) * 16 for number in range(1, logs + 1)]
        self.sync: Sync | None = None

    async def __aenter__(self) -> Self:
        self.journal = await self.run(lambda: Journal.open(self._path))
        self.pens = [await self.run(lambda i=i: self._begin(i)) for i in self.ids]  # type: ignore[misc]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self.run(self.journal.close)
        self._executor.shutdown()

    def run(self, work: Callable[[], T], /) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _begin(self, log_id: bytes) -> Pen:
        subject = f"urn:example:battery:{log_id[0]}"
        self.journal.begin_log(subject, log_id)
        return Pen(self._signer, GATEWAY, subject, log_id, bytes(8), self.journal.head(log_id))

    async def write(self, count: int, log: int = 0, mono_ns: int = 0) -> None:
        pen = self.pens[log]
        at = Instant(mono_ns, 1_750_000_000_000_000_000, ClockQuality.NTP)
        records = [pen.write(Event(EventCode.BUS_SILENT, {"n": pen.head.next_sequence}), at) for _ in range(count)]
        await self.run(lambda: self.journal.append(self.ids[log], records))
        if self.sync is not None:
            self.sync.notify()

    async def write_kinds(self, kinds: str, log: int = 0) -> None:
        """Append one record per letter: e, s or t."""
        records = written.write(self.pens[log], kinds)
        await self.run(lambda: self.journal.append(self.ids[log], records))
        if self.sync is not None:
            self.sync.notify()

    async def drop(self, first: int, last: int, log: int = 0) -> None:
        """Remove these, both inclusive, and name them in a gap record."""
        gap = self.pens[log].write(written.dropped(first, last), written.AT)
        await self.run(lambda: self.journal.append(self.ids[log], [gap], removed=[(first, last)]))

    async def write_each(self, rate: float, seconds: float) -> None:
        """Append `rate` records per second, one by one."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number in range(round(rate * seconds)):
            await asyncio.sleep(start + number / rate - loop.time())
            await self.write(1)

    def start(
        self,
        uplink: Uplink | Sequence[Link],
        sink_key: PublicKey,
        settings: SyncSettings = FAST,
        *,
        tally: Tally | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> Sync:
        self.sync = Sync(self.journal, uplink, sink_key, self.run, settings, tally=tally, wall_s=wall_s)
        self._task = asyncio.create_task(self.sync.run())
        return self.sync

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            assert self._task.cancelled(), self._task.exception()
            self._task = None

    async def delivered(self) -> None:
        """Wait until every record of the journal is receipted in the journal."""

        def behind() -> bool:
            return any(self.journal.delivered(i) < self.journal.head(i).next_sequence for i in self.ids)

        while await self.run(behind):
            self._raise_if_ended()
            await asyncio.sleep(0.005)

    async def until(self, true: Callable[[Sync], object]) -> None:
        assert self.sync is not None
        while not true(self.sync):
            self._raise_if_ended()
            await asyncio.sleep(0.005)

    def _raise_if_ended(self) -> None:
        if self._task is not None and self._task.done():
            self._task.result()

    async def raws(self, log: int = 0) -> list[bytes]:
        return await self.run(lambda: [r.raw for r in self.journal.records(self.ids[log])])
