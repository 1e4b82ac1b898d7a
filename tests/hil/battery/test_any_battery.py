"""Any battery a scenario asks for: finite values, counters that never fall, protected cells within their window."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from packseal.core.passport import Field
from packseal_hil.battery import BatterySpec, Sensor, Sensors, Spread, loads, open_battery
from packseal_hil.battery.chemistry import CHEMISTRIES

SPECS = st.builds(
    BatterySpec,
    chemistry=st.sampled_from(["nmc", "lfp"]),
    cells=st.sampled_from([1, 2, 13]),
    capacity_ah=st.sampled_from([2.5, 60.0, 280.0]),
    load=st.sampled_from(sorted(loads.BUILT_IN)),
    load_starts_h=st.floats(0, 48),
    start_soc_pct=st.none() | st.floats(8, 95),
    ambient_c=st.floats(-20, 50),
    ambient_swing_k=st.floats(0, 10),
    age=st.floats(0, 1),
    age_per_day=st.sampled_from([0.0, 0.5]),
    spread=st.builds(
        Spread,
        capacity=st.floats(0, 0.03),
        resistance=st.floats(0, 0.2),
        self_discharge=st.floats(0, 0.3),
        soc_pct=st.floats(0, 1),
    ),
    sensors=st.builds(Sensors, current=st.builds(Sensor, gain=st.floats(0.9, 1.1), offset=st.floats(-1, 1))),
    step_s=st.sampled_from([1.0, 10.0]),
)
COUNTERS = [
    f
    for f in open_battery(BatterySpec(cells=1), 0).truth()
    if f.unit in ("Ah", "kWh", "min") and f is not Field.REMAINING_CAPACITY
]


@settings(deadline=None, max_examples=12)
@given(SPECS, st.integers(0, 2**32))
def test_any_battery_behaves(spec: BatterySpec, seed: int) -> None:
    battery = open_battery(spec, seed)
    chemistry = CHEMISTRIES[spec.chemistry]
    before = battery.truth()
    for _ in range(6):
        battery.advance(300)
        said, now, true = battery.said(), battery.signals(), battery.truth()
        assert all(math.isfinite(v) for v in (*said.values(), *now.values(), *true.values()))
        assert all(true[f] >= before[f] for f in COUNTERS)
        assert now["cell_voltage_max_v"] < chemistry.declared_max_v
        assert now["cell_voltage_min_v"] > chemistry.declared_min_v
        assert -0.5 < battery.soc_pct < 100.5
        before = true
    assert true[Field.DEEP_DISCHARGE_EVENTS] == true[Field.OVERCHARGE_EVENTS] == 0
    assert true[Field.CAPACITY_THROUGHPUT] == true[Field.CAPACITY_CHARGED] + true[Field.CAPACITY_DISCHARGED]
