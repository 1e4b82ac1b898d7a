"""Recovery: a meter state made of a snapshot, where the saved one is damaged or from a newer version.

Counters go on from what the log last said of them, at the resolution of its records; what a snapshot does not hold
(histograms, open events, estimates' evidence) begins anew.
"""

from packseal.core.capacity import kalman
from packseal.core.meter.baseline import SOURCES as STOOD
from packseal.core.meter.baseline import Kept
from packseal.core.meter.counters import Followed
from packseal.core.meter.exposure import FIELDS as EXTREMES
from packseal.core.meter.exposure import SECONDS_PER_MINUTE
from packseal.core.meter.interval import Observed
from packseal.core.meter.state import MeterState
from packseal.core.meter.throughput import AS_PER_AH, WS_PER_KWH
from packseal.core.meter.usage import FIELDS as MODES
from packseal.core.meter.usage import HIGHEST_SOC_STEP, NO_TEMPERATURE, PER_SOC_STEP, SECONDS_PER_HOUR
from packseal.core.passport import Field, Method, Originator, Reading, Snapshot

NS_PER_MS = 1_000_000
CAPACITY_SD = 0.05
"""Relative, of a capacity whose uncertainty the snapshot does not say."""


def recovered(snapshot: Snapshot) -> MeterState:
    """Return a state whose counters stand as the snapshot says."""
    state = MeterState(began_wall_ms=snapshot.began_ms)
    there = {r.field: r for r in snapshot.readings if r.value is not None}
    state.last_wall_ms = max((r.last_update_ms for r in there.values()), default=0)
    _throughput(state, there)
    _exposure(state, there)
    _usage(state, there)
    _baseline(state, there)
    state.abuse.deep.count = int(_value(there, Field.DEEP_DISCHARGE_EVENTS))
    state.abuse.over.count = int(_value(there, Field.OVERCHARGE_EVENTS))
    for field, band in ((Field.DEEP_DISCHARGE_EVENTS, state.abuse.deep), (Field.OVERCHARGE_EVENTS, state.abuse.over)):
        band.last_wall_ms, band.observed = _when(there, field), _observed(there.get(field), snapshot.began_ms)
    for field in (Field.CYCLES_BMS, Field.CAPACITY_DISCHARGED_BMS, Field.ENERGY_DISCHARGED_BMS):
        if field in there:
            state.counters.followed[field.key] = Followed(said=_value(there, field), said_ms=_when(there, field))
    # All of it as whole-range cycles: the sum is what it was, how deep each of them went is lost.
    if Field.RAINFLOW_CYCLES in there and Field.STATE_OF_CHARGE in there:
        soc_pct = _value(there, Field.STATE_OF_CHARGE)
        state.cycles.newest_pct, state.cycles.open_pct = soc_pct, [soc_pct]
    state.cycles.depths_pct[-1] = 200 * _value(there, Field.RAINFLOW_CYCLES)
    for field in (Field.STATE_OF_CHARGE, Field.STATE_OF_HEALTH_BMS, Field.REMAINING_CAPACITY_BMS):
        reading = there.get(field)
        if reading is not None and reading.value is not None and reading.originator is Originator.BMS:
            state.reported.values[field.key] = (reading.value, reading.last_update_ms)
    _health(state, there)
    return state


def _health(state: MeterState, there: dict[Field, Reading]) -> None:
    """Take up our own capacity with its uncertainty; the sessions behind it and the curve begin anew."""
    reading = there.get(Field.REMAINING_CAPACITY)
    if reading is None or reading.value is None or reading.originator is not Originator.DERIVED:
        return
    relative = reading.uncertainty / reading.value if reading.uncertainty else CAPACITY_SD
    kalman.begin(state.health.estimator.filter, reading.value * AS_PER_AH, relative, 0.0, 0.0)
    state.health.estimator.filter.sessions = 1
    state.health.estimator.wall_ms = reading.last_update_ms


def _throughput(state: MeterState, there: dict[Field, Reading]) -> None:
    sums = state.throughput
    sums.charged_as = _value(there, Field.CAPACITY_CHARGED) * AS_PER_AH
    sums.discharged_as = _value(there, Field.CAPACITY_DISCHARGED) * AS_PER_AH
    sums.charged_ws = _value(there, Field.ENERGY_CHARGED) * WS_PER_KWH
    sums.discharged_ws = _value(there, Field.ENERGY_DISCHARGED) * WS_PER_KWH
    sums.last_wall_ms = _when(there, Field.CAPACITY_THROUGHPUT)
    sums.current = _observed(there.get(Field.CAPACITY_THROUGHPUT), state.began_wall_ms)
    sums.power = _observed(there.get(Field.ENERGY_THROUGHPUT), state.began_wall_ms)


def _exposure(state: MeterState, there: dict[Field, Reading]) -> None:
    exposure = state.exposure
    exposure.seconds = [_value(there, field) * SECONDS_PER_MINUTE for field in EXTREMES]
    exposure.last_wall_ms = max(_when(there, field) for field in EXTREMES)
    seen = next((there[field] for field in EXTREMES if field in there), None)
    exposure.observed = _observed(seen, state.began_wall_ms)


def _usage(state: MeterState, there: dict[Field, Reading]) -> None:
    usage = state.usage
    usage.seconds = [_value(there, field) * SECONDS_PER_HOUR for field in MODES]
    usage.last_wall_ms = _when(there, Field.TIME_IDLE)
    usage.observed = _observed(there.get(Field.TIME_IDLE), state.began_wall_ms)
    high_s = _value(there, Field.TIME_HIGH_CHARGE) * SECONDS_PER_HOUR
    if Field.TIME_HIGH_CHARGE in there:
        usage.place = PER_SOC_STEP * HIGHEST_SOC_STEP + NO_TEMPERATURE
        usage.places[usage.place] = high_s


def _baseline(state: MeterState, there: dict[Field, Reading]) -> None:
    """Take up the values as of the last change. What was entered by the snapshot's time counts as told."""
    state.told.change_ms = state.last_wall_ms
    for field in STOOD:
        reading = there.get(field)
        if reading is None or reading.value is None or reading.method is not Method.AT_STATUS_CHANGE:
            continue
        at_ms, who = reading.last_update_ms, int(reading.originator)
        state.baseline.kept[field.key] = Kept(reading.value, at_ms, reading.uncertainty, who)
        state.baseline.since_ms = max(state.baseline.since_ms, at_ms)


def _observed(reading: Reading | None, began_ms: int | None) -> Observed:
    """Return covered time and gaps of a reading with a coverage, as far as the beginning is known."""
    if reading is None or reading.coverage is None or began_ms is None:
        return Observed()
    total_ns = max(0, reading.last_update_ms - began_ms) * NS_PER_MS
    covered_ns = round(total_ns * reading.coverage)
    return Observed(covered_ns, total_ns - covered_ns)


def _value(there: dict[Field, Reading], field: Field) -> float:
    reading = there.get(field)
    return 0.0 if reading is None or reading.value is None else reading.value


def _when(there: dict[Field, Reading], field: Field) -> int:
    return there[field].last_update_ms if field in there else 0
