"""Sensors: gain, offset, quantisation, noise and silence."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal.core.quantities import Channel, Quantity
from packseal_hil.battery import BatterySpec, Sensor, Sensors, open_battery, sensing

CURRENT, VOLTAGE = Channel(Quantity.PACK_CURRENT_A), Channel(Quantity.PACK_VOLTAGE_V)
FINITE = st.floats(-1000, 1000)


@settings(deadline=None)
@given(FINITE, st.sampled_from([0.001, 0.1, 0.25, 1.0]), st.floats(0.9, 1.1), FINITE)
def test_a_reading_is_a_whole_number_of_steps_and_the_nearest_one(
    true: float, step: float, gain: float, offset: float
) -> None:
    sensor = Sensor(step=step, gain=gain, offset=offset)
    rng = np.random.default_rng(1)
    one, many = sensing.read_one(sensor, true, rng), sensing.read(sensor, [true], rng)[0]
    assert one == many
    assert one / step == pytest.approx(round(one / step), abs=1e-6)
    assert abs(one - (true * gain + offset)) <= step / 2 + 1e-9


def test_noise_has_the_stated_deviation_and_no_bias() -> None:
    said = sensing.read(Sensor(noise=0.5), np.zeros(20_000), np.random.default_rng(1))
    assert said.std() == pytest.approx(0.5, rel=0.03)
    assert said.mean() == pytest.approx(0, abs=0.02)


def test_said_values_carry_the_errors_and_true_ones_do_not() -> None:
    sensors = Sensors(
        current=Sensor(gain=1.01, offset=0.2), cell_voltage=Sensor(step=0.005), temperature=Sensor(step=1)
    )
    battery = open_battery(BatterySpec(cells=12, sensors=sensors, load="overnight_charge"), 1)
    battery.advance(600)
    said, true = battery.said(), battery.signals()
    assert said[CURRENT] == pytest.approx(true["pack_current_a"] * 1.01 + 0.2)
    cells = [v for c, v in said.items() if c.quantity is Quantity.CELL_VOLTAGE_V]
    assert len(cells) == 12
    assert all(v / 0.005 == pytest.approx(round(v / 0.005)) for v in cells)
    assert said[Channel(Quantity.TEMPERATURE_MAX_C)] == round(true["temperature_max_c"])
    assert said[Channel(Quantity.PACK_POWER_W)] == pytest.approx(said[VOLTAGE] * said[CURRENT])


def test_a_silent_sensor_takes_its_channels_away_and_nothing_else() -> None:
    sensors = Sensors(current=Sensor(dropouts_per_h=60, dropout_s=30))
    spec = BatterySpec(cells=2, load="overnight_charge", step_s=5)
    battery = open_battery(msgspec.structs.replace(spec, sensors=sensors), 4)
    silent = 0
    for _ in range(4 * 3600 // 5):
        battery.advance(5)
        said = battery.said()
        silent += CURRENT not in said
        assert (CURRENT in said) == (Channel(Quantity.PACK_POWER_W) in said)
        assert VOLTAGE in said
    # 60 an hour, each followed by 30 s of silence: on average 30 of 90 s.
    assert silent * 5 / (4 * 3600) == pytest.approx(1 / 3, abs=0.1)
    # Charge goes on being counted, with the last value.
    assert battery.said()[Channel(Quantity.STATE_OF_CHARGE_PCT)] == pytest.approx(battery.soc_pct, abs=0.5)
    twin = open_battery(spec, 4)
    twin.advance(4 * 3600)
    assert battery.truth() == pytest.approx(twin.truth())


def test_asking_twice_gives_the_same_answer_and_the_seed_decides() -> None:
    spec = BatterySpec(cells=2, sensors=Sensors(current=Sensor(noise=1), cell_voltage=Sensor(noise=0.01)))
    one, same, other = (open_battery(spec, seed) for seed in (1, 1, 2))
    for battery in (one, same, other):
        battery.advance(10)
    assert dict(one.said()) == dict(one.said()) == dict(same.said())
    assert dict(one.said()) != dict(other.said())
