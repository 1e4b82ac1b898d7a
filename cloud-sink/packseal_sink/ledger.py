"""What the sink knows of every log: where its chain stands and what stands beside it. Pure: no database, no clock.

Ordering comes from the sequence number and the hash chain alone. A Draft (`draft`) holds what one request would
change; nothing of it counts until the ledger has applied it, which happens after the store has committed.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from packseal.core.chain import Head
from packseal.core.exchange import LogEnd, Refusal, Refused
from packseal.core.record import GENESIS
from packseal_sink.ranges import Ranges
from packseal_sink.waiting import WaitingRoom

if TYPE_CHECKING:
    from packseal_sink.draft import Draft

HOLE_RESERVE = 1 << 20
"""Gap records that name holes are held beyond the limit: without them a log that is full of holes could not go on."""


@dataclass(frozen=True, slots=True)
class LogState:
    """Where one log stands in this sink, and who may write it."""

    log_id: bytes
    kid: bytes
    subject: str
    head: Head


@dataclass(frozen=True, slots=True)
class Link:
    """How a stored record is chained: its own hash, the one it names, and its size in bytes."""

    hash: bytes
    previous: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Note:
    """A refusal as it is kept: whose key it was, and the refused record's hash where that is known."""

    refused: Refused
    kid: bytes
    hash: bytes = b""


class Archive(Protocol):
    """The stored records, as far as decisions need them. Every method may raise StorageError."""

    def hash_at(self, log_id: bytes, sequence: int) -> bytes | None:
        """Return the hash of the record stored in its turn or early."""

    def link_at(self, log_id: bytes, sequence: int) -> Link | None:
        """Return how the record stored in its turn or early is chained."""

    def early_links(self, log_id: bytes, first: int, limit: int) -> dict[int, Link]:
        """Return how early records from `first` on are chained, at most `limit`, the lowest ones."""


@dataclass(slots=True)
class Aside:
    """What stands beside a log's chain: records held early, and numbers that its gap records name as removed."""

    early: Ranges = field(default_factory=Ranges)
    early_bytes: int = 0
    holes: Ranges = field(default_factory=Ranges)

    def copy(self) -> "Aside":
        """Return one that can be changed without changing this."""
        return Aside(self.early.copy(), self.early_bytes, self.holes.copy())


_NOTHING = Aside()


@dataclass(frozen=True, slots=True)
class Limits:
    """How many bytes of records may be held early, of one log and in all."""

    log_bytes: int = 256 << 20
    total_bytes: int = 4 << 30

    def allow(self, log_bytes: int, total_bytes: int, *, names_hole: bool) -> bool:
        """Whether so many bytes may be held of one log and of all, the last ones of a record that may name a hole."""
        spare = HOLE_RESERVE if names_hole else 0
        return log_bytes <= self.log_bytes + spare and total_bytes <= self.total_bytes + spare


class Ledger:
    """Where every log stands, what is held beside it, and the records that wait.

    Args:
        states: where the logs stand.
        asides: what is held beside them.
        room: where records wait.
        limits: of what is held early.
    """

    def __init__(
        self, states: dict[bytes, LogState], asides: dict[bytes, Aside], room: WaitingRoom, limits: Limits
    ) -> None:
        self.states = states
        self.room = room
        self.limits = limits
        self._asides = asides
        self.early_bytes = sum(aside.early_bytes for aside in asides.values())
        self.ripe = {log_id for log_id, state in states.items() if state.head.next_sequence in self.aside(log_id).early}
        """Logs that early records can be moved into now."""

    def aside(self, log_id: bytes) -> Aside:
        """Return what stands beside a log's chain; not to be changed."""
        return self._asides.get(log_id, _NOTHING)

    def apply(self, draft: "Draft", now_ms: int) -> None:
        """Make a committed draft count."""
        self.states.update(draft.states)
        for log_id, aside in draft.asides.items():
            self.early_bytes += aside.early_bytes - self.aside(log_id).early_bytes
            self._asides[log_id] = aside
        for waiting in draft.waiting.values():
            for entry in waiting.values():
                self.room.put(entry, now_ms)
        for log_id, whole in draft.whole.items():
            if log_id in self.states:  # anyone may name a log
                self.room.believe(log_id, whole)
        for log_id, state in draft.states.items():
            self.room.reached(log_id, state.head.next_sequence)
        for log_id in draft.torn:
            self.room.drop(log_id)
        self.ripe -= draft.touched.keys()
        self.ripe |= draft.ripe

    def correct(self, log_id: bytes, aside: Aside) -> None:
        """Take `aside` as what stands beside a log, after something of it was given up."""
        self.early_bytes += aside.early_bytes - self.aside(log_id).early_bytes
        self._asides[log_id] = aside

    def compare(self, end: LogEnd, archive: Archive) -> Refused | None:
        """Return what is wrong with where a gateway says its log ends, as far as this sink can know."""
        state = self.states.get(end.log_id)
        if state is None:
            return None
        # What is held early proves nothing yet, so only the chain is compared.
        last, following = end.next_sequence - 1, state.head.next_sequence
        if last >= following:
            return None
        known = GENESIS if last < 0 else archive.hash_at(end.log_id, last)
        if known != end.hash and not (known is None and last in self.aside(end.log_id).holes):
            text = f"record {last} of the gateway is not the one stored here: the log was forked"
            return Refused(end.log_id, Refusal.FORK, max(last, 0), text)
        if end.next_sequence < following:
            text = (
                f"the gateway's log ends before {end.next_sequence}, the sink holds up to {following - 1}: rolled back"
            )
            return Refused(end.log_id, Refusal.ROLLBACK, end.next_sequence, text)
        return None
