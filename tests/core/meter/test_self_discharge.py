"""Self-discharge from long rests: cells that lose what is known, and what may not be taken for rest."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import NAMES, WALL_NS

from packseal.core.declared import Declared
from packseal.core.meter.open_circuit import OpenCircuit
from packseal.core.meter.self_discharge import KEPT, WORST_SD, SelfDischarge, SelfDischargeState
from packseal.core.meter.view import Viewer
from packseal.core.passport import Field, Method, Missing, Reading
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Flaw, Instant, Sample

DAY_S, MONTH_S = 86_400.0, 30 * 86_400.0
PACK = Declared(
    rated_capacity_ah=60, chemistry="nmc", cells_in_series=96, category="ev", initial_self_discharge_pct_month=2.0
)
OUT, INTO = Channel(Quantity.CHARGE_DISCHARGED_AH), Channel(Quantity.CHARGE_CHARGED_AH)
DELIVERS = frozenset({c.quantity for c in (*NAMES.values(), OUT, INTO)})
LIMIT_NS = 180_000_000_000


class Fed:
    """A pack that loses charge at rest, and its BMS."""

    def __init__(self, declared: Declared = PACK, delivers: frozenset[Quantity] = DELIVERS, soc: float = 0.8) -> None:
        self.declared, self.delivers = declared, delivers
        self.family = SelfDischarge(declared, delivers, LIMIT_NS, SelfDischargeState())
        self.viewer = Viewer(declared, delivers)
        curve = OpenCircuit(Declared(chemistry=declared.chemistry or "nmc"))
        self.curve = curve
        self.soc, self.rate_pct, self.t_s = soc, 2.0, 0.0
        self.celsius: float | None = 20.0
        self.into_ah, self.out_ah, self.counts, self.counter_step_ah = 100.0, 200.0, True, 0.01
        self.stated_zero_a, self.noise = 0.0, Random(1)

    def say(self, current_a: float) -> None:
        cell = self.curve.voltage(self.soc)
        assert cell is not None
        volts = round((cell.value * 96 + current_a * 0.1 + self.noise.gauss(0, 0.05)) / 0.1) * 0.1
        values = {NAMES["v"]: volts, NAMES["a"]: current_a + self.stated_zero_a}
        if self.celsius is not None:
            values[NAMES["t"]] = self.celsius
        if self.counts:
            step = self.counter_step_ah
            values[INTO], values[OUT] = self.into_ah // step * step, self.out_ah // step * step
        ns = round(self.t_s * 1e9)
        self.family.feed(self.viewer.see(Sample(Instant(ns, WALL_NS + ns, ClockQuality.NTP), values)))

    def pass_time(self, seconds: float, current_a: float = 0.0) -> None:
        self.t_s += seconds
        self.soc -= self.rate_pct / 100 * seconds / MONTH_S
        self.soc += current_a * seconds / 3600 / 60
        self.into_ah += max(0.0, current_a) * seconds / 3600
        self.out_ah -= min(0.0, current_a) * seconds / 3600

    def run(self, seconds: float, current_a: float = 0.0, every_s: float = 60.0) -> None:
        for _ in range(round(seconds / every_s)):
            self.pass_time(every_s, current_a)
            self.say(current_a)

    def used(self) -> "Fed":
        """Half an hour of use either way, so that the counters have shown their resolution."""
        self.run(1800, 6)
        self.run(1800, -6)
        return self

    def reading(self, field: Field = Field.SELF_DISCHARGE_RATE) -> Reading:
        return next(r for r in self.family.readings() if r.field is field)


class Learnt:
    """What a capacity estimator would know of this battery."""

    curve = OpenCircuit(PACK)

    def capacity_ah(self) -> tuple[float, float] | None:
        return 60.0, 0.5

    def ocv_v(self, soc: float) -> float | None:
        found = self.curve.voltage(soc)
        return None if found is None else found.value

    def soc_of(self, ocv_v: float) -> tuple[float, float] | None:
        found = self.curve.charge(ocv_v)
        return None if found is None else (found.soc, found.v_per_soc)


def learnt() -> Fed:
    fed = Fed()
    fed.family = SelfDischarge(PACK, DELIVERS, LIMIT_NS, SelfDischargeState(), OpenCircuit(PACK, Learnt()))
    return fed


def within(found: Reading, truth: float) -> bool:
    assert found.value is not None, found
    assert found.uncertainty is not None
    return abs(found.value - truth) <= 1.96 * found.uncertainty


@pytest.mark.parametrize("rate_pct", [0.0, 0.5, 2.0, 3.0])
def test_weeks_of_rest_tell_the_rate(rate_pct: float) -> None:
    fed = Fed().used()
    fed.rate_pct = rate_pct
    fed.run(21 * DAY_S)
    found = fed.reading()
    assert within(found, rate_pct)
    assert found.value == pytest.approx(rate_pct, abs=0.3)
    assert found.method is Method.REST_PAIR
    evolution = fed.reading(Field.SELF_DISCHARGE_EVOLUTION)
    assert evolution.value == pytest.approx(100 * ((found.value or 0) / 2 - 1))
    assert evolution.uncertainty == pytest.approx(100 * (found.uncertainty or 0) / 2)


def test_three_days_are_too_few_to_be_sure_and_less_than_that_is_no_evidence() -> None:
    fed = Fed()
    fed.run(2.9 * DAY_S)
    assert fed.reading().missing is Missing.NO_EVIDENCE
    fed.run(1 * DAY_S)
    assert fed.reading().missing is Missing.TOO_UNCERTAIN
    assert fed.reading(Field.SELF_DISCHARGE_EVOLUTION).missing is Missing.TOO_UNCERTAIN


def test_a_great_rate_needs_a_curve_learnt_of_this_battery() -> None:
    generic, known = Fed(), learnt()
    for fed in (generic, known):
        fed.rate_pct = 6.0
        fed.run(21 * DAY_S)
    assert generic.reading().missing is Missing.TOO_UNCERTAIN
    assert within(known.reading(), 6.0)


def test_small_currents_are_subtracted_with_doubt() -> None:
    still = learnt()
    still.run(25 * DAY_S)
    for current_a in (-0.001, 0.001):
        fed = learnt()
        fed.run(25 * DAY_S, current_a)
        assert within(fed.reading(), 2.0)
        assert (fed.reading().uncertainty or 0) > (still.reading().uncertainty or 1)


def test_a_sensor_that_is_off_zero_makes_it_too_uncertain() -> None:
    fed = Fed()
    fed.stated_zero_a = 0.1
    fed.run(25 * DAY_S)
    assert fed.reading().missing is Missing.TOO_UNCERTAIN


@pytest.mark.parametrize(("chemistry", "soc"), [("nmc", 0.45), ("nmc", 0.88), ("lfp", 0.6), ("lfp", 0.9)])
def test_where_the_curve_is_flat_nothing_is_told(chemistry: str, soc: float) -> None:
    fed = Fed(msgspec.structs.replace(PACK, chemistry=chemistry), soc=soc)
    fed.run(30 * DAY_S)
    assert fed.reading().missing is Missing.TOO_UNCERTAIN


def test_a_change_of_temperature_is_not_taken_for_a_change_of_charge() -> None:
    fed = Fed()
    fed.run(DAY_S)
    fed.celsius = 26.0
    fed.run(20 * DAY_S)
    assert fed.reading().missing is Missing.TOO_UNCERTAIN


@pytest.mark.parametrize("stop", [True, False], ids=["gateway-off", "bus-silent"])
def test_days_away_are_rest_only_if_the_counters_of_the_bms_say_so(stop: bool) -> None:  # noqa: FBT001  # a parameter
    def away(current_a: float, *, counts: bool, step_ah: float = 0.01) -> Fed:
        fed = Fed()
        fed.counts, fed.counter_step_ah = counts, step_ah
        fed.used()
        fed.run(DAY_S)
        fed.pass_time(20 * DAY_S, current_a)
        if stop:
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(fed.family.state), type=SelfDischargeState)
            fed.family = SelfDischarge(fed.declared, fed.delivers, LIMIT_NS, state)
            fed.family.resume(round(20 * DAY_S * 1e9))
        fed.run(DAY_S / 2)
        return fed

    assert within(away(0.0, counts=True).reading(), 2.0)
    assert within(away(-0.0002, counts=True).reading(), 2.0)
    assert away(-0.02, counts=True).reading().missing is Missing.NO_EVIDENCE
    assert away(0.0, counts=False).reading().missing is Missing.NO_EVIDENCE
    assert away(0.0, counts=True, step_ah=1.0).reading().missing is Missing.NO_EVIDENCE


def test_the_gateway_may_be_restarted_in_a_rest() -> None:
    whole, parts = Fed(), Fed()
    for fed in (whole, parts):
        fed.run(10 * DAY_S)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(parts.family.state), type=SelfDischargeState)
    parts.family = SelfDischarge(PACK, DELIVERS, LIMIT_NS, state)
    parts.family.resume(60 * 10**9)
    for fed in (whole, parts):
        fed.run(10 * DAY_S)
    assert parts.reading().value == pytest.approx(whole.reading().value, abs=0.01)
    assert parts.reading().value is not None


def test_use_and_flaws_end_a_rest() -> None:
    fed = Fed()
    fed.run(10 * DAY_S)
    before = fed.reading()
    fed.run(3600, -10.0)
    fed.run(10 * DAY_S)
    assert len(fed.family.state.pairs) == 2
    assert fed.reading() != before
    flawed = Fed()
    for _ in range(5):
        flawed.run(2.5 * DAY_S)
        at = Instant(round(flawed.t_s * 1e9) + 1, WALL_NS, ClockQuality.NTP)
        flawed.family.feed(flawed.viewer.see(Sample(at, {}, {NAMES["a"]: Flaw.OUT_OF_RANGE})))
    assert flawed.reading().missing is Missing.NO_EVIDENCE


def test_a_battery_that_gained_charge_unseen_tells_nothing() -> None:
    fed = Fed()
    fed.rate_pct = -6.0
    fed.run(20 * DAY_S)
    assert fed.reading().missing is Missing.TOO_UNCERTAIN


def test_state_is_bounded_over_years_of_rests() -> None:
    fed = Fed()
    for _ in range(KEPT + 3):
        fed.soc = 0.75
        fed.run(12 * DAY_S, every_s=170)
        fed.run(3600, -10.0)
    assert len(fed.family.state.pairs) == KEPT
    assert len(msgspec.msgpack.encode(fed.family.state)) < 2048
    assert within(fed.reading(), 2.0)


def test_what_is_missing_says_why() -> None:
    assert Fed(delivers=frozenset({Quantity.PACK_CURRENT_A})).reading().missing is Missing.NOT_REPORTED
    assert Fed(Declared(rated_capacity_ah=60)).reading().missing is Missing.NOT_DECLARED
    assert Fed(msgspec.structs.replace(PACK, chemistry=None)).reading().missing is Missing.NOT_DECLARED
    assert Fed().reading().missing is Missing.NO_DATA
    bare = Fed(msgspec.structs.replace(PACK, initial_self_discharge_pct_month=None))
    bare.run(20 * DAY_S)
    assert bare.reading().value is not None
    assert bare.reading(Field.SELF_DISCHARGE_EVOLUTION).missing is Missing.NOT_DECLARED


@given(
    st.lists(
        st.tuples(
            st.sampled_from([1.0, 60.0, 3600.0, 86400.0]),
            st.sampled_from([0.0, 0.0, 0.0, 0.01, -0.3, 50.0]),
            st.floats(2.5, 4.3),
            st.sampled_from([0.0, 0.0, 0.01, 1.0]),
            st.booleans(),
        ),
        max_size=120,
    )
)
def test_any_stream_gives_a_rate_of_zero_or_more_with_small_doubt_or_none(
    stream: list[tuple[float, float, float, float, bool]],
) -> None:
    family, viewer = SelfDischarge(PACK, DELIVERS, LIMIT_NS, SelfDischargeState()), Viewer(PACK, DELIVERS)
    t_s, out_ah = 0.0, 0.0
    for seconds, current_a, cell_v, more_ah, stop in stream:
        t_s, out_ah = t_s + seconds, out_ah + more_ah
        if stop:
            family.resume(round(seconds * 1e9))
        ns = round(t_s * 1e9)
        values = {NAMES["v"]: cell_v * 96, NAMES["a"]: current_a, INTO: 5.0, OUT: out_ah}
        family.feed(viewer.see(Sample(Instant(ns, WALL_NS + ns, ClockQuality.NTP), values)))
    rate = family.readings()[0]
    assert rate.value is None or rate.value >= 0
    assert rate.value is None or (rate.uncertainty or 0) < WORST_SD
