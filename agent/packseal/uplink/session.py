"""Session: one connection over one link: asks for positions, keeps requests under way, lands their replies."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from packseal.core import exchange
from packseal.core.errors import StorageError, UplinkError
from packseal.core.exchange import LogEnd
from packseal.uplink.budget import BURST_S
from packseal.uplink.choice import Choice
from packseal.uplink.landing import Flight, Landing
from packseal.uplink.lane import Lane
from packseal.uplink.link import Link
from packseal.uplink.outbox import Outbox, Run
from packseal.uplink.parcel import Parcel, pack
from packseal.uplink.plan import Wish, next_wish
from packseal.uplink.settings import SyncSettings
from packseal.uplink.sizing import Sizing
from packseal.uplink.status import SyncStatus
from packseal.uplink.terms import Take, Terms

FRAME_BYTES = 1024  # what a request may be longer than its records
LOOK_AGAIN_S = 30.0  # at the clock, for a new day's budget


@dataclass(frozen=True, slots=True)
class Shared:
    """What outlives a session: the logs, what is known of the sink, and what the operator sees."""

    outbox: Outbox
    run: Run
    settings: SyncSettings
    choice: Choice
    landing: Landing
    lanes: Mapping[bytes, Lane]
    news: asyncio.Event
    status: SyncStatus
    survey: Callable[[], Awaitable[None]]
    count: Callable[[], int]
    backlog_bytes: Callable[[], float]


class Session:
    """Delivers over an entered link until it fails or should be left.

    Args:
        shared: what outlives it.
        link: the link.
        sizing: of its batches.
        settled: told whether all that may go over the link has gone.
    """

    def __init__(self, shared: Shared, link: Link, sizing: Sizing, settled: Callable[[bool], None]) -> None:
        self._shared = shared
        self._link = link
        self._sizing = sizing
        self._settled = settled
        self._flights: dict[asyncio.Task[bytes], Flight] = {}
        self._heard = 0.0  # loop time of the last reply, or of the first request after none was under way
        self._turns = 0
        self._looked = 0.0  # loop time at which was last looked at what may be sent
        self._rate_until = 0.0  # the link's rate made a request wait until then

    async def run(self) -> None:
        """Return when another link is better, or this one may carry nothing more; raises UplinkError, StorageError."""
        for lane in self._shared.lanes.values():
            lane.forget()
        self._shared.news.set()
        better = asyncio.create_task(self._find_better(), name="better link")
        try:
            while True:
                if self._shared.news.is_set():
                    self._shared.news.clear()
                    await self._shared.survey()
                self._looked = asyncio.get_running_loop().time()
                if not (leaves := self._leaves(better)):
                    await self._launch()
                self._shared.count()
                if not self._flights and (leaves or self._is_spent()):
                    return
                self._settled(not self._flights and self._terms().take < Take.EVERYTHING and self._quiet())
                for task in await self._arrivals():
                    await self._land(self._flights.pop(task), task.result())
        finally:
            tasks: list[asyncio.Task[None] | asyncio.Task[bytes]] = [better, *self._flights]
            for ended in tasks:
                ended.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _find_better(self) -> None:
        await self._shared.choice.better(self._link, self._shared.backlog_bytes)
        self._shared.news.set()

    def _leaves(self, better: asyncio.Task[None]) -> bool:
        if better.done():
            better.result()
            return True
        return self._terms().take is Take.NOTHING

    def _is_spent(self) -> bool:
        """Return whether only events may go, and none is left."""
        return self._terms().take is Take.EVENTS and self._quiet()

    def _quiet(self) -> bool:
        now = asyncio.get_running_loop().time()
        asks = any(lane.asks(now) for lane in self._shared.lanes.values())
        return not asks and next_wish(self._shared.lanes.values(), self._terms(), now) is None

    def _terms(self) -> Terms:
        now = asyncio.get_running_loop().time()
        return Terms(
            take=self._shared.choice.take(self._link, self._shared.backlog_bytes()),
            order=self._link.policy.order,
            early=self._shared.landing.takes_early(now),
            ordered=self._link.uplink.ordered,
            batch_records=min(self._shared.settings.batch_records, self._sizing.batch_records),
        )

    async def _launch(self) -> None:
        """Send whatever may be sent now: questions first, then what the plan wishes."""
        now, lanes = asyncio.get_running_loop().time(), self._shared.lanes.values()
        asking = [lane for lane in lanes if lane.asks(now)]
        if asking and self._may_send():
            ends = [LogEnd(lane.log_id, lane.end.next_sequence, lane.end.previous) for lane in asking]
            await self._send(exchange.encode_position(ends), Flight(asking, None, now))
        while self._may_send():
            wish = next_wish(lanes, self._terms(), asyncio.get_running_loop().time())
            if wish is None:
                return
            await self._launch_parcel(wish)

    def _may_send(self) -> bool:
        if (wait_s := self._shared.choice.wait_s(self._link)) > 0:
            self._rate_until = asyncio.get_running_loop().time() + wait_s
        return len(self._flights) < self._shared.settings.in_flight and not wait_s

    async def _launch_parcel(self, wish: Wish) -> None:
        limit_records, limit_bytes = self._shared.settings.batch_records, self._limit_bytes()

        def prepare() -> tuple[Parcel, bytes]:
            parcel = pack(self._shared.outbox, wish, limit_records, limit_bytes)
            return parcel, b"" if parcel.is_empty else parcel.encode()

        try:
            parcel, request = await self._shared.run(prepare)
        except StorageError as error:
            self._shared.landing.halt(wish.lane, str(error))
            return
        if parcel.lost is not None and parcel.lost == wish.start:
            await self._miss(wish.lane, parcel.lost)
            return
        now = asyncio.get_running_loop().time()
        parcel.launched(now, self._shared.settings.present_s)
        if parcel.is_empty:
            wish.lane.look_again()
            return
        self._sizing.packed(len(parcel.entries), sum(len(raw) for _, raw in parcel.entries))
        self._shared.status.batches_sent += 1
        self._shared.status.records_sent += len(parcel.entries)
        await self._send(request, Flight([wish.lane], parcel, now))

    async def _miss(self, lane: Lane, number: int) -> None:
        """Record `number` is not there: it was removed since the last survey, or it is lost."""
        await self._shared.survey()
        if number not in lane.holes:
            self._shared.landing.halt(lane, f"the journal does not hold record {number}, which the sink needs next")

    def _limit_bytes(self) -> int:
        """Return how many bytes of records the next request may hold."""
        limits = [self._sizing.batch_bytes]
        if self._link.uplink.max_request_bytes is not None:
            limits.append(self._link.uplink.max_request_bytes - FRAME_BYTES)
        if (rate := self._link.budget.limits.bytes_per_s) is not None:
            limits.append(max(self._shared.settings.batch_bytes_min, round(rate * BURST_S)))
        return max(1, min(limits))

    async def _send(self, request: bytes, flight: Flight) -> None:
        self._turns += 1
        for lane in flight.lanes:
            lane.in_flight += 1
            lane.turn = self._turns
        self._shared.status.bytes_sent += len(request)
        self._shared.choice.carried(self._link, len(request), exchanges=1)
        # On record before it goes: a crash between both may cost a step of the day's budget, and never gives one away.
        if trouble := await self._shared.choice.record(self._link):
            self._shared.status.last_error = trouble
        if not self._flights:
            self._heard = asyncio.get_running_loop().time()
        self._flights[asyncio.create_task(self._link.uplink.exchange(request), name="exchange")] = flight

    async def _arrivals(self) -> list[asyncio.Task[bytes]]:
        """Wait for replies, news or a time to act; raises UplinkError when the link has gone silent."""
        loop, silence_s = asyncio.get_running_loop(), self._shared.settings.silence_s
        news = asyncio.create_task(self._shared.news.wait(), name="news")
        try:
            waited: set[asyncio.Task[bytes] | asyncio.Task[bool]] = {*self._flights, news}
            await asyncio.wait(waited, timeout=self._patience(loop.time()), return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        arrived = [task for task in self._flights if task.done()]
        if arrived:
            self._heard = loop.time()
        elif self._flights and loop.time() - self._heard >= silence_s:
            raise UplinkError(f"the link is silent: nothing came back for {silence_s:g} s")
        return arrived

    def _patience(self, now: float) -> float | None:
        lanes = self._shared.lanes.values()
        times = [at for lane in lanes for at in (lane.wait_until, lane.early_from, lane.present_from)]
        # One that has come since then counts too: nothing was sent for it yet.
        times = [at for at in (*times, self._rate_until) if at > self._looked]
        if self._flights:
            times.append(self._heard + self._shared.settings.silence_s)
        if self._link.budget.limits.bytes_per_day is not None:
            times.append(now + LOOK_AGAIN_S)
        return max(0.0, min(times) - now) if times else None

    async def _land(self, flight: Flight, data: bytes) -> None:
        choice, status = self._shared.choice, self._shared.status
        choice.carried(self._link, len(data))
        doubt = await self._shared.landing.land(flight, data, self._shared.lanes, strict=not choice.several)
        self._shared.count()
        if doubt and choice.several:
            raise UplinkError(doubt)
        if doubt:
            status.disconnected(doubt)
            return
        if not flight.asks:
            self._sizing.landed(flight.sent_at, asyncio.get_running_loop().time())
        choice.answered(self._link)
        status.answered(self._link.name if choice.several else "")
