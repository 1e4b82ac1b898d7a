"""Row: one line of the table, with its gate; and how two contenders are timed side by side.

A ratio is taken per round, both contenders in turn within it, on CPU time: other work on the machine slows both.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

QUARTERS = 4


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles of some rounds; all three are the same for what was counted once."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Gate:
    """What a median must keep to."""

    limit: float
    at_least: bool

    def holds(self, value: float) -> bool:
        """Return whether `value` keeps to it."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. The gate is on `ratio` where there is one, else on `ours`; without a gate it is only reported.

    `trouble` says why the figures do not count, such as unequal results, and fails the row; `skipped` says why it
    could not be measured here.
    """

    name: str
    unit: str
    ours: Spread | None = None
    peer: Spread | None = None
    ratio: Spread | None = None
    gate: Gate | None = None
    note: str = ""
    trouble: str = ""
    skipped: str = ""

    @property
    def verdict(self) -> str:
        """Return pass, FAIL, skipped, or nothing for what is only reported."""
        gated = self.ratio or self.ours
        if self.trouble:
            return "FAIL"
        if self.skipped:
            return "skipped"
        if self.gate is None or gated is None:
            return ""
        return "pass" if self.gate.holds(gated.median) else "FAIL"


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure, and whom to tell how far it is (from 0 to 1)."""

    quick: bool
    tell: Callable[[float], None]

    def of(self, full: int, quick: int) -> int:
        """Return how many, for a full or a quick run."""
        return quick if self.quick else full


def spread(values: Sequence[float]) -> Spread:
    """Return the quartiles of `values`."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, _, high = statistics.quantiles(values, n=QUARTERS, method="inclusive")
    return Spread(low, statistics.median(values), high)


def once(value: float) -> Spread:
    """Return the spread of what was counted, not timed."""
    return Spread(value, value, value)


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds that this thread spends on `work`."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def interleaved(
    ours: Callable[[], object], peer: Callable[[], object], rounds: int, effort: Effort
) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of both, one of each per round, after a round that warms up and does not count."""
    ours()
    peer()
    mine, theirs = [], []
    for number in range(rounds):
        mine.append(cpu_s(ours))
        theirs.append(cpu_s(peer))
        effort.tell((number + 1) / rounds)
    return mine, theirs


def compared(ours: Sequence[float], peer: Sequence[float], scale: float) -> tuple[Spread, Spread, Spread]:
    """Return both contenders' spreads, multiplied by `scale`, and that of peer over ours, taken round by round."""
    ratios = [theirs / mine for mine, theirs in zip(ours, peer, strict=True)]
    return spread([x * scale for x in ours]), spread([x * scale for x in peer]), spread(ratios)
