"""What people have entered: status, month put into service, expected life, accidents on record."""

from collections.abc import Mapping

from packseal.core.bodies import LifecycleCode
from packseal.core.changes import Told, as_said
from packseal.core.declared import STATUSES, Declared
from packseal.core.meter.view import View
from packseal.core.passport import Field, Method, Missing, Originator, Reading


class Entered:
    """Readings of declared data, each as of when the log said it first.

    Args:
        declared: the battery's static data as they are now.
        told: how far the log is; `mark` brings it on.
    """

    def __init__(self, declared: Declared, told: Told) -> None:
        self._declared = declared
        self.told = told

    def feed(self, view: View) -> None:
        """Take the first sample's time for that of the declaration where the log was not told of it."""
        if not self.told.said_ms:
            self.told.said_ms = view.wall_ms

    def mark(self, code: LifecycleCode, wall_ms: int, facts: Mapping[str, object]) -> None:
        """Take note of what the log is told now."""
        told = self.told
        if code in (LifecycleCode.DECLARED_CHANGED, LifecycleCode.STATUS_CHANGED, LifecycleCode.ACCIDENT):
            told.said, told.said_ms = as_said(self._declared), wall_ms
        change, entered_ms = facts.get("change"), facts.get("entered_ms")
        if isinstance(change, str) and isinstance(entered_ms, int):
            told.change, told.change_ms = change, entered_ms

    def readings(self) -> list[Reading]:
        """Return the entered fields. No accident on record is a statement only where anything was declared."""
        declared = self._declared
        status = None if declared.status is None else STATUSES.index(declared.status) + 1
        month = None if declared.date_into_service is None else int(declared.date_into_service.replace("-", ""))
        accidents = None if declared == Declared() else declared.accidents
        return [
            self._reading(Field.ACCIDENTS, accidents, Originator.OPERATOR),
            self._reading(Field.BATTERY_STATUS, status, Originator.OPERATOR),
            self._reading(Field.DATE_INTO_SERVICE, month, Originator.OPERATOR),
            self._reading(Field.EXPECTED_LIFE_CYCLES, declared.expected_life_cycles, Originator.DECLARED),
            self._reading(Field.EXPECTED_LIFE_YEARS, declared.expected_life_years, Originator.DECLARED),
        ]

    def _reading(self, field: Field, value: float | None, originator: Originator) -> Reading:
        if value is None:
            return Reading(field, missing=Missing.NOT_DECLARED)
        return Reading(field, value, None, originator, Method.ENTERED, self.told.said_ms)
