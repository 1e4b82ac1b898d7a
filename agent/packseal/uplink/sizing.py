"""Sizing: how large a batch should be on one link. Pure: durations are passed in."""

TARGET_S = 1.0
"""From sending a batch to its reply, with others under way: soon noticed when lost, long against any round trip."""
FIRST_BYTES = 128 << 10
GROWTH_RECORD_BYTES = 1024  # until a record was seen: about that of a telemetry window


class Sizing:
    """Doubles while replies come soon, halves when they come late or not at all.

    What holds up one batch holds up all that are under way: they are one reason to halve, not several. Else a road that
    loses packets would bring the batches down to the least, though a smaller one is not sooner there.

    Args:
        least, most: bytes of raw records in one batch.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._mean = float(GROWTH_RECORD_BYTES)
        self.batch_bytes = min(most, max(least, FIRST_BYTES))
        self._halved_at = float("-inf")

    @property
    def batch_records(self) -> int:
        """About how many records make a batch."""
        return max(1, round(self.batch_bytes / self._mean))

    @property
    def mean_bytes(self) -> float:
        """About how large a record is."""
        return self._mean

    def packed(self, records: int, size: int) -> None:
        """Learn from a batch how large records are."""
        if records:
            self._mean += (size / records - self._mean) * min(1.0, records / 100)

    def landed(self, sent_at: float, now: float) -> None:
        """Learn when a batch was sent and that it has its reply now, both by one clock in seconds."""
        if now - sent_at <= TARGET_S:
            self.batch_bytes = min(self._most, self.batch_bytes * 2)
        elif now - sent_at > 2 * TARGET_S and sent_at >= self._halved_at:
            self._halved_at = now
            self.lost()

    def lost(self) -> None:
        """Learn that a batch got no reply: it may have been too large for a slow link or a strict broker."""
        self.batch_bytes = max(self._least, self.batch_bytes // 2)
