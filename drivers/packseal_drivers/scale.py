"""Scale: a value that jumps by a power of ten and stays, as after an update that changed a unit.

Only of values that no battery can change so within seconds: cell voltages, capacities, health and the large counters. A
pack's voltage falls to a tenth where it is measured behind contactors, so there only a factor of 100 or 1000 counts.
"""

from dataclasses import dataclass

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, EventCode, LinkCounts, Notice, Sample

FACTORS = (0.001, 0.01, 0.1, 10, 100, 1000)
TOLERANCE = 0.02
"""Of the factor: a cell's voltage moves by less between two samples, and a power of ten is rarely met by chance."""
STAYS_TOLERANCE = 0.05
"""Of the value after the jump: what follows it may be so far away."""
STAYS, STAYS_NS = 5, 2 * NS_PER_S
"""So many samples in a row at the new scale, over so long; a single one is a fault of its own and no change of unit."""
WITHIN_NS = 10 * NS_PER_S
AGAIN_NS = 3600 * NS_PER_S
"""A value is compared with none that is older than the first; a quantity is told of again no sooner than the second."""

LEAST = {
    Quantity.CELL_VOLTAGE_V: 0.001,
    Quantity.CELL_VOLTAGE_MIN_V: 0.001,
    Quantity.CELL_VOLTAGE_MAX_V: 0.001,
    Quantity.PACK_VOLTAGE_V: 0.001,
    Quantity.FULL_CHARGE_CAPACITY_AH: 0.001,
    Quantity.STATE_OF_HEALTH_PCT: 0.001,
    Quantity.CHARGE_CHARGED_AH: 100.0,
    Quantity.CHARGE_DISCHARGED_AH: 100.0,
    Quantity.ENERGY_CHARGED_KWH: 100.0,
    Quantity.ENERGY_DISCHARGED_KWH: 100.0,
}
"""What is watched, from which value on: a young counter may well rise tenfold in seconds."""


@dataclass(slots=True)
class _Trace:
    """The last trusted value and when; what it may have jumped to, and how often that came in a row."""

    value: float
    at_ns: int
    jumped: float = 0.0
    jumped_ns: int = 0
    stayed: int = 0
    factor: float = 1.0


class ScaleWatch:
    """Samples in, notices out; pure. Counts what it tells, and tells of each quantity at most once an hour."""

    def __init__(self, counts: LinkCounts) -> None:
        self._counts = counts
        self._traces: dict[Channel, _Trace] = {}
        self._told_ns: dict[Quantity, int] = {}

    def feed(self, sample: Sample) -> list[Notice]:
        """Account for one sample."""
        notices: list[Notice] = []
        for channel, value in sample.values.items():
            if channel.quantity not in LEAST or value <= 0:
                continue
            trace = self._traces.get(channel)
            if trace is None:
                self._traces[channel] = _Trace(value, sample.at.mono_ns)
            elif (factor := _step(trace, value, sample.at.mono_ns, LEAST[channel.quantity])) is not None:
                notices += self._tell(channel.quantity, factor, sample)
        return notices

    def _tell(self, quantity: Quantity, factor: float, sample: Sample) -> list[Notice]:
        if quantity is Quantity.PACK_VOLTAGE_V and factor in (0.1, 10):
            return []
        self._counts.rescaled += 1
        told_ns = self._told_ns.get(quantity)
        if told_ns is not None and sample.at.mono_ns - told_ns < AGAIN_NS:
            return []
        self._told_ns[quantity] = sample.at.mono_ns
        facts: dict[str, int | str] = {"quantity": quantity.key, "factor": f"{factor:g}"}
        return [Notice(EventCode.SCALE_CHANGED, sample.at, facts)]


def _step(trace: _Trace, value: float, now_ns: int, least: float) -> float | None:
    """Return the factor by which the value has changed for good, once, when that is certain."""
    if trace.stayed and abs(value - trace.jumped) <= STAYS_TOLERANCE * trace.jumped:
        trace.stayed += 1
        if trace.stayed < STAYS or now_ns - trace.jumped_ns < STAYS_NS:
            return None
        trace.value, trace.at_ns, trace.stayed = value, now_ns, 0
        return trace.factor
    ratio = value / trace.value
    factor = next((f for f in FACTORS if abs(ratio - f) <= TOLERANCE * f), None)
    if factor is not None and trace.value >= least and now_ns - trace.at_ns <= WITHIN_NS:
        trace.jumped, trace.jumped_ns, trace.stayed, trace.factor = value, now_ns, 1, factor
        return None
    trace.value, trace.at_ns, trace.stayed = value, now_ns, 0
    return None
