"""A meter made anew of a snapshot goes on with every counter as the snapshot had it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import ALL, readings, sample

from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.meter.recovery import recovered
from packseal.core.passport import Field, Snapshot

PACK = Declared(
    rated_capacity_ah=50,
    rated_energy_kwh=20,
    cells_in_series=100,
    temperature_min_c=0,
    temperature_max_c=30,
    cell_voltage_min_v=3.0,
    cell_voltage_max_v=4.2,
)
STEPS = st.lists(
    st.tuples(st.floats(0.5, 15), st.floats(-100, 100), st.floats(250, 450), st.floats(0, 100), st.floats(-20, 50)),
    min_size=1,
    max_size=40,
)


@given(STEPS)
def test_every_counter_is_what_it_was(steps: list[tuple[float, float, float, float, float]]) -> None:
    meter, now_s = Meter(PACK, ALL), 0.0
    for i, (dt, current, voltage, soc, temperature) in enumerate(steps):
        now_s += dt
        values = {"a": current, "v": voltage, "soc": soc, "t": temperature, "cycles": 10 + i / 10, "out_ah": 500 + i}
        meter.feed(sample(now_s, **values))
    before = readings(meter)
    again = readings(Meter(PACK, ALL, state=recovered(meter.snapshot())))
    for field, reading in before.items():
        if reading.value is None or field is Field.TEMPERATURE:
            continue
        assert again[field].value == pytest.approx(reading.value, rel=1e-9, abs=1e-9), field
        if reading.coverage is not None and now_s > steps[0][0]:
            assert again[field].coverage == pytest.approx(reading.coverage, abs=0.01 + 1 / (now_s * 1000)), field


def test_an_empty_snapshot_gives_an_empty_meter() -> None:
    found = readings(Meter(PACK, ALL, state=recovered(Snapshot(()))))
    assert found[Field.CAPACITY_THROUGHPUT].value is None
