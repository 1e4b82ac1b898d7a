"""One body of every kind that uses every part of it."""

from packseal.core import columns
from packseal.core.bodies import Body, Event, Gap, GapCause, Lifecycle, LifecycleCode, Telemetry
from packseal.core.passport import Field, Method, Missing, Originator, Reading, Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Flaw, Instant, Sample

WALL_MS = 1_800_000_000_000
CURRENT, VOLTAGE = Channel(Quantity.PACK_CURRENT_A), Channel(Quantity.PACK_VOLTAGE_V)


def snapshot() -> Snapshot:
    readings = (
        Reading(Field.STATE_OF_CHARGE, 81.5, None, Originator.BMS, Method.AS_REPORTED, WALL_MS - 700),
        Reading(
            Field.CAPACITY_THROUGHPUT, 12.345, None, Originator.DERIVED, Method.TRAPEZOID, WALL_MS - 700, 0.061, 0.987
        ),
        Reading(Field.CAPACITY_FADE, missing=Missing.NOT_DECLARED),
    )
    return Snapshot(readings, {VOLTAGE: 391.2, CURRENT: -30.25}, (3700, 3702, None, 3699, 0), WALL_MS - 86_400_000)


def window() -> Telemetry:
    samples = [
        Sample(
            Instant((10 + i) * 10**9, 0, ClockQuality.NTP),
            {CURRENT: i - 30.25},
            {VOLTAGE: Flaw.NOT_A_NUMBER} if i % 2 else {},
        )
        for i in range(60)
    ]
    return Telemetry(10_000, WALL_MS, 60, 59_000, columns.pack(samples))


BODIES: list[Body] = [
    Lifecycle(LifecycleCode.LOG_BEGUN, {"agent": "packseal", "digest": b"\x00\xff"}),
    window(),
    snapshot(),
    Event(EventCode.BUS_OFF, {"count": 3, "channel": "can0"}),
    Gap(GapCause.UNCLEAN_STOP, WALL_MS, WALL_MS + 5000, {"windows": 1}),
    Lifecycle(LifecycleCode.CLOCK_STEPPED, {"step_ms": -31_536_000_000}),
]
