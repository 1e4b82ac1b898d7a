"""When a passport's backend is sent a value: at once, when it has changed enough, and at least daily.

Every update makes the backend archive a version of the passport (EN 18221), so a value is not sent for its noise. The
law has no interval for "up to date" (Regulation (EU) 2023/1542 Article 77(4)); its Recital 46 has "at least daily" for
what the BMS holds. To send on a threshold of variance is the Battery Pass Content Guidance's advice (v1.1, ch. 5.1.5).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from packseal.core.passport import Field

DAY_MS = 86_400_000


class Threshold(NamedTuple):
    """How far a value must be from the one sent last: by `absolute`, in its unit, or by `relative`, a share of it."""

    absolute: float
    relative: float
    why: str


_ANY = "an event: each is told at once"
_STATUS = "the buyer decides on the values of a change of status, so they are told at once"
_DIN_WHOLE = "DIN DKE SPEC 99100 has whole percent"
_SUM = "a sum that only grows: a hundredth more says nothing new to a reader"
_HOUR = "minutes add up to years; an hour is what a reader can weigh"
_ESTIMATE = "below what the estimate itself is uncertain by"

THRESHOLDS: Mapping[Field, Threshold] = {
    Field.STATE_OF_CHARGE: Threshold(5, 0, "what UN GTR 22 allows a monitor to be off; it moves all day"),
    Field.TEMPERATURE: Threshold(5, 0, "half of the usual steps of temperature histograms, 10 °C"),
    Field.STATE_OF_CERTIFIED_ENERGY: Threshold(1, 0, "the resolution that UN GTR 22 asks of the monitor"),
    Field.CAPACITY_THROUGHPUT: Threshold(0, 0.01, _SUM),
    Field.ENERGY_THROUGHPUT: Threshold(0, 0.01, _SUM),
    Field.FULL_EQUIVALENT_CYCLES: Threshold(1, 0, "the models have whole cycles"),
    Field.TIME_EXTREME_HIGH: Threshold(60, 0, _HOUR),
    Field.TIME_EXTREME_LOW: Threshold(60, 0, _HOUR),
    Field.TIME_EXTREME_HIGH_CHARGING: Threshold(60, 0, _HOUR),
    Field.TIME_EXTREME_LOW_CHARGING: Threshold(60, 0, _HOUR),
    Field.DEEP_DISCHARGE_EVENTS: Threshold(0, 0, _ANY),
    Field.OVERCHARGE_EVENTS: Threshold(0, 0, _ANY),
    Field.ACCIDENTS: Threshold(0, 0, _ANY),
    Field.BATTERY_STATUS: Threshold(0, 0, _STATUS),
    Field.RATED_CAPACITY: Threshold(0, 0, _STATUS),
    Field.POWER_AT_80: Threshold(0, 0, _STATUS),
    Field.POWER_AT_20: Threshold(0, 0, _STATUS),
    Field.ROUND_TRIP_EFFICIENCY: Threshold(0, 0, _STATUS),
    Field.REMAINING_CAPACITY: Threshold(0, 0.01, _ESTIMATE),
    Field.REMAINING_ENERGY: Threshold(0, 0.01, _ESTIMATE),
    Field.REMAINING_POWER_AT_80: Threshold(0, 0.05, _ESTIMATE),
    Field.REMAINING_POWER_AT_20: Threshold(0, 0.05, _ESTIMATE),
    Field.REMAINING_ROUND_TRIP_EFFICIENCY: Threshold(1, 0, _DIN_WHOLE),
    Field.CAPACITY_FADE: Threshold(1, 0, _DIN_WHOLE),
    Field.POWER_FADE: Threshold(1, 0, _DIN_WHOLE),
    Field.ROUND_TRIP_EFFICIENCY_FADE: Threshold(1, 0, _DIN_WHOLE),
    Field.INTERNAL_RESISTANCE_INCREASE: Threshold(5, 0, _ESTIMATE),
    Field.SELF_DISCHARGE_RATE: Threshold(0.5, 0, _ESTIMATE),
    Field.SELF_DISCHARGE_EVOLUTION: Threshold(5, 0, _ESTIMATE),
}
"""The defaults: the greater of both counts; with both 0 any change does. A field that is not here is sent daily."""


class Due(Enum):
    """Why a value is sent."""

    FIRST = "never sent before"
    STATUS = "the battery's status changed"
    EVENT = "it happened"
    VARIANCE = "it changed by its threshold"
    DAILY = "a day has passed"

    @property
    def at_once(self) -> bool:
        """Whether it may not wait for the pace of ordinary updates."""
        return self in (Due.STATUS, Due.EVENT)


@dataclass(frozen=True, slots=True)
class Sent:
    """What the backend took last of one element: its values, their time and when it took them, UTC ms."""

    values: Mapping[Field, float]
    last_update_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Policy:
    """`thresholds`: absolute ones in place of the defaults, in the field's unit. `longest_ms`: between two updates."""

    thresholds: Mapping[Field, float] = field(default_factory=dict)
    longest_ms: int = DAY_MS

    def due(self, values: Mapping[Field, float], last_update_ms: int, sent: Sent | None, now_ms: int) -> Due | None:
        """Return why an element with these values is to be sent now; None when it is not, or is no newer."""
        if sent is None:
            return Due.FIRST
        if last_update_ms <= sent.last_update_ms:
            return None
        changed = [f for f, value in values.items() if self._is_far(f, value, sent.values.get(f))]
        if Field.BATTERY_STATUS in changed:
            return Due.STATUS
        if any(THRESHOLDS[f][:2] == (0, 0) and f not in self.thresholds for f in changed if f in THRESHOLDS):
            return Due.EVENT
        if changed:
            return Due.VARIANCE
        # A clock that was set back must not put the update off for ever.
        return Due.DAILY if abs(now_ms - sent.at_ms) >= self.longest_ms else None

    def _is_far(self, which: Field, value: float, sent: float | None) -> bool:
        if sent is None:
            return True
        if (absolute := self.thresholds.get(which)) is not None:
            return value != sent and abs(value - sent) >= absolute
        threshold = THRESHOLDS.get(which)
        if threshold is None:
            return False
        return value != sent and abs(value - sent) >= max(threshold.absolute, threshold.relative * abs(sent))
