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

    def acknowledge(self, receipt: Receipt) -> None:
        """Keep a verified receipt; raises VerifyError when its record is not the journal's."""


class Run(Protocol):
    """Runs a call in the thread that owns the journal."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """Return what `work` returned."""
