"""Budget: how many bytes one link may carry, per second and per UTC day. Pure: every time is passed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from packseal.uplink.terms import Take

BURST_S = 2.0
"""What may go at once after a pause, in seconds of the rate."""
RESERVE = 0.05
"""The last part of a day's budget is kept for events, gaps and lifecycle records."""
STEPS_PER_DAY = 64
"""In so many steps a day's budget is put on record: a crash costs at most one of them, and never gives one back."""
MIN_STEP_BYTES = 4096
KEPT_DAYS = 4
"""A machine without a clock of its own starts in the past; the day it then comes back to must still be known."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None is without limit."""

    bytes_per_s: float | None = None
    bytes_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What is counted beside the bytes of requests and replies (docs/uplinks.md has what was measured).

    Args:
        connection: bytes per connection: TCP, TLS with certificates of both sides, MQTT's own greeting.
        exchange: bytes per request and reply: headers, properties, acknowledgements.
        share: per byte carried: TCP, IP and TLS around each packet.
        idle_per_s: bytes per second for which the connection is merely held.
    """

    connection: int = 6000
    exchange: int = 800
    share: float = 0.05
    idle_per_s: float = 0.0


class Budget:
    """What one link has carried, and what it still may.

    Args:
        limits: of this link.
        days: bytes by UTC day (ISO 8601), as `on_record` gave them before.
    """

    def __init__(self, limits: Limits | None = None, days: Mapping[str, int] | None = None) -> None:
        self.limits = limits or Limits()
        self._days = dict(days or {})
        self._recorded = dict(self._days)
        self._free_at = 0.0  # when all that was sent would have been sent at the rate

    def spend(self, count: float, mono_s: float, wall_s: float) -> None:
        """Note that `count` bytes have crossed the link."""
        if self.limits.bytes_per_s is not None:
            self._free_at = max(self._free_at, mono_s - BURST_S) + count / self.limits.bytes_per_s
        day = _day(wall_s)
        self._days[day] = self._days.pop(day, 0) + round(count)  # the day last used stands last
        while len(self._days) > KEPT_DAYS:
            self._days.pop(next(iter(self._days)))

    def wait_s(self, mono_s: float) -> float:
        """Return how long to wait until the rate allows the next request."""
        return max(0.0, self._free_at - mono_s)

    def spent(self, wall_s: float) -> int:
        """Return the bytes of this UTC day."""
        return self._days.get(_day(wall_s), 0)

    def take(self, wall_s: float) -> Take:
        """Return what the day's budget still allows."""
        if self.limits.bytes_per_day is None:
            return Take.EVERYTHING
        share = self.spent(wall_s) / self.limits.bytes_per_day
        return Take.NOTHING if share >= 1 else Take.EVENTS if share >= 1 - RESERVE else Take.EVERYTHING

    def on_record(self, wall_s: float) -> Mapping[str, int] | None:
        """Return what must now be put on record, rounded up to the next step; None while the last record covers it."""
        if self.limits.bytes_per_day is None or self.spent(wall_s) <= self._recorded.get(_day(wall_s), 0):
            return None
        step = max(MIN_STEP_BYTES, self.limits.bytes_per_day // STEPS_PER_DAY)
        self._recorded = {**self._days, _day(wall_s): self.spent(wall_s) + step}
        return self._recorded

    def renewed_at(self, wall_s: float) -> datetime:
        """Return when the next UTC day begins."""
        today = datetime.fromtimestamp(wall_s, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return today + timedelta(days=1)


def _day(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).date().isoformat()
