"""Truth: simulated batteries whose every field is known, read by the product's meter through sensors that err.

`python -m bench.truth` lives through a year of four categories with several seeds each, side by side, and says of every
field how often it is right; `--write` puts the table into docs/fields-against-truth.md. Time is compressed: in ten to
sixteen days a battery is used in all the ways of a year, and ages as in one.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import msgspec
import numpy as np

from bench.harm import Harm
from bench.judged import Outcome, misses, summary, table
from packseal.core.declared import Declared
from packseal.core.meter import Meter
from packseal.core.meter.resistance import OHMIC_S
from packseal.core.passport import Field
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, Instant, Sample
from packseal_hil.battery import BatterySpec, SimulatedBattery, loads, open_battery
from packseal_hil.battery.spec import Bms, Sensor, Sensors, Spread

PAGE = Path(__file__).parents[1] / "docs" / "fields-against-truth.md"
START_NS = 1_800_000_000 * NS_PER_S
YEAR_OF_LIFE = 0.08
"""Share of an ageing trajectory that a year takes: both end at about 70 % after some twelve years."""

IDLE_S, AWAKE_S = 10, 60
"""While nothing is asked of the battery it is sampled this often, until so long before something is again."""

SENSORS = Sensors(
    current=Sensor(gain=1.005, offset=0.004, step=0.1, noise=0.02),
    pack_voltage=Sensor(gain=1.001, step=0.05, noise=0.02),
    cell_voltage=Sensor(offset=0.003, step=0.001, noise=0.001),
    temperature=Sensor(offset=0.3, step=0.5),
)
"""Shunt class 0.5 %, 0.1 A, 1 mV cells and half a degree: what BMS data sheets state."""

SPECS = {
    "ev": BatterySpec(category="ev", cells=96, capacity_ah=60, load="vehicle_year", ambient_c=22, ambient_swing_k=4),
    "lmt": BatterySpec(category="lmt", cells=14, capacity_ah=20, load="vehicle_year", ambient_c=16, ambient_swing_k=18),
    "stationary": BatterySpec(
        category="stationary",
        chemistry="lfp",
        cells=16,
        capacity_ah=100,
        load="home_day",
        ambient_c=30,
        ambient_swing_k=17,
    ),
    "industrial": BatterySpec(
        category="industrial", cells=48, capacity_ah=80, load="shift_year", ambient_c=22, ambient_swing_k=4
    ),
}
"""The light vehicle stands in the frost at night, the home's storage in the heat at noon."""
LEAST_DAYS = 10
HARMED_SEED = 0
HARM_H = ((34.0, Harm.DOWN), (82.0, Harm.UP), (106.0, Harm.DOWN))
"""Hours into the year at which one battery of each category, of the first seed, is harmed."""

ATTRIBUTES = {
    Field.INTERNAL_RESISTANCE: "internal_resistance",
    Field.INTERNAL_RESISTANCE_INCREASE: "internal_resistance_increase",
    Field.REMAINING_ROUND_TRIP_EFFICIENCY: "remaining_rte",
    Field.ROUND_TRIP_EFFICIENCY_FADE: "rte_fade",
    Field.SELF_DISCHARGE_RATE: "self_discharge_current",
    Field.SELF_DISCHARGE_EVOLUTION: "self_discharge_evolution",
    Field.REMAINING_ENERGY: "remaining_energy",
    Field.TEMPERATURE: "temperature_information",
}
"""Fields whose truth is an attribute of the battery's document."""
BY_CHARGE = {
    Field.REMAINING_POWER_AT_80: ("remaining_power", "80"),
    Field.REMAINING_POWER_AT_20: ("remaining_power", "20"),
    Field.POWER_FADE: ("power_fade", "80"),
}


BY_BMS = {
    Field.STATE_OF_CHARGE: Quantity.STATE_OF_CHARGE_PCT,
    Field.STATE_OF_HEALTH_BMS: Quantity.STATE_OF_HEALTH_PCT,
    Field.TEMPERATURE: Quantity.TEMPERATURE_MAX_C,
    Field.STATE_OF_CERTIFIED_ENERGY: Quantity.STATE_OF_CERTIFIED_ENERGY_PCT,
    Field.REMAINING_ENERGY: Quantity.FULL_CHARGE_ENERGY_KWH,
    Field.CYCLES_BMS: Quantity.CYCLES,
    Field.CAPACITY_DISCHARGED_BMS: Quantity.CHARGE_DISCHARGED_AH,
    Field.ENERGY_DISCHARGED_BMS: Quantity.ENERGY_DISCHARGED_KWH,
}
"""What a field without an uncertainty passes on."""
ENTERED = {
    "status": "original",
    "date_into_service": "2027-01",
    "expected_life_cycles": 3000,
    "expected_life_years": 12,
}
BY_DECLARATION = {
    Field.RATED_CAPACITY: "rated_capacity_ah",
    Field.POWER_AT_80: "initial_power_at_80_w",
    Field.POWER_AT_20: "initial_power_at_20_w",
    Field.ROUND_TRIP_EFFICIENCY: "initial_round_trip_efficiency_pct",
    Field.ACCIDENTS: "accidents",
    Field.EXPECTED_LIFE_CYCLES: "expected_life_cycles",
    Field.EXPECTED_LIFE_YEARS: "expected_life_years",
}


