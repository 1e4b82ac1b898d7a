"""Lane: how far one log has been sent and receipted. Times are passed in; nothing here waits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from packseal.core.chain import Head
from packseal.core.exchange import MAX_HELD_RANGES
from packseal.uplink.ranges import Ranges, spans

BARREN_LIMIT = 3  # answers in a row that leave the sink where it was
FULL_WAIT_S, FULL_WAIT_MAX_S = 60.0, 3600.0
"""After the sink had no more room for records out of turn: until they are tried again, and what that grows to."""


@dataclass(slots=True)
class Lane:
    """One log on its way to the sink.

    `next` is the sequence number to send next in order; None says that the sink must be asked first. `confirmed` is the
    first that no receipt covers. Nothing is asked or sent before `wait_until`. `halted` says why the log is not getting
    on. Out of turn: `held` is what the sink says it has, `flying` what is under way, `passed` what need not be looked
    at again when the newest go first. Every event below `events` and every record but telemetry below `urgent` is
    flying, held or receipted. `holes` is what the log's own gap records name as removed; those of them that stand below
    `named` were sent in a batch since it was last in doubt whether the sink has them. `ours`: taken out of turn by the
    sink since we run; what it held before may be of another history.
    """

    log_id: bytes
    end: Head
    confirmed: int
    next: int | None = None
    in_flight: int = 0
    wait_until: float = 0.0
    halted: str = ""
    barren: int = 0
    busy: int = 0
    turn: int = 0  # counts the requests of all lanes: which was served last
    held: Ranges = field(default_factory=Ranges)
    flying: Ranges = field(default_factory=Ranges)
    passed: Ranges = field(default_factory=Ranges)
    holes: Ranges = field(default_factory=Ranges)
    ours: Ranges = field(default_factory=Ranges)
    events: int = 0
    urgent: int = 0
    named: int = 0
    present_from: float = 0.0  # when the newest snapshot may go out of turn again
    early_from: float = 0.0  # nothing goes out of turn before
    full_wait_s: float = FULL_WAIT_S

    @property
    def outstanding(self) -> int:
        """How many records no receipt covers; those that were removed on purpose may be among them."""
        return max(0, self.end.next_sequence - self.confirmed)

    @property
    def backlog(self) -> int:
        """About how many records are still to be sent."""
        start = self.confirmed if self.next is None else self.next
        return max(0, self.end.next_sequence - start - len(self.held) - len(self.flying))

    @property
    def hole_ahead(self) -> int | None:
        """Where the first hole begins that is still to be sent over; None without one."""
        start = self.confirmed if self.next is None else self.next
        if start in self.holes:
            return start
        return self.holes.next_first(start)

    def doubts(self, number: int) -> bool:
        """Return whether what the sink holds of `number` may be another record, and none after it would show that.

        The record after it names its hash; where that one was removed, only the record itself can tell.
        """
        return number in self.held and number not in self.ours and number + 1 in self.holes

    def asks(self, now: float) -> bool:
        """Return whether the sink should now be asked for its position."""
        return self.next is None and self.in_flight == 0 and now >= self.wait_until

    def sends(self, now: float, *, ordered: bool) -> bool:
        """Return whether a request may go out now; several at once only where they arrive in order."""
        ready = self.next is not None and self.next < self.end.next_sequence and now >= self.wait_until
        return ready and (ordered or self.in_flight == 0)

    def surveyed(self, end: Head, holes: Iterable[tuple[int, int]]) -> None:
        """Note where the log ends now and which numbers its gap records name, last ones included."""
        self.end = end
        self.holes = Ranges((first, last + 1) for first, last in holes)

    def forget(self) -> None:
        """Start over after a lost connection: what was under way may or may not have arrived."""
        self.next = None
        self.in_flight = 0
        self.barren = self.named = 0
        for first, _ in self.flying:
            self._rewind(first)
        self.flying = Ranges()
        self.passed = Ranges()

    def positioned(self, position: int, held: Sequence[tuple[int, int]] = ()) -> None:
        """Take the sink's word for what it needs next and what it has beyond that."""
        if position < self.confirmed:
            self._rewind(position)
        self.next = self.confirmed = position
        told = Ranges(held)
        if len(held) >= MAX_HELD_RANGES:  # more than it can tell at once: what it said before still counts
            for first, end in self.held:
                told.add(max(first, held[-1][1]), end)
        for first, end in self.held:
            if (lacking := told.next_missing(max(first, position))) < end:
                self._rewind(lacking)
                self.ours = Ranges()
        self.held = told
        self.held.discard(0, position)
        self.passed = Ranges()

    def receipted(self, sequence: int) -> None:
        """Note that everything up to `sequence` is stored at the sink."""
        if sequence >= self.confirmed:
            self.confirmed = sequence + 1
            self.barren = self.busy = 0
            self.held.discard(0, self.confirmed)
            self.ours.discard(0, self.confirmed)
            self.passed.discard(0, self.confirmed)
            if self.next is not None:
                self.next = max(self.next, self.confirmed)

    def launched_early(self, numbers: Sequence[int]) -> None:
        """Note that these are under way out of turn."""
        for first, end in spans(numbers):
            self.flying.add(first, end)

    def holds(self, held: Iterable[tuple[int, int]]) -> None:
        """Note what the sink says it has out of turn, besides what it said before."""
        for first, end in held:
            self.held.add(max(first, self.confirmed), end)

    def landed_early(self, numbers: Sequence[int]) -> None:
        """Note that the sink refused none of these, which were under way out of turn."""
        for first, end in spans(numbers):
            self.flying.discard(first, end)
            self.passed.add(max(first, self.confirmed), end)
            self.ours.add(max(first, self.confirmed), end)
        self.full_wait_s = FULL_WAIT_S

    def refused_early(self, numbers: Sequence[int]) -> None:
        """Note that the sink did not take all of these; they go again later, or in their turn."""
        for first, end in spans(numbers):
            self.flying.discard(first, end)
        if numbers:
            self._rewind(numbers[0])

    def full(self, now: float) -> None:
        """Note that the sink has no room for more out of turn."""
        self.early_from = now + self.full_wait_s
        self.full_wait_s = min(FULL_WAIT_MAX_S, self.full_wait_s * 2)

    def landed(self) -> None:
        """Note that a request was answered."""
        self.in_flight -= 1
        self.look_again()

    def look_again(self) -> None:
        """Ask again when nothing is under way and the sink has not confirmed what it should have."""
        if self.in_flight == 0 and self.next is not None and self.confirmed < self.held.next_missing(self.next):
            self.next = None
            self.barren += 1
            self.named = 0

    def halt(self, why: str, until: float) -> None:
        """Stop sending until `until`, then ask the sink again."""
        self.halted = why
        self.barren = 0
        self.postpone(until)

    def postpone(self, until: float) -> None:
        """Send nothing until then, and ask the sink first."""
        self.next = None
        self.named = 0
        self.wait_until = until

    def _rewind(self, number: int) -> None:
        self.events = min(self.events, number)
        self.urgent = min(self.urgent, number)
