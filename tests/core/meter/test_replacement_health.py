"""What becomes of capacity, state of health and the verdict when a module or the BMS is replaced."""

import pytest
from tests.core.meter.feeding import ALL, WALL_NS

from packseal.core.bodies import LifecycleCode
from packseal.core.capacity import ClaimState, EstimatorState
from packseal.core.capacity.kalman import FilterState
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.meter.health import HealthState
from packseal.core.meter.state import MeterState
from packseal.core.passport import Field, Method, Missing, Originator, Reading, Verdict
from packseal.core.sample import ClockQuality, Instant

WALL_MS = WALL_NS // 1_000_000
PACK = Declared(rated_capacity_ah=60, cells_in_series=96, chemistry="nmc", status="original")
CAPACITY_AS = 54 * 3600.0
LATER = Instant(0, WALL_NS + 60_000_000_000, ClockQuality.NTP)


def meter() -> Meter:
    """Return a meter that has measured 54 Ah and found the BMS's claim contradicted."""
    known = FilterState(capacity_as=CAPACITY_AS, p00=(0.01 * CAPACITY_AS) ** 2, sessions=4)
    estimator = EstimatorState(filter=known, wall_ms=WALL_MS)
    estimator.tracker.elapsed_s = 1e6
    claim = ClaimState(int(Verdict.CONTRADICTED), 3, 4, 8.0, WALL_MS, 98.0)
    state = MeterState(health=HealthState(estimator, claim))
    state.reported.values[Field.STATE_OF_HEALTH_BMS.key] = (98.0, WALL_MS)
    return Meter(PACK, ALL, state=state)


def says(made: Meter) -> dict[Field, Reading]:
    return {reading.field: reading for reading in made.snapshot().readings}


def test_before_it_is_ours_and_contradicted() -> None:
    found = says(meter())
    assert found[Field.REMAINING_CAPACITY].value == pytest.approx(54)
    assert found[Field.HEALTH_CLAIM_VERDICT].value == Verdict.CONTRADICTED
    assert found[Field.RATED_CAPACITY].value == 60


def test_a_replaced_module_begins_capacity_health_and_verdict_anew() -> None:
    made = meter()
    made.mark(LifecycleCode.MODULE_REPLACED, LATER, {})
    found = says(made)
    assert found[Field.REMAINING_CAPACITY].value is None
    assert found[Field.STATE_OF_HEALTH_ESTIMATE].missing is not None
    assert found[Field.RATED_CAPACITY].missing is Missing.NO_EVIDENCE
    assert found[Field.HEALTH_CLAIM_VERDICT].value != Verdict.CONTRADICTED


def test_another_bms_keeps_the_capacity_as_the_new_baseline_and_may_claim_anew() -> None:
    made = meter()
    made.mark(LifecycleCode.BMS_REPLACED, LATER, {})
    found = says(made)
    assert found[Field.REMAINING_CAPACITY].value == pytest.approx(54)
    kept = found[Field.RATED_CAPACITY]
    assert kept.value == pytest.approx(54)
    assert (kept.method, kept.originator, kept.last_update_ms) == (Method.AT_STATUS_CHANGE, Originator.DERIVED, WALL_MS)
    assert kept.uncertainty is not None
    assert found[Field.HEALTH_CLAIM_VERDICT].value != Verdict.CONTRADICTED


def test_a_new_status_leaves_capacity_and_verdict_as_they_are() -> None:
    made = meter()
    made.mark(LifecycleCode.STATUS_CHANGED, LATER, {})
    found = says(made)
    assert found[Field.RATED_CAPACITY].value == pytest.approx(54)
    assert found[Field.HEALTH_CLAIM_VERDICT].value == Verdict.CONTRADICTED
