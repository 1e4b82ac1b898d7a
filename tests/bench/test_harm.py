"""A battery that is harmed on purpose: the events are there, the charge is where it was, and the meter counts them."""

import pytest
from bench.harm import Harm
from bench.truth import SENSORS

from packseal.core.meter import Meter
from packseal.core.passport import Field
from packseal.core.quantities import Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, Instant, Sample
from packseal_hil.battery import BatterySpec, open_battery

EVENTS = (Field.DEEP_DISCHARGE_EVENTS, Field.OVERCHARGE_EVENTS)
LONGEST_S = 4 * 3600


@pytest.mark.parametrize("chemistry", ["nmc", "lfp"])
def test_a_cell_is_taken_past_its_limits_and_brought_back(chemistry: str) -> None:
    spec = BatterySpec(
        chemistry=chemistry,  # type: ignore[arg-type]  # one of the two that the spec allows
        category="lmt",
        cells=2,
        capacity_ah=10,
        load="rest",
        start_soc_pct=40,
        sensors=SENSORS,
    )
    battery = open_battery(spec, 1)
    harm = Harm(battery, [(10, Harm.DOWN), (20, Harm.UP)], rate_c=1.0)
    meter, seen = Meter(battery.declared(), frozenset(Quantity)), []
    for second in range(LONGEST_S):
        ns = second * NS_PER_S
        meter.feed(Sample(Instant(ns, 1_700_000_000 * NS_PER_S + ns, ClockQuality.NTP), dict(battery.said())))
        harm.goes_on(second)
        if harm.is_over:
            break
        battery.advance(1)
        seen.append(battery.signals())
    declared, truth = battery.declared(), battery.truth()
    assert min(s["cell_voltage_min_v"] for s in seen) <= (declared.cell_voltage_min_v or 0) - 0.03
    assert max(s["cell_voltage_max_v"] for s in seen) >= (declared.cell_voltage_max_v or 0) + 0.03
    counted = {r.field: r.value for r in meter.snapshot().readings}
    assert [truth[field] for field in EVENTS] == [counted[field] for field in EVENTS] == [1, 1]
    assert battery.soc_pct == pytest.approx(40, abs=1)
    assert battery.forced_c is None
