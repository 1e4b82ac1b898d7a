"""A Source of snapshots made up: what the publisher publishes in the tests that need no agent."""

import time
from collections.abc import Sequence
from dataclasses import replace

from packseal.core.bodies import Kind
from packseal.core.declared import Declared
from packseal.core.passport import Field, Method, Originator, Reading, Snapshot
from packseal.core.record import Header, Record
from packseal.core.sample import ClockQuality, LinkState
from packseal.publish.protocol import Described, Live, Newest

BATTERY = "urn:example:battery:1"
MINUTE_MS = 60_000
VALUES = {
    Field.STATE_OF_CHARGE: 71.25,
    Field.CAPACITY_THROUGHPUT: 1234.5,
    Field.FULL_EQUIVALENT_CYCLES: 61.5,
    Field.REMAINING_CAPACITY: 48.7,
    Field.CAPACITY_FADE: 2.6,
    Field.REMAINING_POWER_AT_80: 9000.0,
    Field.DEEP_DISCHARGE_EVENTS: 2.0,
    Field.ACCIDENTS: 0.0,
    Field.TEMPERATURE: 23.5,
    Field.TIME_EXTREME_HIGH: 12.5,
    Field.BATTERY_STATUS: 1.0,
    Field.DATE_INTO_SERVICE: 202_703.0,
    Field.RATED_CAPACITY: 50.0,
    Field.STATE_OF_HEALTH_BMS: 99.0,
}
ORIGINATORS = {
    Field.RATED_CAPACITY: Originator.DECLARED,
    Field.BATTERY_STATUS: Originator.OPERATOR,
    Field.DATE_INTO_SERVICE: Originator.OPERATOR,
    Field.ACCIDENTS: Originator.OPERATOR,
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def snapshot(at_ms: int, **values: float | None) -> Snapshot:
    """A snapshot of VALUES; others by the fields' keys, None leaves one out."""
    given = {**{field.key: value for field, value in VALUES.items()}, **values}
    readings = [
        Reading(f, given[f.key], None, ORIGINATORS.get(f, Originator.DERIVED), Method.TRAPEZOID, at_ms)
        for f in Field
        if given.get(f.key) is not None
    ]
    return Snapshot(readings)


class MadeUpSource:
    """What the test puts in `snapshots`, by battery."""

    def __init__(self, *batteries: str, category: str | None = "lmt") -> None:
        self.gateway = "urn:example:gateway"
        self.quality = ClockQuality.NTP
        self.snapshots: dict[str, Snapshot] = {}
        self._described = tuple(Described(b, Declared(category=category)) for b in batteries or (BATTERY,))

    def put(self, at_ms: int, battery: str = BATTERY, **values: float | None) -> None:
        self.snapshots[battery] = snapshot(at_ms, **values)

    def batteries(self) -> Sequence[Described]:
        return self._described

    async def newest(self, subject: str) -> Newest | None:
        found = self.snapshots.get(subject)
        if found is None:
            return None
        at_ms = max(r.last_update_ms for r in found.readings)
        header = Header(bytes(16), 1, bytes(32), bytes(16), 0, at_ms, self.quality)
        record = Record(b"", self.gateway, subject, -8, b"", header, Kind.SNAPSHOT, replace(found))
        return Newest(subject, bytes(16), 1, at_ms, record, found)

    async def end(self, subject: str) -> int:  # noqa: ARG002
        return 2

    async def happenings(self, subject: str, start: int) -> tuple[Sequence[Record], int]:  # noqa: ARG002
        return (), start

    def live(self, subject: str) -> Live:  # noqa: ARG002
        return Live(LinkState.HEALTHY)
