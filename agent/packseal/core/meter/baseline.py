"""Baseline: capacity, power and efficiency as they stood when the battery's status was last set (Annex XIII 4(a)).

At begin of life they are what the manufacturer declares. A change of status, a replaced module or a replaced BMS begins
a new baseline: each value is what its family said at that moment or, where it said nothing then, what it says first
afterwards. What was measured on a replaced module says nothing of the battery as it is now, and a BMS may go on
stating the capacity of the old one: after a module was replaced only what we derived since counts.
"""

from collections.abc import Mapping

import msgspec

from packseal.core.bodies import LifecycleCode
from packseal.core.declared import Declared
from packseal.core.passport import Field, Method, Missing, Originator, Reading

SOURCES = {
    Field.RATED_CAPACITY: (Field.REMAINING_CAPACITY, "rated_capacity_ah"),
    Field.POWER_AT_80: (Field.REMAINING_POWER_AT_80, "initial_power_at_80_w"),
    Field.POWER_AT_20: (Field.REMAINING_POWER_AT_20, "initial_power_at_20_w"),
    Field.ROUND_TRIP_EFFICIENCY: (Field.REMAINING_ROUND_TRIP_EFFICIENCY, "initial_round_trip_efficiency_pct"),
}
"""Where each value comes from: another field after a change of status, declared data before it."""
BEGINS = (LifecycleCode.STATUS_CHANGED, LifecycleCode.MODULE_REPLACED, LifecycleCode.BMS_REPLACED)
AT_MARKET = (None, "original")


class Kept(msgspec.Struct, array_like=True):
    """A value with its UTC time in milliseconds, its uncertainty and who it comes from."""

    value: float
    last_update_ms: int
    uncertainty: float | None
    originator: int


class BaselineState(msgspec.Struct):
    """The values of this baseline by field key; when it and the last module replacement began, UTC ms, 0 for never."""

    since_ms: int = 0
    module_ms: int = 0
    kept: dict[str, Kept] = msgspec.field(default_factory=dict)


class Baseline:
    """Keeps the values as of the last change."""

    def __init__(self, declared: Declared, state: BaselineState) -> None:
        self._declared = declared
        self.state = state

    @property
    def _at_begin_of_life(self) -> bool:
        return not self.state.since_ms and self._declared.status in AT_MARKET

    def mark(self, code: LifecycleCode, wall_ms: int, there: Mapping[Field, Reading]) -> None:
        """Begin a new baseline with what the other families say now, where `code` does that."""
        if code not in BEGINS:
            return
        state = self.state
        state.since_ms, state.kept = wall_ms, {}
        if code is LifecycleCode.MODULE_REPLACED:
            state.module_ms = wall_ms
        self.take(there)

    def take(self, there: Mapping[Field, Reading]) -> None:
        """Take over what the baseline has no value of yet."""
        if self._at_begin_of_life:
            return
        for field, (source, _) in SOURCES.items():
            reading = there.get(source)
            if field.key in self.state.kept or reading is None or reading.value is None:
                continue
            at_ms, module_ms = reading.last_update_ms, self.state.module_ms
            if not module_ms or (at_ms > module_ms and reading.originator is Originator.DERIVED):
                self.state.kept[field.key] = Kept(reading.value, at_ms, reading.uncertainty, int(reading.originator))

    def readings(self, declared_ms: int) -> list[Reading]:
        """Return the four fields; `declared_ms` is the UTC time of the declaration."""
        return [self._reading(field, name, declared_ms) for field, (_, name) in SOURCES.items()]

    def _reading(self, field: Field, name: str, declared_ms: int) -> Reading:
        if self._at_begin_of_life:
            value = getattr(self._declared, name)
            if value is None:
                return Reading(field, missing=Missing.NOT_DECLARED)
            return Reading(field, value, None, Originator.DECLARED, Method.ENTERED, declared_ms)
        kept = self.state.kept.get(field.key)
        if kept is None:
            return Reading(field, missing=Missing.NO_EVIDENCE)
        who = Originator(kept.originator)
        return Reading(field, kept.value, None, who, Method.AT_STATUS_CHANGE, kept.last_update_ms, kept.uncertainty)
