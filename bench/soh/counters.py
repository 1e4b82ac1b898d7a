"""Counters: throughput of the meter against the tester's own Ah counter and against direct integration."""

from dataclasses import replace
from itertools import pairwise

from bench.soh import recorded
from bench.soh.stream import A, Row, Stream, T, V, samples
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.meter.interval import GAP_LIMIT_S
from packseal.core.passport import Field
from packseal.core.sample import ClockQuality, Instant, Sample

BETWEEN_S = 3600
DENSE_ROWS = 3000


def panasonic_off(stream: Stream) -> float:
    """Return by how many percent the charge through the meter is off the tester's counter, segment by segment.

    Of segments without a gap; the counter begins anew in each. Its net change is what it gives without rounding.
    """
    segments: dict[int, list[tuple[Row, float]]] = {}
    for row, (number, ah) in zip(stream.rows, recorded.panasonic_ah(), strict=True):
        segments.setdefault(number, []).append((row, ah))
    ours, theirs = 0.0, 0.0
    for rows in segments.values():
        net = rows[-1][1] - rows[0][1]
        if len(rows) < DENSE_ROWS or any(b[0][1] - a[0][1] > GAP_LIMIT_S for a, b in pairwise(rows)):
            continue
        meter = Meter(stream.declared, frozenset(c.quantity for c in (V, A, T)))
        for sample, _ in samples(replace(stream, rows=[row for row, _ in rows])):
            meter.feed(sample)
        found = {r.field: r.value or 0.0 for r in meter.snapshot().readings}
        ours += abs(found[Field.CAPACITY_CHARGED] - found[Field.CAPACITY_DISCHARGED])
        theirs += abs(net)
    return 100 * (ours / theirs - 1)


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
