"""The truth document: all 31 dynamic attributes, a value with its definition or the reason why there is none."""

import math
from typing import Any

import msgspec
import pytest

from packseal.core.passport import Field
from packseal_hil.battery import BatterySpec, SimulatedBattery, Spread, open_battery


def attributes(battery: SimulatedBattery) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(battery.truth_document()))
    found: dict[str, Any] = document["attributes"]
    return found


def test_every_attribute_is_there_with_a_value_or_a_reason() -> None:
    found = attributes(open_battery(BatterySpec(cells=4, age=0.5), 1))
    assert len(found) == 31
    for key, entry in found.items():
        assert ("value" in entry and entry["definition"]) != ("missing" in entry), key
    assert {k for k, e in found.items() if "missing" in e} == {
        "accidents",
        "battery_status",
        "date_into_service",
        "expected_life_cycles",
        "expected_life_years",
    }


def test_it_says_what_was_run_and_its_fields() -> None:
    battery = open_battery(BatterySpec(cells=4), 17)
    battery.advance(60)
    document = battery.truth_document()
    assert (document["seed"], document["seconds"]) == (17, pytest.approx(60))
    assert msgspec.convert(document["spec"], BatterySpec) == battery.spec
    assert document["fields"] == {f.key: v for f, v in battery.truth().items()}
    assert {Field.CAPACITY_DISCHARGED, Field.TIME_EXTREME_HIGH, Field.REMAINING_CAPACITY} < set(battery.truth())


def test_a_new_battery_of_equal_cells_has_lost_nothing() -> None:
    found = attributes(open_battery(BatterySpec(cells=4), 1))
    for key in ("capacity_fade", "rte_fade", "internal_resistance_increase", "self_discharge_evolution"):
        assert found[key]["value"] == pytest.approx(0, abs=1e-6), key
    assert found["soce"]["value"] == pytest.approx(100)
    assert found["power_fade"]["value"] == pytest.approx({"80": 0, "20": 0})
    assert found["self_discharge_current"]["value"] == pytest.approx(2)


@pytest.mark.parametrize("chemistry", ["nmc", "lfp"])
def test_an_aged_one_has_lost_of_everything(chemistry: str) -> None:
    found = attributes(open_battery(BatterySpec(chemistry=chemistry, cells=4, age=1), 1))  # type: ignore[arg-type]
    assert found["soce"]["value"] < 100 - found["capacity_fade"]["value"] + 1
    assert found["power_fade"]["value"]["20"] > 3
    assert found["rte_fade"]["value"] > 0
    assert found["internal_resistance_increase"]["value"] > 20


def test_the_reference_discharge_by_hand() -> None:
    """In a tenth of the charge around half, voltage and resistance are near constant: power is I (OCV - I R)."""
    battery = open_battery(BatterySpec(cells=10), 1)
    found = attributes(battery)
    ohm, ocv = battery.cells.pulse_ohm, battery.cells.curve_v(battery.cells.soc * 0 + 0.2).sum()
    # At 20 % R0 is 12 % above that of half charge, and R0 is 0.6 of 0.86 shares of the 10 s resistance.
    share = 0.6 / (0.6 + 0.3 * (1 - math.exp(-10 / 4)) + 0.6 * (1 - math.exp(-10 / 240)))
    ohm *= 1 + 0.12 * share
    current = min((ocv - 28) / ohm, 5 * 60)
    assert found["remaining_power"]["value"]["20"] == pytest.approx(current * (ocv - current * ohm), rel=1e-3)
    # A charge and a discharge at C/3 each lose the current times the settled resistance.
    settled = battery.cells.settled_ohm(battery.cells.soc * 0 + 0.5).sum()
    loss_pct = 100 * 2 * 20 * settled / battery.cells.curve_v(battery.cells.soc * 0 + 0.5).sum()
    assert 100 - found["remaining_rte"]["value"] == pytest.approx(loss_pct, rel=0.25)
    energy = found["remaining_energy"]["value"]
    assert 0.95 * battery.declared().rated_energy_kwh < energy < battery.declared().rated_energy_kwh  # type: ignore[operator]


def test_the_weakest_cell_decides() -> None:
    alike, scattered = (
        attributes(open_battery(BatterySpec(cells=96, spread=Spread(capacity=c)), 1)) for c in (0.0, 0.02)
    )
    assert scattered["remaining_capacity"]["value"] < 0.97 * alike["remaining_capacity"]["value"]
    assert scattered["soce"]["value"] < 97.5
