"""Present values: what a workshop looks at first, kept while it is not stale."""

from collections import deque
from collections.abc import Mapping, Sequence

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Sample

PRESENT = (
    Channel(Quantity.PACK_VOLTAGE_V),
    Channel(Quantity.PACK_CURRENT_A),
    Channel(Quantity.TEMPERATURE_C),
    Channel(Quantity.TEMPERATURE_MAX_C),
    Channel(Quantity.TEMPERATURE_MIN_C),
    Channel(Quantity.CELL_VOLTAGE_MAX_V),
    Channel(Quantity.CELL_VOLTAGE_MIN_V),
)
MAX_SNAPSHOT_CELLS = 400
"""An 800 V pack has about 220 cells in series; more is a mistake in a profile."""

ABSURD_V = 1e9
"""What no telemetry column holds either (columns.ABSURD), and no number at all, is not kept as a cell's voltage."""


MAX_SAMPLES = 4096
"""Bound on what is kept: 10 s at 400 samples/s."""


class Present:
    """Keeps the newest samples as they are; values are looked for in them only when somebody asks.

    Args:
        limit_ns: nanoseconds after which a value that was not said again is stale.
    """

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self._cells = 0

    def feed(self, sample: Sample) -> None:
        """Take in one sample and let go of the stale ones."""
        samples, oldest_ns = self._samples, sample.at.mono_ns - self._limit_ns
        samples.append(sample)
        while samples[0].at.mono_ns < oldest_ns:
            samples.popleft()

    def values(self) -> tuple[Mapping[Channel, float], Sequence[int | None]]:
        """Return the pack-level values, and the cells in millivolts by their numbers, None for one not known."""
        newest: dict[Channel, float] = {}
        for sample in self._samples:
            newest.update(sample.values)
        present = {channel: newest[channel] for channel in PRESENT if channel in newest}
        cells = {
            channel.index: round(value * 1000)
            for channel, value in newest.items()
            if channel.quantity is Quantity.CELL_VOLTAGE_V
            and channel.index < MAX_SNAPSHOT_CELLS
            and abs(value) < ABSURD_V
        }
        self._cells = max(self._cells, max(cells, default=-1) + 1)
        return present, [cells.get(i) for i in range(self._cells)] if cells else []
