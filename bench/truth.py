"""Truth: simulated batteries whose every field is known, read by the product's meter through sensors that err.

`python -m bench.truth` runs four categories with several seeds each, side by side, and says of every field how often
the truth lies within the meter's own 95 % interval; `--write` puts the table into docs/fields-against-truth.md. Time
is compressed: in ten days a battery ages as it would in a year.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import msgspec

from packseal.core.meter import Meter
from packseal.core.passport import Field, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import NS_PER_S, ClockQuality, Instant, Sample
from packseal_hil.battery import BatterySpec, SimulatedBattery, open_battery
from packseal_hil.battery.spec import Bms, Sensor, Sensors, Spread

PAGE = Path(__file__).parents[1] / "docs" / "fields-against-truth.md"
START_NS = 1_800_000_000 * NS_PER_S
SIGMAS_95 = 1.96
NEEDED = 0.9
"""Share of runs in which a field's truth must lie within its interval."""
YEAR_OF_LIFE = 0.08
"""Share of an ageing trajectory that a year takes: both end at about 70 % after some twelve years."""

DAYS_PER_YEAR_OF_LIFE = 10
"""How much time is compressed. More, and a battery would fade between two sessions by more than one can tell apart."""

SENSORS = Sensors(
    current=Sensor(gain=1.005, offset=0.004, step=0.01, noise=0.02),
    pack_voltage=Sensor(gain=1.001, step=0.05, noise=0.02),
    cell_voltage=Sensor(offset=0.003, step=0.001, noise=0.001),
    temperature=Sensor(offset=0.3, step=0.5),
)
"""Shunt class 0.5 %, 1 mV cells and half a degree: what BMS data sheets state."""

SPECS = {
    "ev": BatterySpec(category="ev", cells=96, capacity_ah=60, load="commuter_day"),
    "lmt": BatterySpec(category="lmt", cells=14, capacity_ah=20, load="commuter_day"),
    "stationary": BatterySpec(category="stationary", chemistry="lfp", cells=16, capacity_ah=100, load="pv_day"),
    "industrial": BatterySpec(category="industrial", cells=48, capacity_ah=80, load="pv_day"),
}

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """One field of one run, in the field's unit; `truth` is None where none is defined."""

    category: str
    field: Field
    reading: Reading
    truth: float | None

    @property
    def is_inside(self) -> bool | None:
        """Whether the truth lies within the interval, allowing for the last digit; None where that is not said."""
        value, doubt = self.reading.value, self.reading.uncertainty
        if value is None or self.truth is None or doubt is None:
            return None
        return bool(abs(value - self.truth) <= SIGMAS_95 * doubt + 10**-self.field.decimals)


def run(category: str, seed: int, days: float) -> list[Outcome]:
    """Live through `days` with one battery; return every field that the meter gives."""
    spec = msgspec.structs.replace(
        SPECS[category],
        age=0.04 * (seed % 5),
        age_per_day=YEAR_OF_LIFE / DAYS_PER_YEAR_OF_LIFE,
        ambient_c=22,
        ambient_swing_k=4,
        spread=Spread(capacity=0.01, resistance=0.03, self_discharge=0.1, soc_pct=0.5),
        sensors=SENSORS,
        bms=Bms(soc_step_pct=0.5, soc_drift_pct_per_day=0.2),
    )
    battery = open_battery(spec, seed)
    said = battery.said()
    meter = Meter(battery.declared(), frozenset(c.quantity for c in said) - {Quantity.FULL_CHARGE_CAPACITY_AH})
    for second in range(round(days * 86_400) + 1):
        if second:
            battery.advance(1.0)
        at = Instant(second * NS_PER_S, START_NS + second * NS_PER_S, ClockQuality.NTP)
        meter.feed(Sample(at, _without_capacity(battery.said())))
    truths = known(battery)
    return [Outcome(category, r.field, r, truths.get(r.field)) for r in meter.snapshot().readings]


