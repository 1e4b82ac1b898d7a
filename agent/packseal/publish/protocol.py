"""The seam of what is published: a Publisher takes the newest from a Source and brings it to one receiver.

Publishing is a state, not a queue: after an outage the receiver gets what is newest then. What must arrive whole goes
by the sync. A publisher knows neither the journal nor the drivers; the runtime gives it both as a Source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from packseal.core.changes import Change
from packseal.core.declared import Declared
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel
from packseal.core.record import Record
from packseal.core.sample import LinkState
from packseal.publish.status import PublishStatus


@dataclass(frozen=True, slots=True)
class Described:
    """What configuration and registry say of one battery. `subject` is its URI; category and status: see `declared`.

    `changes` is what people said happened to it, oldest first. `profile` is VENDOR/MODEL or a file's name, empty where
    the battery is made of `parts`, which are the ids of others.
    """

    subject: str
    declared: Declared
    changes: Sequence[Change] = ()
    profile: str = ""
    parts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest snapshot of one battery, as it was signed (`record.raw`) and as it reads.

    `log_id`, `sequence` and `wall_ms` (UTC) are the record's own.
    """

    subject: str
    log_id: bytes
    sequence: int
    wall_ms: int
    record: Record
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Live:
    """What a battery says now, before anything is sealed.

    `wall_ms`: UTC time of its last sample, None before the first. `values`: the last that was heard of each channel in
    this run, in the quantity's unit. `ended`: the recording that is replayed is at its end.
    """

    state: LinkState
    ended: bool = False
    wall_ms: int | None = None
    values: Mapping[Channel, float] | None = None


class Source(Protocol):
    """What may be published. Cheap to ask, and never in the way of recording.

    Every method that waits raises StorageError where the journal cannot be read; the next call may succeed.
    """

    @property
    def gateway(self) -> str:
        """This gateway's URI."""

    def batteries(self) -> Sequence[Described]:
        """Return every configured battery, in the configuration's order; the same in one run."""

    async def newest(self, subject: str) -> Newest | None:
        """Return the newest stored snapshot of a battery; None where there is none yet."""

    async def end(self, subject: str) -> int:
        """Return the sequence number that the next record of the battery's log will have."""

    async def happenings(self, subject: str, start: int) -> tuple[Sequence[Record], int]:
        """Return the events, gaps and lifecycle entries from sequence number `start` on, and where to go on.

        Oldest first, and of very many only the newest: see MAX_HAPPENINGS.
        """

    def live(self, subject: str) -> Live:
        """Return what the battery says now."""


MAX_HAPPENINGS = 100
"""After a long outage of a receiver older ones are left to the sync: a receiver of events wants no flood."""


class Publisher(Protocol):
    """Brings what a Source has to one receiver. Made without I/O; ConfigError or InputError where it cannot work."""

    @property
    def status(self) -> PublishStatus:
        """What the operator sees; changes in place."""

    async def run(self) -> None:
        """Publish for ever; ends only by cancellation.

        Catches its own errors and tries again, with bounded back-off.
        """

    def notify(self) -> None:
        """Say that new records exist. Called in the event loop's thread, often; returns at once and never raises."""

    async def finish(self) -> None:
        """Bring out what is newest before the stop, then return; `run` is cancelled after it.

        Called once while `run` runs, after the last record was stored. The caller bounds its time.
        """

    async def check(self) -> str:
        """Try the way to the receiver without publishing anything, for `packseal doctor`; not while `run` runs.

        Returns one sentence of what was found good.

        Raises:
            PacksealError: one sentence of what is wrong and what to do.
        """
