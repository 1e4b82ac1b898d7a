"""Round-trip efficiency from closed loops of batteries whose losses are known, and what does not count as a loop."""

from math import sin
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import ALL, NAMES, sample

from packseal.core.declared import Declared
from packseal.core.meter.efficiency import KEPT, Efficiency, EfficiencyState
from packseal.core.meter.view import Viewer
from packseal.core.passport import Field, Method, Missing, Reading
from packseal.core.quantities import Quantity
from packseal.core.sample import Flaw, Sample

OHM, OCV_V = 0.2, 360.0
PACK = Declared(
    rated_capacity_ah=60,
    rated_energy_kwh=21.6,
    chemistry="nmc",
    cells_in_series=90,
    category="stationary",
    initial_round_trip_efficiency_pct=98.0,
)
BLIND = frozenset({Quantity.PACK_CURRENT_A, Quantity.PACK_VOLTAGE_V})
LIMIT_NS = 200_000_000_000


class Fed:
    """A battery that is a voltage and a resistance, its BMS, and the family."""

    def __init__(self, declared: Declared = PACK, delivers: frozenset[Quantity] = ALL, soc: float = 60.0) -> None:
        self.family = Efficiency(declared, delivers, LIMIT_NS, EfficiencyState())
        self.viewer = Viewer(declared, delivers)
        self.t_s, self.soc, self.stated_error = 0.0, soc, 0.0
        self.celsius, self.zero_a, self.step_pct = 25.0, 0.0, 1.0

    def run(self, current_a: float, seconds: float, every_s: float = 10.0) -> None:
        """Hold a current; the state of charge is counted from it."""
        for _ in range(round(seconds / every_s)):
            self.t_s += every_s
            self.soc += current_a * every_s / 3600 / 60 * 100
            self.say(current_a)

    def say(self, current_a: float) -> None:
        stated = self.soc + self.stated_error
        stated = round(stated / self.step_pct) * self.step_pct
        volts = OCV_V + (self.soc - 50) * 0.6 + current_a * OHM
        self.family.feed(
            self.viewer.see(sample(self.t_s, v=volts, a=current_a + self.zero_a, soc=stated, t=self.celsius))
        )

    def reading(self, field: Field = Field.REMAINING_ROUND_TRIP_EFFICIENCY) -> Reading:
        return next(r for r in self.family.readings() if r.field is field)


def loops(fed: Fed, count: int, current_a: float = 12.0, every_s: float = 10.0) -> None:
    for _ in range(count):
        fed.run(-current_a, 9600 * 12 / current_a, every_s)
        fed.run(0, 600, every_s)
        fed.run(current_a, 9600 * 12 / current_a, every_s)
        fed.run(0, 600, every_s)


def within(found: Reading, truth_pct: float) -> bool:
    assert found.value is not None, found
    assert found.uncertainty is not None
    return abs(found.value - truth_pct) <= 1.96 * found.uncertainty


def truth_pct(current_a: float = 12.0, mean_v: float = OCV_V - 3) -> float:
    """C/5 between 60 and 7 %: the mean open-circuit voltage is that of 33 %, at which both currents flow."""
    return 100 * (mean_v - 6 - current_a * OHM) / (mean_v - 6 + current_a * OHM)


@pytest.mark.parametrize("every_s", [0.5, 1.0, 10.0, 60.0])
def test_equal_states_of_charge_close_a_loop(every_s: float) -> None:
    fed = Fed()
    loops(fed, 2, every_s=every_s)
    found = fed.reading()
    assert within(found, truth_pct())
    assert found.value == pytest.approx(truth_pct(), abs=0.6)
    assert found.method is Method.EQUAL_CHARGE_LOOP
    fade = fed.reading(Field.ROUND_TRIP_EFFICIENCY_FADE)
    assert fade.value == pytest.approx(100 * (1 - (found.value or 0) / 98))
    assert fade.uncertainty == pytest.approx(100 * (found.uncertainty or 0) / 98)


def test_more_loops_leave_less_doubt_and_no_more_than_ten_are_kept() -> None:
    few, many = Fed(), Fed()
    loops(few, 1)
    loops(many, 15)
    assert (many.reading().uncertainty or 1) < (few.reading().uncertainty or 0)
    assert len(many.family.state.loops) == KEPT
    assert len(msgspec.msgpack.encode(many.family.state)) < 2048
    assert many.reading().value == pytest.approx(truth_pct(), abs=0.2)


def test_loops_begun_while_charging_and_while_discharging_agree() -> None:
    charging = Fed(soc=20.0)
    charging.run(12, 9000)
    loops(charging, 6)
    assert charging.reading().value == pytest.approx(truth_pct(mean_v=OCV_V), abs=0.3)


def test_coarse_states_of_charge_are_corrected_for_what_the_loop_does_not_close() -> None:
    fed = Fed()
    fed.step_pct = 4.0
    loops(fed, 8, every_s=60)
    assert within(fed.reading(), truth_pct())


def test_full_charges_close_loops_where_no_state_of_charge_is_told() -> None:
    fed = Fed(delivers=BLIND, soc=100.0)
    top_v = 4.2 * 90

    def say(current_a: float, volts: float, t_s: float) -> None:
        fed.family.feed(fed.viewer.see(sample(t_s, v=volts, a=current_a)))

    t_s, taken, given = 0.0, 0.0, 0.0
    for loop in range(4):
        for n in range(1500):
            t_s += 10
            volts = top_v - 15 - n * 0.02
            say(-12.1, volts, t_s)
            given += 12 * volts * (loop > 0)
        for n in range(1500):
            t_s += 10
            volts = top_v - 30 + min(30.0, n * 0.025)
            amps = 12 if n < 1400 else 12 - (n - 1399) * 0.1
            say(amps * 1500 / 1449.5, volts, t_s)
            taken += amps * 1500 / 1449.5 * volts * (loop > 0)
        for _ in range(60):
            t_s += 10
            say(0.0, top_v - 1, t_s)
    found = fed.reading()
    assert len(fed.family.state.loops) == 3
    assert within(found, 100 * given / taken)
    assert found.uncertainty is not None
    assert found.uncertainty < 2


