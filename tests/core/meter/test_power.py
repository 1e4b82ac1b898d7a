"""Power capability from open-circuit voltage and 10 s resistance, against the formula and against a current limit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import ALL

from packseal.core.declared import Declared
from packseal.core.meter.open_circuit import OpenCircuit, Value
from packseal.core.meter.power import Power, pulse_power
from packseal.core.meter.resistance import HIGH, LOW, MIDDLE, Found, ResistanceState
from packseal.core.passport import Field, Method, Missing, Reading
from packseal.core.quantities import Quantity

PACK = Declared(
    rated_capacity_ah=60,
    chemistry="nmc",
    cells_in_series=100,
    cell_voltage_min_v=2.8,
    initial_power_at_80_w=400_000,
    initial_power_at_20_w=200_000,
)
NEW = Found(0.1, 0.002, 1_800_000_000_000)


def power(declared: Declared = PACK, steps: int = 5, delivers: frozenset[Quantity] = ALL) -> dict[Field, Reading]:
    state = ResistanceState(ten=[[], [NEW] * steps, []], heard=True)
    return {r.field: r for r in Power(declared, delivers, 10**10, state).readings()}


def relative(found: Reading) -> float:
    assert found.value is not None
    assert found.uncertainty is not None
    return found.uncertainty / found.value


def test_power_is_that_of_a_pulse_which_ends_at_the_lowest_voltage() -> None:
    found = power()[Field.REMAINING_POWER_AT_80]
    assert found.value == pytest.approx(280 * (399.4 - 280) / 0.104)
    assert found.method is Method.POWER_FROM_RESISTANCE
    assert found.last_update_ms == NEW.wall_ms
    at_20 = power()[Field.REMAINING_POWER_AT_20]
    assert at_20.value == pytest.approx(280 * (352.0 - 280) / 0.112)
    assert relative(at_20) > relative(found)


def test_the_declared_current_limits_it() -> None:
    limited = msgspec.structs.replace(PACK, max_discharge_current_a=300.0)
    assert power(limited)[Field.REMAINING_POWER_AT_80].value == pytest.approx(300 * (399.4 - 300 * 0.104))
    generous = msgspec.structs.replace(PACK, max_discharge_current_a=3000.0)
    assert power(generous)[Field.REMAINING_POWER_AT_80].value == power()[Field.REMAINING_POWER_AT_80].value


def test_steps_near_the_state_of_charge_count_more_than_those_in_the_middle() -> None:
    state = ResistanceState(ten=[[Found(0.2, 0.01, 5)] * 3, [NEW], []], heard=True)
    found = {r.field: r for r in Power(PACK, ALL, 10**10, state).readings()}
    assert found[Field.REMAINING_POWER_AT_20].value == pytest.approx(280 * (352.0 - 280) / 0.2)
    assert (LOW, MIDDLE, HIGH) == (0, 1, 2)


def test_the_fade_is_the_greater_of_both() -> None:
    found = power()
    fades = [
        100 * (1 - (found[Field.REMAINING_POWER_AT_80].value or 0) / 400_000),
        100 * (1 - (found[Field.REMAINING_POWER_AT_20].value or 0) / 200_000),
    ]
    assert found[Field.POWER_FADE].value == pytest.approx(max(fades))
    one = power(msgspec.structs.replace(PACK, initial_power_at_20_w=None))[Field.POWER_FADE]
    assert one.value == pytest.approx(fades[0])


def test_what_is_missing_says_why() -> None:
    at_80 = Field.REMAINING_POWER_AT_80
    assert power(delivers=frozenset({Quantity.PACK_VOLTAGE_V}))[at_80].missing is Missing.NOT_REPORTED
    assert power(msgspec.structs.replace(PACK, cell_voltage_min_v=None))[at_80].missing is Missing.NOT_DECLARED
    assert power(msgspec.structs.replace(PACK, chemistry=None))[at_80].missing is Missing.NOT_DECLARED
    assert power(msgspec.structs.replace(PACK, chemistry="lto"))[at_80].missing is Missing.NO_EVIDENCE
    assert power(steps=0)[at_80].missing is Missing.NO_EVIDENCE
    assert power(steps=0)[Field.POWER_FADE].missing is Missing.NO_EVIDENCE
    bare = msgspec.structs.replace(PACK, initial_power_at_20_w=None, initial_power_at_80_w=None)
    assert power(bare)[Field.POWER_FADE].missing is Missing.NOT_DECLARED


@given(
    st.floats(0, 1000), st.floats(0, 50), st.floats(1e-5, 10), st.floats(0, 2), st.floats(1, 800), st.floats(0.1, 5000)
)
def test_power_is_never_below_zero_nor_above_what_any_current_can_draw(
    rest_v: float, rest_sd: float, ohm: float, ohm_sd: float, low_v: float, limit_a: float
) -> None:
    for limit in (None, limit_a):
        found = pulse_power(Value(rest_v, rest_sd), Value(ohm, ohm_sd), low_v, limit)
        assert 0 <= found.value <= max(rest_v, 0) ** 2 / 4 / ohm + max(0, low_v * (rest_v - low_v) / ohm) + 1e-9
        assert found.sd >= 0


@given(st.sampled_from(["nmc", "nca", "lfp"]), st.floats(0, 1))
def test_the_generic_curves_rise_and_turn_back_into_the_charge(chemistry: str, soc: float) -> None:
    curve = OpenCircuit(Declared(chemistry=chemistry))
    volts = curve.voltage(soc)
    assert volts is not None
    back = curve.charge(volts.value)
    assert back is not None
    assert back.soc == pytest.approx(soc, abs=1e-6)
    assert back.v_per_soc > 0
