"""The interval between two samples: integrated, or a gap."""

import msgspec

NS_PER_S = 1_000_000_000
GAP_LIMIT_S = 10.0
"""An interval longer than this, or than three declared sample periods, is a gap and is not integrated."""


class Observed(msgspec.Struct):
    """How much time one counter has seen. Times in nanoseconds of the monotonic clock.

    `last_ns` is None until the first value after a start, because monotonic clocks do not run on over a restart.
    """

    covered_ns: int = 0
    gap_ns: int = 0
    last_ns: int | None = None
    usable: bool = False

    def step(self, now_ns: int, *, usable: bool, limit_ns: int) -> float:
        """Account for the interval that ends now; return its seconds if it may be integrated, else 0.0.

        Both ends must be usable values and the interval no longer than `limit_ns`; otherwise it is a gap.
        """
        last_ns, was_usable = self.last_ns, self.usable
        self.last_ns, self.usable = now_ns, usable
        if last_ns is None or now_ns < last_ns:
            return 0.0
        elapsed = now_ns - last_ns
        if usable and was_usable and elapsed <= limit_ns:
            self.covered_ns += elapsed
            return elapsed / NS_PER_S
        self.gap_ns += elapsed
        return 0.0

    def resume(self, gap_ns: int) -> None:
        """Begin anew after a stop of `gap_ns`: nothing is integrated over it."""
        self.gap_ns += max(0, gap_ns)
        self.last_ns, self.usable = None, False

    @property
    def coverage(self) -> float | None:
        """Share of the time since the counter began that was integrated; None before there is any."""
        total = self.covered_ns + self.gap_ns
        return self.covered_ns / total if total else None
