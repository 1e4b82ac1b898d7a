"""A clock that stands still until it is moved."""

from packseal.core.sample import ClockQuality, Instant

WALL_NS = 1_800_000_000_000_000_000


class HandClock:
    """Moved by hand; both clocks run alike."""

    def __init__(self, mono_ns: int = 10_000_000_000) -> None:
        self.mono_ns = mono_ns

    def now(self) -> Instant:
        return instant(self.mono_ns)


def instant(mono_ns: int) -> Instant:
    return Instant(mono_ns, WALL_NS + mono_ns, ClockQuality.NTP)
