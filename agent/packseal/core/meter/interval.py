"""The interval between two samples: integrated, or a gap."""

from dataclasses import dataclass

NS_PER_S = 1_000_000_000
GAP_LIMIT_S = 10.0
"""An interval longer than this, or than three declared sample periods, is a gap and is not integrated."""


@dataclass(slots=True)
class Observed:
    """How much time one counter has seen. Times in nanoseconds of the monotonic clock.

    `last_ns` is None until the first value after a start, because monotonic clocks do not run on over a restart.
    """

    covered_ns: int = 0
    gap_ns: int = 0
    last_ns: int | None = None
    usable: bool = False

    def step(self, now_ns: int, limit_ns: int) -> float:
        """Account for the interval that ends now with a usable value; return its seconds if it may be integrated.

        Both ends must be usable values and the interval no longer than `limit_ns`; otherwise it is a gap, and 0.0.
        """
        last_ns = self.last_ns
        self.last_ns = now_ns
        if last_ns is not None:
            elapsed = now_ns - last_ns
            if self.usable and 0 <= elapsed <= limit_ns:
                self.covered_ns += elapsed
                return elapsed / NS_PER_S
            if elapsed > 0:
                self.gap_ns += elapsed
        self.usable = True
        return 0.0

    def miss(self, now_ns: int) -> None:
        """Account for the interval that ends now with an unusable value: it is a gap, and so is the next."""
        if self.last_ns is not None and now_ns > self.last_ns:
            self.gap_ns += now_ns - self.last_ns
        self.last_ns, self.usable = now_ns, False

    def resume(self, gap_ns: int) -> None:
        """Begin anew after a stop of `gap_ns`: nothing is integrated over it."""
        self.gap_ns += max(0, gap_ns)
        self.last_ns, self.usable = None, False

    @property
    def coverage(self) -> float | None:
        """Share of the time since the counter began that was integrated; None before there is any."""
        total = self.covered_ns + self.gap_ns
        return self.covered_ns / total if total else None
