"""Told: what the battery's BMS has said and when, to hold against it every value that was sealed."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from packseal.core.bodies import Telemetry
from packseal.core.quantities import Channel
from packseal.core.record import Record

WINDOW_S = 4.0
"""Between what was said and the time of its sample: a round of questions, and what the two clocks are apart.

A scenario whose profile asks more slowly states its own.
"""


class Told:
    """What was said, of the quantities with these keys. Add to it whenever the battery is asked what it says."""

    def __init__(self, keys: Collection[str], window_s: float = WINDOW_S) -> None:
        self._keys = frozenset(keys)
        self._window_s = window_s
        self._said: list[tuple[float, dict[Channel, float]]] = []

    def take(self, values: Mapping[Channel, float]) -> None:
        """Note what is said now."""
        if self._keys:
            wanted = {channel: value for channel, value in values.items() if channel.quantity.key in self._keys}
            self._said.append((time.time(), wanted))

    def range(self, channel: Channel, wall_s: float) -> tuple[float, float] | None:
        """Return the least and the greatest that was said of a channel around that time; None where nothing was."""
        near = [said[channel] for at_s, said in self._said if abs(at_s - wall_s) <= self._window_s and channel in said]
        return (min(near), max(near)) if near else None


def sealed(records: Iterable[Record], key: str) -> Iterator[tuple[float, Channel, float]]:
    """Yield every sealed value of the quantity with this key: wall time in seconds, channel, value."""
    for record in records:
        body = record.body
        if not isinstance(body, Telemetry):
            continue
        for mono_ms, values, _ in body.rows():
            wall_s = (body.first_wall_ms + mono_ms - body.first_mono_ms) / 1000
            for channel, value in values.items():
                if channel.quantity.key == key:
                    yield wall_s, channel, value