def run(category: str, seed: int, days: float | None = None) -> list[Outcome]:
    """Live through a year with one battery, or `days` of it; return every field that the meter gives."""
    load = loads.load(SPECS[category].load)
    if not isinstance(load, loads.Course):
        raise TypeError(f"{SPECS[category].load} is no built-in load")
    year_days = max(LEAST_DAYS, round(load.period_s / loads.DAY_S))
    battery = open_battery(_spec(category, seed, YEAR_OF_LIFE / year_days), seed)
    declared = msgspec.structs.replace(battery.declared(), **ENTERED)
    said = _said(battery)
    meter = Meter(declared, frozenset(c.quantity for c in said))
    harm = Harm(battery, [(round(h * 3600), way) for h, way in HARM_H] if seed == HARMED_SEED else [])
    second, end = 0, round((days or year_days) * loads.DAY_S)
    while True:
        at = Instant(second * NS_PER_S, START_NS + second * NS_PER_S, ClockQuality.NTP)
        said = _said(battery)
        meter.feed(Sample(at, said))
        if second >= end:
            break
        forced = harm.goes_on(second)
        step = IDLE_S if not forced and load.idle_until_s(second) - second > IDLE_S + AWAKE_S else 1
        second += step
        battery.advance(step)
    truths, exact = known(battery), passed_on(said, declared)
    return [Outcome(category, r.field, r, truths.get(r.field), exact.get(r.field)) for r in meter.snapshot().readings]


def _spec(category: str, seed: int, age_per_day: float) -> BatterySpec:
    return msgspec.structs.replace(
        SPECS[category],
        age=0.04 * (seed % 5),
        age_per_day=age_per_day,
        spread=Spread(capacity=0.01, resistance=0.03, self_discharge=0.1, soc_pct=0.5),
        sensors=SENSORS,
        bms=Bms(soc_step_pct=0.5, soc_drift_pct_per_day=0.2),
        step_s=IDLE_S,
    )


def _said(battery: SimulatedBattery) -> dict[Channel, float]:
    """What most BMS say: no capacity that they have learnt themselves; a vehicle its state of certified energy."""
    said = {c: v for c, v in battery.said().items() if c.quantity is not Quantity.FULL_CHARGE_CAPACITY_AH}
    if battery.spec.category == "ev":
        said[Channel(Quantity.STATE_OF_CERTIFIED_ENERGY_PCT)] = round(said[Channel(Quantity.STATE_OF_HEALTH_PCT)])
    return said


def passed_on(said: Mapping[Channel, float], declared: Declared) -> dict[Field, float]:
    """Return what the fields that only pass something on must say."""
    of_bms = {field: said[Channel(q)] for field, q in BY_BMS.items() if Channel(q) in said}
    entered = {field: float(getattr(declared, name)) for field, name in BY_DECLARATION.items()}
    return of_bms | entered | {Field.BATTERY_STATUS: 1.0, Field.DATE_INTO_SERVICE: 202701.0}


def known(battery: SimulatedBattery) -> dict[Field, float]:
    """Return the truth of every field that has one."""
    document = battery.truth_document()
    attributes = document["attributes"]
    assert isinstance(attributes, dict)
    truths = dict(battery.truth())
    truths |= {f: attributes[key]["value"] for f, key in ATTRIBUTES.items() if "value" in attributes[key]}
    truths |= {f: attributes[key]["value"][at] for f, (key, at) in BY_CHARGE.items()}
    truths[Field.STATE_OF_HEALTH_ESTIMATE] = battery.soh_pct
    half = np.full(battery.spec.cells, 0.5)
    truths[Field.OHMIC_RESISTANCE] = float(battery.cells.pulse_ohm_at(half, OHMIC_S).sum())
    if battery.spec.category == "ev":
        truths[Field.CERTIFIED_ENERGY_ESTIMATE] = attributes["soce"]["value"]
    return truths


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and fail if a field is wrong too often."""
    parser = argparse.ArgumentParser(prog="python -m bench.truth", description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=float, help="simulated days per run (default: the year of each category)")
    parser.add_argument("--seeds", type=int, default=3, help="runs per category (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    args = parser.parse_args(arguments)
    wanted = [(category, seed) for seed in range(args.seeds) for category in SPECS]
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(max_workers=args.jobs) as pool:
        waiting = [pool.submit(run, category, seed, args.days) for category, seed in wanted]
        for done, future in enumerate(as_completed(waiting), 1):
            outcomes += future.result()
            print(f"{done} of {len(wanted)} runs", file=sys.stderr)
    lines, wrong = table(outcomes, list(SPECS)), misses(outcomes)
    print(f"{lines}\n\n{summary(outcomes)}")
    if args.write:
        _write(lines, summary(outcomes), args, wrong)
    for line in wrong:
        print(f"wrong too often: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _write(lines: str, judged: str, args: argparse.Namespace, wrong: Sequence[str]) -> None:
    head, _, _ = PAGE.read_text().partition("<!-- made -->")
    length = "of a year" if args.days is None else f"of {args.days:g} days"
    runs = f"{args.seeds} run{'s' * (args.seeds != 1)} {length} per category"
    verdict = "every field right in at least 90 % of its runs" if not wrong else f"too often wrong: {'; '.join(wrong)}"
    PAGE.write_text(f"{head}<!-- made -->\n{runs}; {verdict}. {judged}\n\n{lines}\n")


if __name__ == "__main__":
    sys.exit(main())
