"""Sync: keep one sink up to date with every log of a journal, over the best of its links.

Sync is a position, not a queue: on every connection the sink is asked how far it is, and records are sent from there.
What goes next is the plan's matter, what a reply means is landing's, which link is used is the choice's. Knows the
journal only as an Outbox and the network as Uplinks.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Container, Sequence

from packseal.core.chain import Head
from packseal.core.cose import PublicKey
from packseal.core.errors import StorageError, UplinkError
from packseal.uplink.choice import Choice
from packseal.uplink.landing import Contradicted, Landing, jittered
from packseal.uplink.lane import Lane
from packseal.uplink.link import Link
from packseal.uplink.outbox import Outbox, Run
from packseal.uplink.parcel import pack
from packseal.uplink.plan import Part, Wish
from packseal.uplink.protocol import Uplink
from packseal.uplink.session import LOOK_AGAIN_S, Session, Shared
from packseal.uplink.settings import SyncSettings
from packseal.uplink.sizing import Sizing
from packseal.uplink.status import LinkStatus, SyncStatus
from packseal.uplink.tally import Tally
from packseal.uplink.terms import Take

__all__ = ["Sync", "SyncSettings"]


class Sync:
    """The engine. `run` never returns; `notify` tells it of new records.

    Args:
        outbox: the journal.
        links: the ways to the sink in order of preference, or one alone; entered again after every loss.
        sink_key: the only key whose receipts count.
        run: runs the outbox's calls.
        settings: sizes and times.
        contradicted: told, each time, of a log and a verified receipt for a record that is not the journal's.
        ended: logs that are not sent any more.
        tally: what the links have carried; None forgets it.
        wall_s: gives the UTC time in seconds, for the budgets' days.
    """

    def __init__(  # noqa: PLR0913 - the last five have defaults
        self,
        outbox: Outbox,
        links: Uplink | Sequence[Link],
        sink_key: PublicKey,
        run: Run,
        settings: SyncSettings | None = None,
        *,
        contradicted: Contradicted = lambda _log_id, _receipt: None,
        ended: Container[bytes] = (),
        tally: Tally | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = outbox
        self._run = run
        self._settings = settings or SyncSettings()
        self._ended = ended
        links = links if isinstance(links, Sequence) else [Link("uplink", links)]
        self._sizing = {link.name: Sizing(self._settings.batch_bytes_min, self._settings.batch_bytes) for link in links}
        self._choice = Choice(links, run, self._settings, tally, wall_s)
        self._lanes: dict[bytes, Lane] = {}
        self._news = asyncio.Event()
        self._failures = 0
        self.settled = False
        """Whether all that may go at present has gone, although more waits for another link or day."""
        self.status = SyncStatus()
        landing = Landing(outbox, sink_key, run, self._settings, self.status, contradicted)
        self._shared = Shared(
            outbox,
            run,
            self._settings,
            self._choice,
            landing,
            self._lanes,
            self._news,
            self.status,
            self._survey,
            self._count,
            self._backlog_bytes,
        )

    def notify(self) -> None:
        """Say that new records or logs exist. Call it in the event loop's thread; cheap, and may be called often."""
        self.settled = False
        self._news.set()

    def links(self) -> list[LinkStatus]:
        """Return what the operator sees of each link."""
        return self._choice.describe(self._backlog_bytes())

    def notes(self) -> list[str]:
        """Return what somebody should act on, of every link, used or not, such as a certificate that expires."""
        notes = [note for link in self._choice.links for note in link.uplink.notes]
        return list(dict.fromkeys([*notes, *filter(None, [self._choice.unrecorded])]))

    def waiting(self) -> str:
        """Return what waits for another link or another day, and until when; "" when nothing does."""
        return self._choice.waiting(self._backlog_bytes(), self._count())

    async def run(self) -> None:
        """Deliver for ever; ends only by cancellation. What was under way is then asked for by the next start."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            if await self._round():
                self._failures = 0
                continue
            pause = min(self._settings.pause_max_s, self._settings.pause_min_s * 2**self._failures)
            self._failures = min(self._failures + 1, 10)
            # Counted from the beginning: a connection that was long sought, or that had lasted, is retried at once.
            await asyncio.sleep(jittered(pause) - (loop.time() - began))

    async def _round(self) -> bool:
        """Try the links, the best first; return True when one was left on purpose or none may carry anything."""
        try:
            await self._survey()
            usable = [
                link for link, take in self._choice.ranked(self._backlog_bytes()) if await self._wants(link, take)
            ]
        except StorageError as error:
            self.status.disconnected(str(error))
            return False
        if not usable:
            await self._rest()
            return True
        for link in usable:
            if await self._over(link):
                return True
        return False

    async def _wants(self, link: Link, take: Take) -> bool:
        """Return whether there is a use for `link`, of which `take` may go."""
        if take is not Take.EVENTS:
            return True
        return asyncio.get_running_loop().time() >= link.again_at and await self._event_waits()

    async def _event_waits(self) -> bool:
        """Return whether an event could be sent. What is looked through and is none is not looked at again."""
        now = asyncio.get_running_loop().time()
        limits = self._settings.batch_records, self._settings.batch_bytes
        if not self._shared.landing.takes_early(now):
            return False
        for lane in self._lanes.values():
            if now < max(lane.wait_until, lane.early_from):
                continue
            while (start := max(lane.events, lane.confirmed)) < lane.end.next_sequence:
                wish = Wish(lane, Part.EVENTS, start, lane.end.next_sequence, pressing=True)
                parcel = await self._run(functools.partial(pack, self._outbox, wish, *limits))
                if parcel.entries:
                    return True
                lane.events = parcel.end
        return False

    async def _over(self, link: Link) -> bool:
        """Deliver over one link; return False when it does not work."""
        session = Session(self._shared, link, self._sizing[link.name], self._set_settled)
        try:
            async with link.uplink:
                self._choice.opened(link)
                await session.run()
        except (UplinkError, StorageError) as error:
            if self.status.connected and link.in_use:
                self._sizing[link.name].lost()
            self._choice.failed(link, str(error))
            self.status.disconnected(f"{link.name}: {error}" if self._choice.several else str(error))
            return False
        finally:
            link.in_use = False
        if self._choice.take(link, self._backlog_bytes()) is Take.EVENTS:
            link.again_at = asyncio.get_running_loop().time() + self._settings.rest_s
        return True

    async def _rest(self) -> None:
        """Wait while no link may carry anything."""
        self.settled = True
        self.status.rested(self.waiting() or "nothing may go over any link at present")
        try:
            async with asyncio.timeout(min(LOOK_AGAIN_S, self._settings.rest_s)):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def _set_settled(self, settled: bool) -> None:  # noqa: FBT001 - a callback
        self.settled = settled

    async def _survey(self) -> None:
        """Learn which logs there are, where they end and what was removed from them."""

        def look() -> list[tuple[bytes, Head, int, list[tuple[int, int]]]]:
            box, ids = self._outbox, [entry.log_id for entry in self._outbox.logs() if entry.log_id not in self._ended]
            return [(i, box.head(i), box.delivered(i), box.holes(i)) for i in ids]

        for log_id, end, delivered, holes in await self._run(look):
            self._lanes.setdefault(log_id, Lane(log_id, end, delivered)).surveyed(end, holes)
        self._count()

    def _count(self) -> int:
        lanes = self._lanes.values()
        self.status.records_outstanding = sum(lane.outstanding for lane in lanes)
        self.status.halted = {lane.log_id.hex(): lane.halted for lane in lanes if lane.halted}
        return self.status.records_outstanding

    def _backlog_bytes(self) -> float:
        """Return about how large the records are that no receipt covers."""
        mean = max(sizing.mean_bytes for sizing in self._sizing.values())
        return sum(lane.outstanding for lane in self._lanes.values()) * mean