def _without_capacity(said: Mapping[Channel, float]) -> dict[Channel, float]:
    """What most BMS say: no capacity that they have learnt themselves."""
    return {c: v for c, v in said.items() if c.quantity is not Quantity.FULL_CHARGE_CAPACITY_AH}


def known(battery: SimulatedBattery) -> dict[Field, float]:
    """Return the truth of every field that has one."""
    document = battery.truth_document()
    attributes = document["attributes"]
    assert isinstance(attributes, dict)
    truths = dict(battery.truth())
    truths |= {f: attributes[key]["value"] for f, key in ATTRIBUTES.items() if "value" in attributes[key]}
    truths |= {f: attributes[key]["value"][at] for f, (key, at) in BY_CHARGE.items()}
    truths[Field.STATE_OF_HEALTH_ESTIMATE] = battery.soh_pct
    if battery.spec.category == "ev":
        truths[Field.CERTIFIED_ENERGY_ESTIMATE] = attributes["soce"]["value"]
    return truths


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a Markdown table: each field's worst run per category, and the share of runs inside the interval."""
    lines = [
        "| field | unit | category | truth | derived | standard uncertainty | within 95 % |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    grouped: dict[tuple[int, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        grouped[outcome.field.code, outcome.category].append(outcome)
    for (_, category), runs in sorted(grouped.items(), key=lambda item: (item[0][0], list(SPECS).index(item[0][1]))):
        lines.append(f"| {_line(category, runs)} |")
    return "\n".join(lines)


def _line(category: str, runs: Sequence[Outcome]) -> str:
    one = max(runs, key=lambda o: (o.reading.value is not None, o.is_inside is False))
    field, reading = one.field, one.reading
    judged = [o.is_inside for o in runs if o.is_inside is not None]
    share = f"{sum(judged)} of {len(judged)}" if judged else "not judged"
    if reading.value is None:
        missing = "" if reading.missing is None else reading.missing.name.lower().replace("_", " ")
        cells = [field.key, field.unit, category, _number(one.truth, field), f"not available: {missing}", "", ""]
    else:
        doubt = "not stated" if reading.uncertainty is None else _number(reading.uncertainty, field)
        truth = _number(one.truth, field) if one.truth is not None else "none defined"
        cells = [field.key, field.unit, category, truth, _number(reading.value, field), doubt, share]
    return " | ".join(cells)


def _number(value: float | None, field: Field) -> str:
    return "" if value is None else f"{value:.{min(field.decimals, 5)}f}"


def misses(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the fields whose truth is outside too often, over all categories."""
    judged: dict[Field, list[bool]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.is_inside is not None:
            judged[outcome.field].append(outcome.is_inside)
    return [f"{f.key}: {sum(of)} of {len(of)}" for f, of in judged.items() if sum(of) < NEEDED * len(of)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and fail if a field is outside too often."""
    parser = argparse.ArgumentParser(prog="python -m bench.truth", description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=float, default=10.0, help="simulated days per run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="runs per category (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    args = parser.parse_args(arguments)
    jobs = [(category, seed) for seed in range(args.seeds) for category in SPECS]
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        waiting = [pool.submit(run, category, seed, args.days) for category, seed in jobs]
        for done, future in enumerate(as_completed(waiting), 1):
            outcomes += future.result()
            print(f"{done} of {len(jobs)} runs", file=sys.stderr)
    print(table(outcomes))
    wrong = misses(outcomes)
    if args.write:
        _write(table(outcomes), args, wrong)
    for line in wrong:
        print(f"outside its interval too often: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _write(lines: str, args: argparse.Namespace, wrong: Sequence[str]) -> None:
    head, _, _ = PAGE.read_text().partition("<!-- made -->")
    runs = f"{args.seeds} run{'s' * (args.seeds != 1)} per category of {args.days:g} days"
    verdict = (
        "every field within in at least 90 % of its runs" if not wrong else f"too often outside: {'; '.join(wrong)}"
    )
    PAGE.write_text(f"{head}<!-- made -->\n{runs}; {verdict}.\n\n{lines}\n")


if __name__ == "__main__":
    sys.exit(main())
