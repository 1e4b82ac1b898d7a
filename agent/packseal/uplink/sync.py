"""Sync: keep one sink up to date with every log of a journal.

Sync is a position, not a queue: on every connection the sink is asked how far it is, and records are sent from there.
Only a receipt signed with the pinned key counts. Knows the journal only as an Outbox and the network as an Uplink.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from packseal.core import exchange
from packseal.core.chain import Head
from packseal.core.cose import PublicKey
from packseal.core.errors import FormatError, StorageError, UplinkError, VerifyError
from packseal.core.exchange import LogEnd, Receipt, Refusal, Refused
from packseal.uplink.lane import BARREN_LIMIT, Lane
from packseal.uplink.outbox import Outbox, Run
from packseal.uplink.protocol import Uplink
from packseal.uplink.status import SyncStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """How much is sent at once and how soon silence is noticed."""

    batch_records: int = 500
    batch_bytes: int = 1 << 20  # of raw records
    batch_bytes_min: int = 4 << 10  # what a slow link is cut down to
    in_flight: int = 4
    silence_s: float = 5.0  # nothing comes back although something is under way
    halted_s: float = 60.0  # until a log that the sink refuses is tried again
    pause_min_s: float = 0.25
    pause_max_s: float = 1.0
    busy_max_s: float = 10.0


@dataclass(frozen=True, slots=True)
class _Flight:
    """A request under way: a batch of one lane, or a question about several."""

    lanes: Sequence[Lane]
    asks: bool


class Sync:
    """The engine. `run` never returns; `notify` tells it of new records.

    Args:
        outbox: the journal.
        uplink: the way to the sink; entered again after every loss.
        sink_key: the only key whose receipts count.
        run: runs the outbox's calls.
        settings: sizes and times.
        contradicted: told, each time, of a log and a verified receipt for a record that is not the journal's.
        ended: logs that are not sent any more.
    """

    def __init__(
        self,
        outbox: Outbox,
        uplink: Uplink,
        sink_key: PublicKey,
        run: Run,
        settings: SyncSettings | None = None,
        *,
        contradicted: Callable[[bytes, Receipt], None] = lambda _log_id, _receipt: None,
        ended: Container[bytes] = (),
    ) -> None:
        self._outbox = outbox
        self._uplink = uplink
        self._sink_key = sink_key
        self._run = run
        self._settings = settings or SyncSettings()
        self._contradicted = contradicted
        self._ended = ended
        self._batch_bytes = self._settings.batch_bytes
        self._lanes: dict[bytes, Lane] = {}
        self._flights: dict[asyncio.Task[bytes], _Flight] = {}
        self._news = asyncio.Event()
        self._heard = 0.0  # loop time of the last reply, or of the first request after none was under way
        self._failures = 0
        self.status = SyncStatus()

    def notify(self) -> None:
        """Say that new records or logs exist. Call it in the event loop's thread; cheap, and may be called often."""
        self._news.set()

    async def run(self) -> None:
        """Deliver for ever; ends only by cancellation. What was under way is then asked for by the next start."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with self._uplink:
                    await self._session()
            except (UplinkError, StorageError) as error:
                self._lost(error)
            pause = min(self._settings.pause_max_s, self._settings.pause_min_s * 2**self._failures)
            self._failures = min(self._failures + 1, 10)
            # Counted from the beginning: a connection that was long sought, or that had lasted, is retried at once.
            await asyncio.sleep(_jittered(pause) - (loop.time() - began))

    async def _session(self) -> None:
        for lane in self._lanes.values():
            lane.forget()
        self._news.set()
        try:
            while True:
                if self._news.is_set():
                    self._news.clear()
                    await self._survey()
                await self._launch()
                for task in await self._arrivals():
                    await self._land(self._flights.pop(task), task.result())
        finally:
            for task in self._flights:
                task.cancel()
            await asyncio.gather(*self._flights, return_exceptions=True)
            self._flights.clear()

    async def _survey(self) -> None:
        """Learn which logs there are and where they end."""

        def look() -> list[tuple[bytes, Head, int]]:
            ids = [entry.log_id for entry in self._outbox.logs() if entry.log_id not in self._ended]
            return [(log_id, self._outbox.head(log_id), self._outbox.delivered(log_id)) for log_id in ids]

        for log_id, end, delivered in await self._run(look):
            self._lanes.setdefault(log_id, Lane(log_id, end, delivered)).end = end
        self._count()

    async def _launch(self) -> None:
        """Send whatever may be sent now: questions first, then batches of the log with the fewest under way."""
        now = asyncio.get_running_loop().time()
        asking = [lane for lane in self._lanes.values() if lane.asks(now)]
        if asking and len(self._flights) < self._settings.in_flight:
            ends = [LogEnd(lane.log_id, lane.end.next_sequence, lane.end.previous) for lane in asking]
            self._send(exchange.encode_position(ends), _Flight(asking, asks=True))
        while len(self._flights) < self._settings.in_flight:
            ready = [lane for lane in self._lanes.values() if lane.sends(now, ordered=self._uplink.ordered)]
            if not ready:
                return
            await self._launch_batch(min(ready, key=lambda lane: lane.in_flight))

    async def _launch_batch(self, lane: Lane) -> None:
        start = lane.next or 0
        # Never past the known end: a receipt for a record beyond it would look like a journal that was rolled back.
        limit = min(self._settings.batch_records, lane.end.next_sequence - start)

        def pack() -> tuple[int, bytes]:
            raws = self._outbox.read(lane.log_id, start, limit, self._batch_bytes)
            return len(raws), exchange.encode_batch(raws)

        try:
            count, request = await self._run(pack)
        except StorageError as error:
            self._halt(lane, str(error))
            return
        if count == 0:
            self._halt(lane, f"the journal does not hold record {start}, which the sink needs next")
            return
        lane.next = start + count
        self.status.batches_sent += 1
        self.status.records_sent += count
        self._send(request, _Flight([lane], asks=False))

    def _send(self, request: bytes, flight: _Flight) -> None:
        if not self._flights:
            self._heard = asyncio.get_running_loop().time()
        for lane in flight.lanes:
            lane.in_flight += 1
        self.status.bytes_sent += len(request)
        self._flights[asyncio.create_task(self._uplink.exchange(request), name="exchange")] = flight

    async def _arrivals(self) -> list[asyncio.Task[bytes]]:
        """Wait for replies, news or a time to act; raises UplinkError when the link has gone silent."""
        loop = asyncio.get_running_loop()
        news = asyncio.create_task(self._news.wait(), name="news")
        try:
            waited: set[asyncio.Task[bytes] | asyncio.Task[bool]] = {*self._flights, news}
            await asyncio.wait(waited, timeout=self._patience(loop.time()), return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        arrived = [task for task in self._flights if task.done()]
        if arrived:
            self._heard = loop.time()
        elif self._flights and loop.time() - self._heard >= self._settings.silence_s:
            raise UplinkError(f"the link is silent: nothing came back for {self._settings.silence_s:g} s")
        return arrived

    def _patience(self, now: float) -> float | None:
        times = [lane.wait_until for lane in self._lanes.values() if lane.wait_until > now]
        if self._flights:
            times.append(self._heard + self._settings.silence_s)
        return max(0.0, min(times) - now) if times else None

    async def _land(self, flight: _Flight, data: bytes) -> None:
        receipts: dict[bytes, Receipt] = {}
        refused: Sequence[Refused] = ()
        doubt = ""
        try:
            reply = exchange.decode_reply(data)
            refused = reply.refused
            for raw in reply.receipts:
                receipt = exchange.verify_receipt(raw, self._sink_key)
                receipts[receipt.log_id] = receipt
        except (FormatError, VerifyError) as error:
            doubt = f"the sink's answer does not count: {error}"
            self.status.disconnected(doubt)
        else:
            self._answered(flight)
        for lane in flight.lanes:
            mine = [r for r in refused if r.log_id == lane.log_id or r.log_id not in self._lanes]
            await self._judge(lane, receipts.get(lane.log_id), mine, doubt, asked=flight.asks)
        self._count()

    async def _judge(
        self, lane: Lane, receipt: Receipt | None, refused: Sequence[Refused], doubt: str, *, asked: bool
    ) -> None:
        """Let one lane learn what a reply says of it."""
        contradicted, trouble = False, doubt
        try:
            trouble = doubt if receipt is None else await self._accept(lane, receipt)
        except VerifyError as error:
            # It has another record there. Ours is sent once more, so that the sink sees the fork too, and shows it.
            contradicted, trouble = True, "" if asked else str(error)
        if asked and not trouble:
            self._position(lane, 0 if receipt is None else receipt.sequence + (not contradicted))
        for refusal in refused:
            trouble = trouble or self._refusal(lane, refusal)
        lane.landed()
        if trouble:
            self._halt(lane, trouble)
        elif lane.barren >= BARREN_LIMIT:
            self._halt(lane, f"the sink answers but takes nothing from record {lane.confirmed} on")
        elif lane.halted and (lane.outstanding == 0 or (receipt is not None and not asked)):
            log.info("log %s is taken by the sink again", lane.log_id.hex())
            lane.halted = ""

    async def _accept(self, lane: Lane, receipt: Receipt) -> str:
        """Acknowledge a verified receipt; return why it cannot be; raises VerifyError when it contradicts ours."""
        if receipt.sequence >= lane.end.next_sequence:
            self._contradicted(receipt.log_id, receipt)
            return f"the sink holds record {receipt.sequence}, this journal ends before {lane.end.next_sequence}"
        try:
            await self._run(lambda: self._outbox.acknowledge(receipt))
        except VerifyError:
            self._contradicted(receipt.log_id, receipt)
            raise
        except StorageError as error:
            # The receipt still counts while we run; after a restart the sink is asked again.
            self.status.last_error = str(error)
        lane.receipted(receipt.sequence)
        self.status.last_receipt_wall_ms = max(receipt.wall_ms, self.status.last_receipt_wall_ms or 0)
        return ""

    def _position(self, lane: Lane, position: int) -> None:
        if position < lane.confirmed:
            log.warning("log %s: the sink needs record %d again, which it had receipted", lane.log_id.hex(), position)
        lane.positioned(position)

    def _refusal(self, lane: Lane, refused: Refused) -> str:
        """Act on one refusal; return its text when the log cannot go on."""
        match refused.code:
            case Refusal.AHEAD:
                return ""  # the lane asks again once everything under way has landed
            case Refusal.BUSY:
                lane.busy = min(lane.busy + 1, 10)
                wait = min(self._settings.busy_max_s, self._settings.pause_min_s * 2**lane.busy)
                lane.postpone(asyncio.get_running_loop().time() + _jittered(wait))
                return ""
            case _:
                return f"the sink refuses record {refused.sequence} ({refused.code.name}): {refused.text}"

    def _halt(self, lane: Lane, why: str) -> None:
        if why != lane.halted:
            log.error("log %s is not getting on: %s", lane.log_id.hex(), why)
        lane.halt(why, asyncio.get_running_loop().time() + self._settings.halted_s)
        self.status.last_error = why
        self._count()

    def _answered(self, flight: _Flight) -> None:
        self._failures = 0
        if not flight.asks:
            self._batch_bytes = min(self._settings.batch_bytes, self._batch_bytes * 2)
        self.status.answered()

    def _lost(self, error: UplinkError | StorageError) -> None:
        if self.status.connected:
            # A batch may have been too large for a slow link or a strict broker: a smaller one gets through.
            self._batch_bytes = max(self._settings.batch_bytes_min, self._batch_bytes // 2)
        self.status.disconnected(str(error))

    def _count(self) -> None:
        lanes = self._lanes.values()
        self.status.records_outstanding = sum(lane.outstanding for lane in lanes)
        self.status.halted = {lane.log_id.hex(): lane.halted for lane in lanes if lane.halted}


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries of a fleet, no secret
