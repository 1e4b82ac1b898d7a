"""Landing: what a reply of the sink means for each log. Only a receipt signed with the pinned key counts."""

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from packseal.core import exchange
from packseal.core.cose import PublicKey
from packseal.core.errors import FormatError, StorageError, VerifyError
from packseal.core.exchange import Receipt, Refusal, Refused, Reply
from packseal.uplink.lane import BARREN_LIMIT, Lane
from packseal.uplink.outbox import Outbox, Run
from packseal.uplink.parcel import Parcel
from packseal.uplink.settings import SyncSettings
from packseal.uplink.status import SyncStatus

log = logging.getLogger(__name__)

EARLY_AGAIN_S = 86_400.0
"""A sink that does not know records out of turn may have been updated after a day."""
Contradicted = Callable[[bytes, Receipt], None]


@dataclass(frozen=True, slots=True)
class Flight:
    """A request under way: a parcel of one log, or a question about several."""

    lanes: Sequence[Lane]
    parcel: Parcel | None
    sent_at: float

    @property
    def asks(self) -> bool:
        """Whether it asks for the sink's position."""
        return self.parcel is None

    @property
    def early(self) -> bool:
        """Whether its records are out of turn."""
        return self.parcel is not None and self.parcel.wish.early


class Landing:
    """Takes replies and moves the lanes on.

    Args:
        outbox: keeps the receipts.
        sink_key: the only key whose receipts count.
        run: runs the outbox's calls.
        settings: pauses.
        status: what the operator sees.
        contradicted: told, each time, of a log and a verified receipt for a record that is not the journal's.
    """

    def __init__(
        self,
        outbox: Outbox,
        sink_key: PublicKey,
        run: Run,
        settings: SyncSettings,
        status: SyncStatus,
        contradicted: Contradicted,
    ) -> None:
        self._outbox = outbox
        self._sink_key = sink_key
        self._run = run
        self._settings = settings
        self._status = status
        self._contradicted = contradicted
        self._early_from = 0.0

    def takes_early(self, now: float) -> bool:
        """Return whether the sink takes records out of turn, as far as is known."""
        return now >= self._early_from

    async def land(self, flight: Flight, data: bytes, known: Mapping[bytes, Lane], *, strict: bool) -> str:
        """Let every lane of `flight` learn from the reply; return why the reply does not count, "" when it does.

        With `strict` its logs are then halted; else another link is to be tried, and they stay as they are.
        """
        reply, receipts, doubt = Reply(), {}, ""
        try:
            reply = exchange.decode_reply(data)
            for raw in reply.receipts:
                receipt = exchange.verify_receipt(raw, self._sink_key)
                receipts[receipt.log_id] = receipt  # where there are two of one log, the last one is the newest
        except (FormatError, VerifyError) as error:
            reply, receipts, doubt = Reply(), {}, f"the sink's answer does not count: {error}"
        if doubt and not strict:
            return doubt
        if flight.early and _is_unknown(reply):
            self._fall_back(flight)
            return doubt
        for lane in flight.lanes:
            mine = [r for r in reply.refused if r.log_id == lane.log_id or r.log_id not in known]
            held = () if doubt else reply.held.get(lane.log_id, ())
            await self._judge(lane, flight, receipts.get(lane.log_id), mine, held, doubt)
        return doubt

    def halt(self, lane: Lane, why: str) -> None:
        """Stop a log for a while, and say so once."""
        if why != lane.halted:
            log.error("log %s is not getting on: %s", lane.log_id.hex(), why)
        lane.halt(why, asyncio.get_running_loop().time() + self._settings.halted_s)
        self._status.last_error = why

    def _fall_back(self, flight: Flight) -> None:
        """The sink is of an older make: everything goes in its turn."""
        now = asyncio.get_running_loop().time()
        if self.takes_early(now):
            log.warning("the sink takes records only in their turn: the newest snapshot comes after the backlog")
        self._early_from = now + EARLY_AGAIN_S
        for lane in flight.lanes:
            lane.refused_early(flight.parcel.numbers if flight.parcel else [])
            lane.landed()

    async def _judge(
        self,
        lane: Lane,
        flight: Flight,
        receipt: Receipt | None,
        refused: Sequence[Refused],
        held: Sequence[tuple[int, int]],
        doubt: str,
    ) -> None:
        contradicted, trouble = False, doubt
        try:
            trouble = doubt if receipt is None else await self._accept(lane, receipt)
        except VerifyError as error:
            # It has another record there. Ours is sent once more, so that the sink sees the fork too, and shows it.
            contradicted, trouble = True, "" if flight.asks else str(error)
        if flight.asks and not trouble:
            self._position(lane, 0 if receipt is None else receipt.sequence + (not contradicted), held)
        if flight.parcel is not None and flight.early:
            lane.holds(held)
            self._settle(lane, flight.parcel.numbers, refused, doubt)
        for refusal in refused:
            trouble = trouble or self._refusal(lane, refusal)
        lane.landed()
        if trouble:
            self.halt(lane, trouble)
        elif lane.barren >= BARREN_LIMIT:
            self.halt(lane, f"the sink answers but takes nothing from record {lane.confirmed} on")
        elif lane.halted and (lane.outstanding == 0 or (not flight.asks and not refused and (receipt or flight.early))):
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
            self._status.last_error = str(error)
        lane.receipted(receipt.sequence)
        self._status.last_receipt_wall_ms = max(receipt.wall_ms, self._status.last_receipt_wall_ms or 0)
        return ""

    def _position(self, lane: Lane, position: int, held: Sequence[tuple[int, int]]) -> None:
        if position < lane.confirmed:
            log.warning("log %s: the sink needs record %d again, which it had receipted", lane.log_id.hex(), position)
        lane.positioned(position, held)

    def _settle(self, lane: Lane, numbers: Sequence[int], refused: Sequence[Refused], doubt: str) -> None:
        if not refused and not doubt:
            lane.landed_early(numbers)
            return
        lane.refused_early(numbers)
        if any(r.code is Refusal.AHEAD for r in refused):
            lane.full(asyncio.get_running_loop().time())

    def _refusal(self, lane: Lane, refused: Refused) -> str:
        """Act on one refusal; return its text when the log cannot go on."""
        match refused.code:
            case Refusal.AHEAD:
                return ""  # the lane asks again once everything under way has landed
            case Refusal.BUSY:
                lane.busy = min(lane.busy + 1, 10)
                wait = min(self._settings.busy_max_s, self._settings.pause_min_s * 2**lane.busy)
                lane.postpone(asyncio.get_running_loop().time() + jittered(wait))
                return ""
            case _:
                return f"the sink refuses record {refused.sequence} ({refused.code.name}): {refused.text}"


def _is_unknown(reply: Reply) -> bool:
    return any(r.code is Refusal.BAD_FORMAT and not r.log_id for r in reply.refused)


def jittered(seconds: float) -> float:
    """Return a little less than `seconds`, so that a fleet does not come back all at once."""
    return seconds * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
