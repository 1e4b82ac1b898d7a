"""Resistance, power, efficiency and self-discharge of simulated batteries against what is true of them."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from packseal.core.meter.efficiency import Efficiency, EfficiencyState
from packseal.core.meter.power import Power
from packseal.core.meter.resistance import ResistanceState
from packseal.core.meter.self_discharge import SelfDischarge, SelfDischargeState
from packseal.core.meter.view import View, Viewer
from packseal.core.passport import Field, Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import ClockQuality, Instant, Sample
from packseal_hil.battery import BatterySpec, Bms, Sensor, Sensors, SimulatedBattery, Spread, open_battery

HOUR_S, DAY_S = 3600.0, 86_400.0
STEP_AT_S = 600.0
LIMIT_NS = 200_000_000_000
WALL_NS = 1_800_000_000_000_000_000
RUNS = 12
TRUTHS = {
    Field.INTERNAL_RESISTANCE: ("internal_resistance", None),
    Field.INTERNAL_RESISTANCE_INCREASE: ("internal_resistance_increase", None),
    Field.REMAINING_POWER_AT_80: ("remaining_power", "80"),
    Field.REMAINING_POWER_AT_20: ("remaining_power", "20"),
    Field.REMAINING_ROUND_TRIP_EFFICIENCY: ("remaining_rte", None),
    Field.ROUND_TRIP_EFFICIENCY_FADE: ("rte_fade", None),
    Field.SELF_DISCHARGE_RATE: ("self_discharge_current", None),
    Field.SELF_DISCHARGE_EVOLUTION: ("self_discharge_evolution", None),
}


class Run(NamedTuple):
    """One battery after its run."""

    battery: SimulatedBattery
    readings: dict[Field, Reading]

    def inside(self, field: Field) -> bool:
        """Whether the truth lies within the reading's own 95 % interval."""
        found = self.readings[field]
        assert found.value is not None, found
        assert found.uncertainty is not None
        return abs(found.value - self.truth(field)) <= 1.96 * found.uncertainty

    def truth(self, field: Field) -> float:
        """Return the true value of a field by the truth document."""
        key, part = TRUTHS[field]
        attributes = self.battery.truth_document()["attributes"]
        assert isinstance(attributes, dict)
        value = attributes[key]["value"]
        return float(value if part is None else value[part])


def spec(seed: int, load: str = "switched_day") -> BatterySpec:
    """Return a battery whose chemistry, age, temperature, cells and sensors' errors come of the seed."""
    rng = np.random.default_rng([seed, 77])
    return BatterySpec(
        chemistry="nmc" if seed % 4 else "lfp",
        category=("ev", "lmt", "stationary", "industrial")[seed % 4],
        cells=6,
        load=load,
        step_s=10,
        age=float(rng.uniform(0, 1)),
        ambient_c=float(rng.uniform(18, 31)),
        spread=Spread(capacity=0.01, resistance=0.05, soc_pct=0.5),
        sensors=Sensors(
            current=Sensor(gain=1 + rng.normal(0, 0.007), offset=rng.normal(0, 0.02), noise=0.05, step=0.1),
            pack_voltage=Sensor(gain=1 + rng.normal(0, 0.003), noise=0.005, step=0.01),
            temperature=Sensor(offset=rng.normal(0, 0.5), step=1.0),
        ),
        bms=Bms(soc_step_pct=1.0, soc_start_error_pct=float(rng.normal(0, 2))),
    )


def views(battery: SimulatedBattery, seconds: float, every_s: float) -> Iterator[View]:
    """Give what the BMS says, every second around the steps of the load and every `every_s` else."""
    viewer = Viewer(battery.declared(), frozenset(channel.quantity for channel in battery.said()))
    while battery.time_s < seconds:
        near = -45 < battery.time_s % HOUR_S - STEP_AT_S < 20
        battery.advance(1.0 if near and battery.spec.load == "switched_day" else every_s)
        ns = round(battery.time_s * 1e9)
        yield viewer.see(Sample(Instant(ns, WALL_NS + ns, ClockQuality.NTP), dict(battery.said())))


