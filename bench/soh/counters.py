"""Counters: throughput of the meter against the tester's own Ah counter and against direct integration."""

from bench.soh import recorded
from bench.soh.stream import A, Outcome, T, V
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.passport import Field
from packseal.core.sample import ClockQuality, Instant, Sample

BETWEEN_S = 3600


def panasonic_off(outcome: Outcome) -> float:
    """Return by how many percent the throughput is off the tester's counter, summed up over its changes."""
    moved, before = 0.0, (-1, 0.0)
    for number, ah in recorded.panasonic_ah():
        if number == before[0]:
            moved += abs(ah - before[1])
        before = number, ah
    found = {r.field: r.value for r in outcome.meter.snapshot().readings}[Field.CAPACITY_THROUGHPUT] or 0.0
    return 100 * (found / moved - 1)


def trips_off() -> float:
    """Return by how many percent the throughput of the BMW i3's drives is off a direct trapezoidal integration."""
    meter = Meter(Declared(rated_capacity_ah=60), frozenset(c.quantity for c in (V, A, T)))
    base_s, direct_as = 0.0, 0.0
    for rows in recorded.trips().values():
        last: tuple[float, float] | None = None
        now_s = base_s
        for t_s, volts, amps, warm in rows:
            now_s = base_s + t_s
            at = Instant(round(now_s * 1e9) + 1, round(now_s * 1e9) + 10**18, ClockQuality.NTP)
            meter.feed(Sample(at, {V: volts, A: amps, T: warm}))
            if last is not None:
                direct_as += (t_s - last[0]) * (abs(amps) + abs(last[1])) / 2
            last = t_s, amps
        base_s = now_s + BETWEEN_S
    found = {r.field: r.value for r in meter.snapshot().readings}[Field.CAPACITY_THROUGHPUT] or 0.0
    return 100 * (3600 * found / direct_as - 1)
