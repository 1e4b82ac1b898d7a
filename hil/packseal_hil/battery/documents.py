"""The truth document: every dynamic attribute of the passport by its key, as far as a truth is defined.

The keys are those of DIN DKE SPEC 99100:2025-02 chapter 6.7 and the EC guidance v1.0, with status and dates of 6.1.3.
Counters are since the beginning of the run; fades are against a new battery of mean cells under the same conditions.
"""

from typing import TYPE_CHECKING

import msgspec

from packseal.core.passport import Field
from packseal_hil.battery import reference
from packseal_hil.battery.cells import HOURS_PER_MONTH
from packseal_hil.battery.chemistry import CHEMISTRIES
from packseal_hil.battery.declaring import new_cells

if TYPE_CHECKING:
    from packseal_hil.battery.battery import SimulatedBattery

Entry = dict[str, object]

CHARGING = "while the current is also above C/50"
MEASURED = {
    "remaining_capacity": (Field.REMAINING_CAPACITY, "given slowly from the first full to the first empty cell"),
    "rated_capacity_dynamic": (Field.REMAINING_CAPACITY, "given slowly from the first full to the first empty cell"),
    "capacity_fade": (Field.CAPACITY_FADE, "1 - remaining / rated capacity"),
    "soc": (Field.STATE_OF_CHARGE, "charge given until the first cell is empty, of the remaining capacity"),
    "full_cycles": (Field.FULL_EQUIVALENT_CYCLES, "discharged / rated capacity, this run"),
    "energy_throughput": (Field.ENERGY_THROUGHPUT, "integral of the magnitude of the power at the terminals, this run"),
    "capacity_throughput": (Field.CAPACITY_THROUGHPUT, "integral of the magnitude of the current, this run"),
    "time_extreme_high": (
        Field.TIME_EXTREME_HIGH,
        "hottest sensor's place above the declared range, this run",
    ),
    "time_extreme_low": (
        Field.TIME_EXTREME_LOW,
        "coldest sensor's place below the declared range, this run",
    ),
    "time_extreme_high_charging": (Field.TIME_EXTREME_HIGH_CHARGING, f"above the range, {CHARGING}"),
    "time_extreme_low_charging": (Field.TIME_EXTREME_LOW_CHARGING, f"below the range, {CHARGING}"),
    "deep_discharge_events": (
        Field.DEEP_DISCHARGE_EVENTS,
        "lowest cell 10 s below the limit; again after 100 mV within",
    ),
    "overcharge_events": (
        Field.OVERCHARGE_EVENTS,
        "highest cell 1 s above the limit; again after 100 mV within",
    ),
}
"""Attributes that are a Field of the product already, and how the truth defines them."""

UNDEFINED = {
    "accidents": "no accident is simulated; an accident is judged by people",
    "battery_status": "an operator's decision, not a property of the battery",
    "date_into_service": "recorded at commissioning, not a property of the battery",
    "expected_life_cycles": "a manufacturer's declaration, not a property of one battery",
    "expected_life_years": "a manufacturer's declaration, not a property of one battery",
}


def document(battery: "SimulatedBattery") -> dict[str, object]:
    """Return what was run, `fields`, `attributes` and, with what no passport asks for, `beyond`; ready for JSON.

    An attribute is `{value, unit, definition}` or `{missing: reason}`; a value that needs it is a mapping by state of
    charge in %.
    """
    truth = battery.truth()
    fields = {k: _known(truth[f], f.unit, definition) for k, (f, definition) in MEASURED.items()}
    undefined: dict[str, Entry] = {key: {"missing": reason} for key, reason in UNDEFINED.items()}
    return {
        "spec": msgspec.to_builtins(battery.spec),
        "seed": battery.seed,
        "seconds": battery.counters.seconds,
        "fields": {f.key: value for f, value in truth.items()},
        "attributes": fields | _tested(battery) | _leaking(battery) | _temperature(battery) | undefined,
        "beyond": _beyond(battery),
    }


def _known(value: object, unit: str, definition: str) -> Entry:
    return {"value": value, "unit": unit, "definition": definition}


