"""What becomes of resistance, efficiency and self-discharge when a module or the BMS is replaced."""

import pytest
from tests.core.meter.feeding import ALL, WALL_NS

from packseal.core.bodies import LifecycleCode
from packseal.core.declared import Declared
from packseal.core.meter.efficiency import Efficiency, EfficiencyState, Kept
from packseal.core.meter.power import Power
from packseal.core.meter.resistance import Found, ResistanceState
from packseal.core.meter.rest import Hour, RestState
from packseal.core.meter.self_discharge import Pair, SelfDischarge, SelfDischargeState
from packseal.core.passport import Field, Missing, Reading
from packseal.core.sample import ClockQuality, Instant

PACK = Declared(rated_capacity_ah=60, rated_energy_kwh=20, cells_in_series=96, chemistry="nmc", cell_voltage_min_v=2.8)
AT = Instant(0, WALL_NS, ClockQuality.NTP)
VALUES = (
    Field.INTERNAL_RESISTANCE,
    Field.OHMIC_RESISTANCE,
    Field.REMAINING_POWER_AT_20,
    Field.REMAINING_ROUND_TRIP_EFFICIENCY,
    Field.SELF_DISCHARGE_RATE,
)


def marked(code: LifecycleCode) -> tuple[dict[Field, Reading], SelfDischargeState]:
    """Return what three families that have seen much say after `code`."""
    steps = [Found(0.1, 0.001, 1) for _ in range(5)]
    resistance = ResistanceState([[], steps, []], list(steps), heard=True)
    efficiency = EfficiencyState([Kept(7e7, 6.8e7, 1e5, 1e5, 20.0, warm=True, wall_ms=1)], heard=True)
    rest = RestState(seconds=1e6, resting=True, counters_ah=(5.0, 6.0), resolution_ah=0.01)
    first = Hour(0, 1e4, 3.8, 25.0, 0.0, 0.0)
    self_discharge = SelfDischargeState(rest, first, [Pair(2.0, 0.5, 1)], open=True, heard=True)
    families = (
        Power(PACK, ALL, 10**10, resistance),
        Efficiency(PACK, ALL, 10**10, efficiency),
        SelfDischarge(PACK, ALL, 10**10, self_discharge),
    )
    for family in families:
        family.mark(code, AT)
    return {r.field: r for family in families for r in family.readings()}, self_discharge


def test_a_replaced_module_takes_its_evidence_along() -> None:
    found, state = marked(LifecycleCode.MODULE_REPLACED)
    assert {field: found[field].missing for field in VALUES} == dict.fromkeys(VALUES, Missing.NO_EVIDENCE)
    assert not state.rest.resting


@pytest.mark.parametrize("code", [LifecycleCode.BMS_REPLACED, LifecycleCode.STATUS_CHANGED])
def test_another_bms_or_status_changes_no_value(code: LifecycleCode) -> None:
    found, state = marked(code)
    assert all(found[field].value is not None for field in VALUES)
    assert state.rest.resting is (code is LifecycleCode.STATUS_CHANGED)
    assert (state.rest.counters_ah is None) is (code is LifecycleCode.BMS_REPLACED)
