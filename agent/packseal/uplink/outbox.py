"""Outbox: the part of a journal that sending needs, so that neither knows the other."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from packseal.core.chain import Head
from packseal.core.exchange import Receipt

T = TypeVar("T")


class OutboxLog(Protocol):
    """One log of an outbox."""

    @property
    def log_id(self) -> bytes:
        """16 bytes."""


class Outbox(Protocol):
    """The part of a journal that sending needs. All calls are made through Sync's `run`; all may raise StorageError."""

    def logs(self) -> Sequence[OutboxLog]:
        """Return every log."""

    def head(self, log_id: bytes) -> Head:
        """Return where the log ends."""

    def delivered(self, log_id: bytes) -> int:
        """Return the sequence number of the first record that no receipt covers."""

    def read(self, log_id: bytes, start: int, limit_records: int, limit_bytes: int) -> list[bytes]:
        """Return raw records from `start` on, at least one where there is one."""

    def entries(  # noqa: PLR0913 - three are flags
        self,
        log_id: bytes,
        start: int,
        end: int,
        limit_records: int,
        limit_bytes: int,
        *,
        urgent: bool = False,
        snapshots: bool = True,
        newest_first: bool = False,
    ) -> list[tuple[int, bytes]]:
        """Return number and bytes of records that are there from `start` to before `end`, ascending.

        At least one where there is one. `urgent`: without telemetry and summaries; `snapshots` False: without
        these too. `newest_first`: the limits count
        from the end.
        """

    def holes(self, log_id: bytes) -> list[tuple[int, int]]:
        """Return first and last number of each stretch that the log's gap records name as removed, ascending."""

    def newest_snapshot(self, log_id: bytes) -> tuple[int, bytes] | None:
        """Return number and bytes of the newest snapshot, None where there is none."""

    def acknowledge(self, receipt: Receipt) -> None:
        """Keep a verified receipt; raises VerifyError when its record is not the journal's."""


class Run(Protocol):
    """Runs a call in the thread that owns the journal."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return what `work` returned."""
