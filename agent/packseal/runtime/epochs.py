"""Epochs at run time: what to do when a signed receipt shows that a log of ours has another history at the sink.

While the agent runs, the watch asks the sink how far both are the same, and writes that down. The agent is then opened
anew, and the logs that were ended are succeeded before anything is recorded.
"""

import asyncio
import logging
import time
from collections.abc import Sequence

import msgspec

from packseal.clock import SystemClock, boot_id
from packseal.core.cose import PublicKey, Signer
from packseal.core.errors import StorageError, UplinkError
from packseal.core.exchange import LogEnd, Receipt
from packseal.core.meter.recovery import recovered
from packseal.core.passport import Snapshot
from packseal.core.record import parse
from packseal.journal.contradictions import Contradiction
from packseal.journal.store import Journal
from packseal.runtime.desk import Desk
from packseal.uplink import shared

log = logging.getLogger(__name__)

NS_PER_MS = 1_000_000


class EpochWatch:
    """Takes up what the sync engine says of contradicted logs. `due` is set when the agent must be opened anew.

    Args:
        desk: the journal.
        ask: asks the sink over the link that the sync engine has in use.
        sink_key: the only key whose receipts count.
    """

    def __init__(self, desk: Desk, ask: shared.Ask, sink_key: PublicKey) -> None:
        self._desk = desk
        self._ask = ask
        self.sink_key = sink_key
        self._heard: asyncio.Queue[Receipt] = asyncio.Queue()
        self._waiting: set[bytes] = set()
        self.due = asyncio.Event()

    def contradicted(self, log_id: bytes, receipt: Receipt) -> None:
        """Take up a verified receipt that the sync engine could not keep; may be called often."""
        if log_id not in self._waiting:
            self._waiting.add(log_id)
            self._heard.put_nowait(receipt)

    async def run(self) -> None:
        """Judge what was heard, for ever."""
        found = False
        while True:
            receipt = await self._heard.get()
            try:
                found |= await self._judge(receipt)
            except (UplinkError, StorageError) as error:
                # The sync engine says it again when it next tries that log.
                log.warning("log %s: not yet known how far the sink has it: %s", receipt.log_id.hex(), error)
            self._waiting.discard(receipt.log_id)
            if found and self._heard.empty():
                self.due.set()

    async def _judge(self, receipt: Receipt) -> bool:
        """Write down a contradiction that may be acted on now; return whether it was one."""
        from packseal.journal import epochs  # noqa: PLC0415 - a log seldom ends: no other gateway pays for it

        journal, log_id, now_ms = self._desk.journal, receipt.log_id, time.time_ns() // NS_PER_MS
        if not await self._desk.run(
            lambda: epochs.contradicts(journal, receipt) and epochs.may_begin(journal, log_id, now_ms)
        ):
            return False
        ours = await self._desk.run(lambda: (journal.delivered(log_id), journal.head(log_id).next_sequence))
        both = await shared.find(self._ask, self.sink_key, self._end_at(log_id), *ours)
        await self._desk.run(lambda: epochs.note(journal, receipt, both, now_ms))
        log.error(
            "log %s: the sink signed that it holds another record %d; this battery goes on in a new log. Was an old "
            "journal restored, or is another device using this gateway's key?",
            log_id.hex(),
            receipt.sequence,
        )
        return True

    def _end_at(self, log_id: bytes) -> shared.EndAt:
        def look(end: int) -> LogEnd | None:
            # Where the record before it was removed, the one after says its hash.
            known = next(self._desk.journal.records(log_id, max(0, end - 1)), None)
            if known is None:
                return None
            if known.sequence == end - 1:
                return LogEnd(log_id, end, known.hash)
            return LogEnd(log_id, known.sequence, parse(known.raw).header.previous)

        async def end_at(end: int) -> LogEnd | None:
            return await self._desk.run(lambda: look(end))

        return end_at


def begin(journal: Journal, signer: Signer, issuer: str, clock: SystemClock) -> Sequence[Contradiction]:
    """Begin a log for each that was ended and has none yet; return all that were ended. For the desk's thread.

    Recording does not wait for it: where the journal cannot be written, the old log goes on, and it is tried again.
    """
    for ended in journal.contradictions():
        if ended.successor is None:
            from packseal.journal import epochs, succession  # noqa: PLC0415

            author = succession.Author(signer, issuer, boot_id())
            try:
                new = epochs.succeed(journal, ended, author, clock.now(), _state_of)
            except StorageError as error:
                log.error("log %s cannot be ended yet: %s", ended.log_id.hex(), error)  # noqa: TRY400 - one line
            else:
                log.warning("log %s has ended, log %s goes on", ended.log_id.hex(), new.hex())
    return journal.contradictions()


def _state_of(snapshot: Snapshot) -> bytes:
    return msgspec.msgpack.encode(recovered(snapshot))
