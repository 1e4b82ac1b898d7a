"""Choice: which of several links is used, what each has carried, and when a better one is tried again."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from packseal.core import exchange
from packseal.core.errors import FormatError, StorageError, UplinkError
from packseal.uplink.link import Link, ranked
from packseal.uplink.outbox import Run
from packseal.uplink.settings import SyncSettings
from packseal.uplink.status import LinkStatus
from packseal.uplink.tally import Tally
from packseal.uplink.terms import Take

log = logging.getLogger(__name__)

PROBE_S = 20.0
"""For reaching a link and one question over it: twice what Reach needs to give up."""
MB = 1_000_000


class Choice:
    """The links, in order of preference.

    Args:
        links: at least one.
        run: puts the tally on the disk.
        settings: how soon a link is tried again.
        tally: what the links carried before.
        wall_s: gives the UTC time in seconds.
    """

    def __init__(
        self,
        links: Sequence[Link],
        run: Run,
        settings: SyncSettings,
        tally: Tally | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self.links = links
        self._run = run
        self._settings = settings
        self._tally = tally or Tally()
        self._wall_s = wall_s
        self._idle_since = 0.0
        self.unrecorded = ""
        """Why what the links have carried could not be put on record the last time; "" when it could."""

    @property
    def several(self) -> bool:
        """Whether there is anything to choose from."""
        return len(self.links) > 1

    def ranked(self, backlog_bytes: float) -> list[tuple[Link, Take]]:
        """Return the links that may carry anything now, the best first."""
        return ranked(self.links, backlog_bytes, self._wall_s())

    def take(self, link: Link, backlog_bytes: float) -> Take:
        """Return what may go over `link` now."""
        return link.take(backlog_bytes, self._wall_s())

    def wait_s(self, link: Link) -> float:
        """Return how long the link's rate makes the next request wait."""
        return link.budget.wait_s(asyncio.get_running_loop().time())

    def opened(self, link: Link) -> None:
        """Note a connection over `link`."""
        now = asyncio.get_running_loop().time()
        self._idle_since = now
        link.budget.spend(link.cost.connection, now, self._wall_s())

    def carried(self, link: Link, count: int, exchanges: int = 0) -> None:
        """Note `count` bytes that crossed `link` in so many new exchanges, and the time the connection was held."""
        now = asyncio.get_running_loop().time()
        held_s, self._idle_since = now - self._idle_since, now
        added = link.cost.exchange * exchanges + link.cost.share * count + link.cost.idle_per_s * held_s
        link.budget.spend(count + added, now, self._wall_s())

    async def record(self, link: Link) -> str:
        """Put on record what `link` has carried, where that is due; return why it could not be."""
        days = link.budget.on_record(self._wall_s())
        if days is None:
            return ""
        try:
            await self._run(lambda: self._tally.put(link.name, days))
        except StorageError as error:
            if str(error) != self.unrecorded:
                log.warning("%s", error)
            self.unrecorded = str(error)
        else:
            self.unrecorded = ""
        return self.unrecorded

    def answered(self, link: Link) -> None:
        """Note that the sink has given an answer that counts over `link`."""
        link.in_use = True
        link.trouble = ""

    def failed(self, link: Link, why: str) -> None:
        """Note that `link` did not work."""
        now = asyncio.get_running_loop().time()
        link.failed(why, now, self._settings.again_s, self._settings.again_max_s)

    async def better(self, active: Link, backlog_bytes: Callable[[], float]) -> Link:
        """Return a link that is to be used in place of `active`, once one of them answers; never without any other."""
        while True:
            for link in self._before(active, backlog_bytes()):
                if link.again_at <= asyncio.get_running_loop().time() and await self._answers(link):
                    return link
            now = asyncio.get_running_loop().time()
            due = [link.again_at - now for link in self._before(active, backlog_bytes())]
            await asyncio.sleep(max(0.0, min([self._settings.again_s, *due])))

    def describe(self, backlog_bytes: float) -> list[LinkStatus]:
        """Return what the operator sees of each link."""
        return [self._describe(link, backlog_bytes) for link in self.links]

    def waiting(self, backlog_bytes: float, records: int) -> str:
        """Return what waits although the network may work, and until when; "" when nothing does."""
        used = next((link for link in self.links if link.in_use), None)
        takes = [self.take(link, backlog_bytes) for link in self.links]
        best = max(takes) if used is None else self.take(used, backlog_bytes)
        if not records or best is Take.EVERYTHING:
            return ""
        if best is Take.SNAPSHOTS:
            return f"telemetry waits for another link ({backlog_bytes / MB:.1f} MB are not yet receipted)"
        return f"{records} records wait: {self._used_up(used or self.links[takes.index(best)])}"

    def _describe(self, link: Link, backlog_bytes: float) -> LinkStatus:
        take = self.take(link, backlog_bytes)
        state = "in use" if link.in_use else link.trouble or "ready"
        if take <= Take.EVENTS:
            state = self._used_up(link)
        spent, limit = link.budget.spent(self._wall_s()), link.budget.limits.bytes_per_day
        return LinkStatus(link.name, state, take.name.lower(), spent, limit)

    def _used_up(self, link: Link) -> str:
        until = link.budget.renewed_at(self._wall_s())
        limit = link.budget.limits.bytes_per_day or 0
        return f"today's {limit / MB:g} MB of {link.name} are used up until {until:%Y-%m-%d %H:%M} UTC"

    def _before(self, active: Link, backlog_bytes: float) -> list[Link]:
        order = [link for link, take in self.ranked(backlog_bytes) if take > Take.EVENTS or link is active]
        return order[: order.index(active)] if active in order else order

    async def _answers(self, link: Link) -> bool:
        """Ask the sink an empty question over `link`."""
        question = exchange.encode_position([])
        try:
            link.budget.spend(link.cost.connection, asyncio.get_running_loop().time(), self._wall_s())
            async with asyncio.timeout(PROBE_S), link.uplink:
                reply = await link.uplink.exchange(question)
            exchange.decode_reply(reply)
        except UplinkError as error:
            self.failed(link, str(error))
        except FormatError as error:
            self.failed(link, f"the sink's answer does not count: {error}")
        except TimeoutError:
            self.failed(link, f"no answer within {PROBE_S:g} s")
        else:
            link.trouble = ""
            return True
        return False
