"""Lane: how far one log has been sent and receipted. Times are passed in; nothing here waits."""

from dataclasses import dataclass

from packseal.core.chain import Head

BARREN_LIMIT = 3  # answers in a row that leave the sink where it was


@dataclass(slots=True)
class Lane:
    """One log on its way to the sink.

    `next` is the sequence number to send next; None says that the sink must be asked first. `confirmed` is the first
    that no receipt covers. Nothing is asked or sent before `wait_until`. `halted` says why the log is not getting on.
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

    @property
    def outstanding(self) -> int:
        """How many records no receipt covers."""
        return max(0, self.end.next_sequence - self.confirmed)

    def asks(self, now: float) -> bool:
        """Return whether the sink should now be asked for its position."""
        return self.next is None and self.in_flight == 0 and now >= self.wait_until

    def sends(self, now: float, *, ordered: bool) -> bool:
        """Return whether a batch may go out now; several at once only where they arrive in order."""
        ready = self.next is not None and self.next < self.end.next_sequence and now >= self.wait_until
        return ready and (ordered or self.in_flight == 0)

    def forget(self) -> None:
        """Start over after a lost connection: what was under way may or may not have arrived."""
        self.next = None
        self.in_flight = 0
        self.barren = 0

    def positioned(self, position: int) -> None:
        """Take the sink's word for what it needs next."""
        self.next = self.confirmed = position

    def receipted(self, sequence: int) -> None:
        """Note that everything up to `sequence` is stored at the sink."""
        if sequence >= self.confirmed:
            self.confirmed = sequence + 1
            self.barren = self.busy = 0

    def landed(self) -> None:
        """Note that a request was answered; when the last one was and something is missing, ask again."""
        self.in_flight -= 1
        if self.in_flight == 0 and self.next is not None and self.confirmed < self.next:
            self.next = None
            self.barren += 1

    def halt(self, why: str, until: float) -> None:
        """Stop sending until `until`, then ask the sink again."""
        self.halted = why
        self.barren = 0
        self.postpone(until)

    def postpone(self, until: float) -> None:
        """Send nothing until then, and ask the sink first."""
        self.next = None
        self.wait_until = until