def switched(seed: int) -> Run:
    battery = open_battery(spec(seed), seed)
    delivers = frozenset(channel.quantity for channel in battery.said())
    power = Power(battery.declared(), delivers, LIMIT_NS, ResistanceState())
    efficiency = Efficiency(battery.declared(), delivers, LIMIT_NS, EfficiencyState())
    for view in views(battery, 9 * HOUR_S, 10.0):
        power.feed(view)
        efficiency.feed(view)
    return Run(battery, {r.field: r for r in (*power.readings(), *efficiency.readings())})


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [switched(seed) for seed in range(RUNS)]


@pytest.mark.parametrize("field", [f for f in TRUTHS if "SELF" not in f.name], ids=lambda f: f.key)
def test_the_truth_lies_within_the_stated_interval_in_nine_of_ten_runs(field: Field, runs: list[Run]) -> None:
    misses = [(run.battery.seed, run.readings[field], run.truth(field)) for run in runs if not run.inside(field)]
    assert len(misses) <= RUNS // 10, misses


def test_the_intervals_are_narrow_enough_to_be_of_use(runs: list[Run]) -> None:
    def relative(field: Field) -> float:
        found = [run.readings[field] for run in runs]
        return float(np.median([(r.uncertainty or 0) / (r.value or 1) for r in found]))

    assert relative(Field.INTERNAL_RESISTANCE) < 0.08
    assert relative(Field.REMAINING_POWER_AT_80) < 0.15
    assert relative(Field.REMAINING_ROUND_TRIP_EFFICIENCY) < 0.025


def driven(seed: int) -> Run:
    wanted = spec(seed, "commuter_day")
    battery = open_battery(msgspec.structs.replace(wanted, load_starts_h=6.95, start_soc_pct=65.0), seed)
    delivers = frozenset(channel.quantity for channel in battery.said())
    family = Power(battery.declared(), delivers, LIMIT_NS, ResistanceState())
    for view in views(battery, 0.9 * HOUR_S, 1.0):
        family.feed(view)
    return Run(battery, {r.field: r for r in family.readings()})


def test_launches_of_a_vehicle_tell_its_resistance_and_power() -> None:
    runs = [driven(seed) for seed in range(10)]
    for field in (Field.INTERNAL_RESISTANCE, Field.REMAINING_POWER_AT_80, Field.REMAINING_POWER_AT_20):
        assert sum(run.inside(field) for run in runs) >= 9, field


def resting(seed: int) -> Run:
    wanted = spec(seed, "rest")
    sensors = Sensors(pack_voltage=wanted.sensors.pack_voltage, temperature=wanted.sensors.temperature)
    rate = float(np.random.default_rng(seed).uniform(1, 3))
    battery = open_battery(
        BatterySpec(
            cells=2,
            load="rest",
            step_s=10,
            start_soc_pct=60 + seed % 3 * 5,
            age=wanted.age,
            self_discharge_pct_per_month=rate,
            sensors=sensors,
        ),
        seed,
    )
    delivers = frozenset(channel.quantity for channel in battery.said())
    family = SelfDischarge(battery.declared(), delivers, LIMIT_NS, SelfDischargeState())
    for view in views(battery, 10 * DAY_S, 120.0):
        family.feed(view)
    return Run(battery, {r.field: r for r in family.readings()})


def test_ten_days_of_rest_tell_self_discharge() -> None:
    run = resting(2)
    assert run.inside(Field.SELF_DISCHARGE_RATE)
    assert run.inside(Field.SELF_DISCHARGE_EVOLUTION)


def test_the_families_need_what_the_simulated_bms_says() -> None:
    said = {channel.quantity for channel in open_battery(spec(1), 1).said()}
    assert {Quantity.PACK_VOLTAGE_V, Quantity.PACK_CURRENT_A, Quantity.STATE_OF_CHARGE_PCT} <= said