def _tested(battery: "SimulatedBattery") -> dict[str, Entry]:
    """Return what a test bay would find, now and when new."""
    spec, chemistry, new = (
        battery.spec,
        CHEMISTRIES[battery.spec.chemistry],
        new_cells(battery.spec, battery.state.trajectory),
    )
    rate_a = reference.RATE_C[spec.category] * spec.capacity_ah
    now, once = (reference.loop(cells, rate_a, chemistry.discharge_limit_v) for cells in (battery.cells, new))
    power, power_once = (
        {str(s): reference.power_w(cells, chemistry, spec.capacity_ah, s) for s in reference.POWER_AT_PCT}
        for cells in (battery.cells, new)
    )
    fade = {s: 100 * (1 - power[s] / power_once[s]) for s in power}
    how = f"{rate_a:g} A at 25 °C from full to {chemistry.discharge_limit_v:g} V in the lowest cell"
    pulse = f"10 s discharge to {chemistry.discharge_limit_v:g} V at 25 °C, by state of charge in %"
    ohm, ohm_once = battery.cells.pulse_ohm, new.pulse_ohm
    efficiency, efficiency_once = now.efficiency_pct, once.efficiency_pct
    ratio = 100 * now.discharged_kwh / once.discharged_kwh
    return {
        "soce": _known(ratio, "%", f"remaining energy of that of a new battery, both at {how}; not a vehicle's test"),
        "remaining_energy": _known(now.discharged_kwh, "kWh", f"energy given at {how}"),
        "power_dynamic": _known(power, "W", pulse),
        "remaining_power": _known(power, "W", pulse),
        "power_fade": _known(fade, "%", f"against a new battery; {pulse}"),
        "rte_dynamic": _known(efficiency, "%", f"energy given at {how}, of that taken until full again at this rate"),
        "remaining_rte": _known(efficiency, "%", f"energy given at {how}, of that taken until full again at this rate"),
        "rte_fade": _known(100 * (1 - efficiency / efficiency_once), "%", "against a new battery"),
        "internal_resistance": _known(ohm, "ohm", "10 s pulse at half charge and 25 °C, all cells in series"),
        "internal_resistance_increase": _known(100 * (ohm / ohm_once - 1), "%", "against a new battery"),
    }


def _leaking(battery: "SimulatedBattery") -> dict[str, Entry]:
    declared = battery.spec.self_discharge_pct_per_month
    rate = 100 * float(battery.cells.leak_a.mean()) * HOURS_PER_MONTH / battery.spec.capacity_ah
    evolution: Entry = {"missing": "a battery that loses nothing when new has no evolution"}
    if declared:
        evolution = _known(100 * (rate / declared - 1), "%", "against what the spec gives a new battery")
    return {
        "self_discharge_current": _known(rate, "%/month", "charge the mean cell loses in 30 days, bleeding aside"),
        "self_discharge_evolution": evolution,
    }


def _temperature(battery: "SimulatedBattery") -> dict[str, Entry]:
    hottest = battery.signals()["temperature_max_c"]
    return {"temperature_information": _known(hottest, "degC", "at the hottest of the sensors' places, now")}


def _beyond(battery: "SimulatedBattery") -> dict[str, Entry]:
    state, counters = battery.state, battery.counters
    at_rate = reference.loop(
        battery.cells,
        reference.RATE_C[battery.spec.category] * battery.spec.capacity_ah,
        CHEMISTRIES[battery.spec.chemistry].discharge_limit_v,
    )
    lost = {k: state.mix(f"{k}_pct") for k in ("lithium_loss", "negative_loss", "positive_loss")}
    since_new = state.full_cycles + counters.discharged_as / 3600 / battery.spec.capacity_ah
    histogram = {f"{5 * k} to {5 * k + 5}": s / 60 for k, s in sorted(counters.by_five_kelvin_s.items())}
    return {
        "soh_capacity": _known(battery.soh_pct, "%", "remaining of rated capacity"),
        "capacity_at_reference_rate": _known(at_rate.discharged_ah, "Ah", "charge given in the reference discharge"),
        "full_cycles_since_new": _known(since_new, "1", "those of its ageing so far, and of this run"),
        "time_by_temperature": _known(histogram, "min", "time by the hottest sensor's place, in steps of 5 °C"),
        "cell_spread": _known(reference.spread_mv(battery.cells), "mV", "highest less lowest open-circuit voltage"),
        "heat": _known(battery.cells.heat_j / 3.6e6, "kWh", "set free in the cells"),
    } | {key: _known(value, "%", "since new") for key, value in lost.items()}
