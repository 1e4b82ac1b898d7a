"""What the estimator needs of one sample."""

from typing import Protocol


class Seen(Protocol):
    """What is needed of a sample, see `packseal.core.meter.view.View`."""

    mono_ns: int
    wall_ms: int
    current_a: float | None
    cell_v: float | None
    lowest_v: float | None
    highest_v: float | None
    hottest_c: float | None
    coldest_c: float | None