def test_a_charge_that_ends_below_the_limit_or_at_full_current_is_not_full() -> None:
    for end_v, end_a in ((4.1, 5.0), (4.2, 20.0)):
        fed = Fed(delivers=BLIND)
        for n in range(12000):
            phase = n % 3000
            amps = -12.0 if phase < 1400 else end_a if phase < 2900 else 0.0
            fed.family.feed(fed.viewer.see(sample(n * 10.0, v=end_v * 90, a=amps)))
        assert fed.reading().missing is Missing.NO_EVIDENCE


@pytest.mark.parametrize("celsius", [14.0, 36.0, -10.0])
def test_loops_out_of_the_temperature_range_do_not_count(celsius: float) -> None:
    fed = Fed()
    fed.celsius = celsius
    loops(fed, 2)
    assert fed.reading().missing is Missing.NO_EVIDENCE


def test_a_shallow_loop_does_not_close() -> None:
    fed = Fed()
    fed.run(-12, 8000)
    fed.run(12, 8000)
    assert fed.reading().missing is Missing.NO_EVIDENCE


def test_a_gap_a_stop_a_flaw_or_a_state_of_charge_put_right_begins_anew() -> None:
    for what in ("gap", "stop", "flaw", "jump"):
        fed = Fed()
        fed.run(-12, 9000)
        if what == "gap":
            fed.t_s += 201
        elif what == "stop":
            fed.family.resume(10**9)
        elif what == "flaw":
            one = sample(fed.t_s + 1)
            fed.family.feed(fed.viewer.see(Sample(one.at, {}, {NAMES["v"]: Flaw.OUT_OF_RANGE})))
        else:
            fed.stated_error = 8.0
        fed.run(12, 9000)
        assert fed.reading().missing is Missing.NO_EVIDENCE, what


def test_the_zero_of_the_current_sensor_is_in_the_uncertainty() -> None:
    for zero_a in (-0.15, 0.15):
        fed = Fed()
        fed.zero_a = zero_a
        loops(fed, 4)
        assert within(fed.reading(), truth_pct())


def test_other_rates_than_those_of_a_test_are_in_the_uncertainty() -> None:
    for current_a in (6.0, 30.0):
        fed = Fed()
        loops(fed, 6, current_a=current_a, every_s=5)
        assert within(fed.reading(), truth_pct(current_a=12.0))


def test_what_is_missing_says_why() -> None:
    assert Fed(delivers=frozenset({Quantity.PACK_VOLTAGE_V})).reading().missing is Missing.NOT_REPORTED
    assert Fed(Declared(rated_capacity_ah=60)).reading().missing is Missing.NOT_DECLARED
    by_voltage = Declared(rated_capacity_ah=60, nominal_voltage_v=360)
    assert Fed(by_voltage).reading().missing is Missing.NO_DATA
    assert Fed(by_voltage, BLIND).reading().missing is Missing.NOT_DECLARED
    bare = Fed(by_voltage)
    loops(bare, 2)
    assert bare.reading().value is not None
    assert bare.reading(Field.ROUND_TRIP_EFFICIENCY_FADE).missing is Missing.NOT_DECLARED


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1.0, 60.0, 190.0, 500.0]),
            st.floats(-200, 200),
            st.floats(200, 450),
            st.floats(0, 100),
            st.floats(-20, 60),
        ),
        max_size=200,
    ),
    st.integers(0, 200),
)
def test_any_stream_stays_within_bounds_and_a_stop_saves_all_that_counts(
    stream: list[tuple[float, float, float, float, float]], cut: int
) -> None:
    whole = Efficiency(PACK, ALL, LIMIT_NS, EfficiencyState())
    parts = Efficiency(PACK, ALL, LIMIT_NS, EfficiencyState())
    viewer, t_s = Viewer(PACK, ALL), 0.0
    for n, (dt, amps, volts, soc, celsius) in enumerate(stream):
        t_s += dt
        if n == cut:
            saved = msgspec.msgpack.encode(parts.state)
            parts = Efficiency(PACK, ALL, LIMIT_NS, msgspec.msgpack.decode(saved, type=EfficiencyState))
            parts.resume(10**9)
            whole.resume(10**9)
        view = viewer.see(sample(t_s, a=amps, v=volts, soc=soc, t=celsius))
        whole.feed(view)
        parts.feed(view)
    assert whole.readings() == parts.readings()
    found = whole.readings()[0]
    assert found.value is None or 50 <= found.value <= 100


def test_noise_and_ripple_stay_within_the_interval() -> None:
    inside = 0
    for seed in range(20):
        rng = Random(seed)
        fed = Fed()
        fed.zero_a = rng.gauss(0, 0.02)
        gain = 1 + rng.gauss(0, 0.01)
        soc = 60.0
        for n in range(4 * 2040):
            wanted = -12.0 if n % 2040 < 1020 else 12.0
            amps = wanted * (1 + 0.5 * sin(n / 9))
            soc += amps / 360 / 60 * 100
            volts = OCV_V + (soc - 50) * 0.6 + amps * OHM + rng.gauss(0, 0.3)
            fed.family.feed(fed.viewer.see(sample(n * 10.0, v=volts, a=amps * gain + fed.zero_a, soc=round(soc), t=25)))
        inside += within(fed.reading(), truth_pct())
    assert inside >= 18
