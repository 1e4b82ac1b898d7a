"""LogWriter: brings one log's sealed records into the journal, and keeps them while it cannot be written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from packseal.core.chain import SealedRecord
from packseal.core.errors import StorageError
from packseal.core.holes import Hole
from packseal.core.sealer import Sealed

log = logging.getLogger(__name__)

MAX_PENDING_BYTES = 8 << 20
"""Sealed records kept in memory while the disk fails: days of one battery's windows, a fifth of the agent's memory."""

RETRY_S = 1.0

Store = Callable[[Sequence[SealedRecord], bytes | None, Sequence[Hole]], Awaitable[str | None]]
"""Stores records and meter state and removes what the holes name, in one transaction; or raises StorageError.

Returns what the operator must know although it is stored."""


@dataclass(slots=True)
class WriterStatus:
    """What the operator sees of the journal's side."""

    records: int = 0
    windows: int = 0
    bytes: int = 0
    pending: int = 0
    last_error: str = ""


class LogWriter:
    """Sealed records in, stored records out, in order. `flush` must not run twice at once.

    Args:
        store: the journal's append for this log.
        stored: called after records were stored, to wake the uplink.
    """

    def __init__(self, store: Store, stored: Callable[[], None]) -> None:
        self._store = store
        self._stored = stored
        self._records: list[SealedRecord] = []
        self._state: bytes | None = None
        self._removed: list[Hole] = []
        self._bytes = 0
        self._retry_at = 0.0
        self.status = WriterStatus()

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the disk that nothing more may be sealed."""
        return self._bytes >= MAX_PENDING_BYTES

    def put(self, sealed: Sealed, removed: Sequence[Hole] = ()) -> None:
        """Take what was sealed; it is not safe before `flush` has said so. `removed` is what it names as removed."""
        self._removed += removed
        self._records += sealed.records
        self._bytes += sum(len(record.raw) for record in sealed.records)
        self._state = sealed.state
        self.status.pending = len(self._records)

    async def flush(self, *, at_once: bool = False) -> bool:
        """Store everything that waits; return whether nothing waits any more.

        After a failure it is tried again every second, or `at_once`.
        """
        now = asyncio.get_running_loop().time()
        if not self._records:
            return True
        if now < self._retry_at and not at_once:
            return False
        try:
            trouble = await self._store(self._records, self._state, self._removed)
        except StorageError as error:
            self._retry_at = now + RETRY_S
            if str(error) != self.status.last_error:
                log.error("not recorded yet, kept in memory and tried again: %s", error)  # noqa: TRY400 - one line
            self.status.last_error = str(error)
            return False
        self._count(trouble or "")
        self._stored()
        return True

    def _count(self, trouble: str) -> None:
        status = self.status
        if status.last_error and not trouble:
            log.warning("the journal can be written again")
        elif trouble != status.last_error:
            log.error("%s", trouble)
        status.records += len(self._records)
        status.windows += sum(record.kind.name == "TELEMETRY" for record in self._records)
        status.bytes += self._bytes
        status.pending, status.last_error = 0, trouble
        self._records, self._removed, self._bytes = [], [], 0
