"""Internal resistance from current steps: cells whose truth is known, a recorded pulse test, and what is refused."""

import csv
import gzip
from collections.abc import Iterator
from math import exp
from pathlib import Path
from random import Random
from statistics import correlation, mean

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.meter.feeding import ALL, sample

from packseal.core.declared import Declared
from packseal.core.meter.pulse import HELD_S, THINNED_S
from packseal.core.meter.resistance import KEPT, Resistance, ResistanceState
from packseal.core.meter.view import Viewer
from packseal.core.passport import Field, Method, Missing, Reading
from packseal.core.quantities import Quantity

PACK = Declared(rated_capacity_ah=60, chemistry="nmc", cells_in_series=100, initial_resistance_ohm=0.08)
LIMIT_NS = 10_000_000_000
OHM_0, OHM_1, OHM_2, FAST_S, SLOW_S = 0.06, 0.03, 0.06, 4.0, 240.0
CAMP = Path(__file__).parent / "recorded/camp_nmc532_pulse_tests.csv.gz"
CAMP_CELL = Declared(rated_capacity_ah=1.5, chemistry="nmc", cells_in_series=1)


def pulse_ohm(seconds: float) -> float:
    return OHM_0 + OHM_1 * (1 - exp(-seconds / FAST_S)) + OHM_2 * (1 - exp(-seconds / SLOW_S))


class Fed:
    """A family, and the means to feed it."""

    def __init__(
        self, declared: Declared = PACK, delivers: frozenset[Quantity] = ALL, limit_ns: int = LIMIT_NS
    ) -> None:
        self.family = Resistance(declared, delivers, limit_ns, ResistanceState())
        self.viewer = Viewer(declared, delivers)
        self.t_s = 0.0

    def feed(self, t_s: float, **values: float) -> None:
        self.family.feed(self.viewer.see(sample(t_s, **values)))

    def step(  # noqa: PLR0913  # one step is all of these
        self,
        current_a: float,
        every_s: float = 1.0,
        rest_s: float = 60.0,
        held_s: float = 30.0,
        *,
        soc: float | None = 50.0,
        t: float | None = 25.0,
        late_s: float = 0.0,
        noise: tuple[Random, float] | None = None,
        factor: float = 1.0,
    ) -> None:
        """Rest, a step of a cell with two RC pairs that begins `late_s` after the last sample at rest, rest."""
        known = {k: v for k, v in (("soc", soc), ("t", t)) if v is not None}
        begins_s = self.t_s + rest_s + late_s
        for n in range(round((rest_s + held_s) / every_s) + 2):
            at_s = self.t_s + n * every_s
            since_s = at_s - begins_s
            amps = current_a if 0 <= since_s <= held_s else 0.0
            volts = 370 + amps * pulse_ohm(since_s) * factor if amps else 370.0
            if noise is not None:
                volts = round((volts + noise[0].gauss(0, noise[1])) * 10) / 10
            self.feed(at_s, v=volts, a=amps, **known)
        self.t_s += rest_s + held_s + 2 * every_s

    def reading(self, field: Field = Field.INTERNAL_RESISTANCE) -> Reading:
        return next(r for r in self.family.readings() if r.field is field)

    def ohm(self, field: Field = Field.INTERNAL_RESISTANCE) -> float:
        value = self.reading(field).value
        assert value is not None, self.reading(field)
        return value


@pytest.mark.parametrize("current_a", [-120.0, -12.1, 12.1, 60.0])
def test_a_step_either_way_gives_voltage_over_current_after_ten_seconds_and_after_one(current_a: float) -> None:
    fed = Fed()
    fed.step(current_a, every_s=0.1)
    assert fed.ohm() == pytest.approx(pulse_ohm(10), rel=0.002)
    assert fed.ohm(Field.OHMIC_RESISTANCE) == pytest.approx(pulse_ohm(1), rel=0.005)
    assert fed.reading().method is Method.PULSE_10_S
    assert fed.reading(Field.OHMIC_RESISTANCE).method is Method.PULSE_1_S
    increase = fed.reading(Field.INTERNAL_RESISTANCE_INCREASE)
    assert increase.value == pytest.approx(100 * (fed.ohm() / 0.08 - 1))
    assert increase.uncertainty == pytest.approx(100 * (fed.reading().uncertainty or 0) / 0.08)


@pytest.mark.parametrize("late_s", [0.0, 0.31, 0.5, 0.97])
@pytest.mark.parametrize("every_s", [0.1, 0.5, 1.0, 1.7, 2.0])
def test_samples_need_not_fall_on_ten_seconds(every_s: float, late_s: float) -> None:
    fed = Fed()
    fed.step(-60, every_s=every_s, rest_s=every_s * round(60 / every_s), late_s=late_s * every_s)
    assert fed.ohm() == pytest.approx(pulse_ohm(10), rel=0.01 if every_s < 2 else 0.02)
    one = fed.reading(Field.OHMIC_RESISTANCE)
    assert one.value == pytest.approx(pulse_ohm(1), abs=2 * (one.uncertainty or 0))


@pytest.mark.parametrize("every_s", [2.5, 5.0, 10.0, 60.0])
def test_slower_sampling_shows_no_pulse_and_says_so(every_s: float) -> None:
    fed = Fed(limit_ns=180_000_000_000)
    fed.step(-60, every_s=every_s, rest_s=10 * every_s, held_s=20 * every_s)
    assert fed.reading().missing is Missing.NO_EVIDENCE
    assert fed.reading(Field.OHMIC_RESISTANCE).missing is Missing.NO_EVIDENCE


def test_a_ten_second_pulse_of_a_test_counts_although_it_ends_just_then() -> None:
    fed = Fed()
    fed.step(-60, held_s=10.4, late_s=0.5)
    assert fed.ohm() == pytest.approx(pulse_ohm(10), rel=0.01)


@pytest.mark.parametrize(
    ("why", "how"),
    [
        ("rest too short", {"rest_s": 29.0}),
        ("step too small", {"current_a": -11.9}),
        ("too short", {"held_s": 8.0}),
        ("too full", {"soc": 71.0}),
        ("too empty", {"soc": 29.0}),
        ("too cold", {"t": 9.0}),
        ("too hot", {"t": 41.0}),
    ],
    ids=lambda x: x.replace(" ", "-") if isinstance(x, str) else "",
)
def test_what_is_not_such_a_step_is_no_evidence(why: str, how: dict[str, float]) -> None:
    fed = Fed()
    fed.step(**{"current_a": -60.0, **how})  # type: ignore[arg-type]  # each is a number of step's own
    assert fed.reading().missing is Missing.NO_EVIDENCE, why


def test_a_current_that_does_not_hold_is_no_ten_second_pulse_but_one_of_a_second() -> None:
    fed = Fed()
    for t in range(60):
        fed.feed(t, v=370, a=0, soc=50, t=25)
    for t in range(60, 90):
        amps = -60.0 if t < 65 else -50.0
        fed.feed(t, v=370 + amps * 0.1, a=amps, soc=50, t=25)
    assert fed.reading().missing is Missing.NO_EVIDENCE
    assert fed.ohm(Field.OHMIC_RESISTANCE) == pytest.approx(0.1)


def test_a_voltage_still_moving_at_the_end_of_the_rest_is_refused() -> None:
    fed = Fed()
    for t in range(80):
        amps = -60.0 if t >= 60 else 0.0
        fed.feed(t, v=370 + 0.08 * min(t, 60) + amps * 0.1, a=amps, soc=50, t=25)
    assert fed.reading().missing is Missing.NO_EVIDENCE


@pytest.mark.parametrize("celsius", [12.0, 20.0, 30.0, 38.0])
def test_another_temperature_is_taken_to_25_degrees_with_more_doubt(celsius: float) -> None:
    warm, at_25 = Fed(), Fed()
    true = exp(25_000 / 8.314462618 * (1 / (celsius + 273.15) - 1 / 298.15))
    warm.step(-60, t=celsius, factor=true)
    at_25.step(-60)
    assert warm.ohm() == pytest.approx(at_25.ohm(), rel=1e-3)
    assert (warm.reading().uncertainty or 0) > (at_25.reading().uncertainty or 1)
    other = Fed()  # the extremes of the published activation energies
    other.step(-60, t=celsius, factor=true ** (35 / 25))
    assert abs(other.ohm() - at_25.ohm()) < 2 * (other.reading().uncertainty or 0)


def test_without_charge_state_and_temperature_the_doubt_is_wide() -> None:
    bare = Declared(rated_capacity_ah=60)
    fed, known = Fed(bare), Fed()
    fed.step(-60, soc=None, t=None)
    known.step(-60)
    assert fed.ohm() == pytest.approx(known.ohm())
    assert (fed.reading().uncertainty or 0) > 3.5 * (known.reading().uncertainty or 1)


def test_without_the_bms_the_voltage_at_rest_tells_the_charge() -> None:
    fed = Fed()  # 3.7 V a cell is about 54 % of NMC
    fed.step(-60, soc=None)
    assert fed.ohm() == pytest.approx(pulse_ohm(10), rel=0.01)
    full = Fed(msgspec.structs.replace(PACK, cells_in_series=90))  # 4.11 V
    full.step(-60, soc=None)
    assert full.reading().missing is Missing.NO_EVIDENCE


@pytest.mark.parametrize("lost", [range(50, 62), range(65, 77)], ids=["before", "within"])
def test_nothing_is_seen_over_a_gap(lost: range) -> None:
    fed = Fed()
    for t in range(100):
        amps = -60.0 if t > 60 else 0.0
        if t not in lost:
            fed.feed(t, v=370 + amps * 0.1, a=amps, soc=50, t=25)
    assert fed.reading().missing is Missing.NO_EVIDENCE


def test_what_is_missing_says_why() -> None:
    assert Fed(PACK, frozenset({Quantity.PACK_CURRENT_A})).reading().missing is Missing.NOT_REPORTED
    assert Fed(Declared()).reading().missing is Missing.NOT_DECLARED
    assert Fed().reading().missing is Missing.NO_DATA
    undeclared = Fed(Declared(rated_capacity_ah=60))
    undeclared.step(-60)
    assert undeclared.reading(Field.INTERNAL_RESISTANCE_INCREASE).missing is Missing.NOT_DECLARED
    assert undeclared.ohm() > 0


def driven(amps: list[float], every_s: float = 0.1) -> Fed:
    """A rest of a minute, then these currents, a line between two of them, through the cell's two RC pairs."""
    fed = Fed()
    for t in range(60):
        fed.feed(t, v=370, a=0, soc=50, t=25)
    fast = slow = before = 0.0
    for n, now in enumerate(amps):
        mean = (now + before) / 2
        fast += (OHM_1 * mean - fast) * (1 - exp(-every_s / FAST_S))
        slow += (OHM_2 * mean - slow) * (1 - exp(-every_s / SLOW_S))
        fed.feed(59 + (n + 1) * every_s, v=370 + now * OHM_0 + fast + slow, a=now, soc=50, t=25)
        before = now
    return fed


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rise_s", [4, 9, 15])
@pytest.mark.parametrize("every_s", [0.1, 1.0])
def test_a_current_that_rises_slowly_is_read_when_it_has_flowed_for_ten_seconds_in_the_mean(
    sign: int, rise_s: float, every_s: float
) -> None:
    fed = driven([sign * 60 * min(1.0, n * every_s / rise_s) for n in range(round(40 / every_s))], every_s)
    found = fed.reading()
    assert found.method is Method.PULSE_10_S
    assert found.value == pytest.approx(pulse_ohm(10), rel=0.025)
    assert (found.uncertainty or 0) > 0.03 * (found.value or 0)


def test_a_launch_of_a_vehicle_is_read_and_steps_count_before_it() -> None:
    launch = [-(t / 5 * 54 if t < 5 else 54 + (t - 5) * 3.2) for t in range(19)]
    fed = driven([*launch, *([0.0] * 5)], 1.0)
    assert fed.ohm() == pytest.approx(pulse_ohm(10), rel=0.03)
    assert fed.reading(Field.OHMIC_RESISTANCE).missing is Missing.NO_EVIDENCE
    fed.t_s = 200.0
    for _ in range(5):
        fed.step(-60, factor=2.0)
    assert fed.ohm() == pytest.approx(2 * pulse_ohm(10), rel=0.01)


@pytest.mark.parametrize(
    "amps",
    [
        [60.0 * n / 25 for n in range(26)],
        [60.0 if n < 4 else -60.0 for n in range(30)],
        [60.0 if n % 4 else 20.0 for n in range(30)],
        [0.4 * n for n in range(25)],
    ],
    ids=["still-rising", "turned", "up-and-down", "too-small"],
)
def test_a_current_that_only_seems_to_rise_is_not_read(amps: list[float]) -> None:
    assert driven([*amps, 0.0, 0.0], 1.0).reading().missing is Missing.NO_EVIDENCE


def test_noise_of_sensors_stays_within_the_stated_interval() -> None:
    inside = 0
    for seed in range(40):
        rng = Random(seed)
        fed = Fed()
        gain = 1 + rng.gauss(0, 0.005)
        for _ in range(rng.randint(2, 25)):
            fed.step(rng.choice((-60, -30, 30, 45)), noise=(rng, 0.15), late_s=rng.random(), factor=gain)
        found = fed.reading()
        assert found.value is not None
        inside += abs(found.value - pulse_ohm(10)) <= 1.96 * (found.uncertainty or 0)
    assert inside >= 36


STREAM = st.lists(
    st.tuples(
        st.sampled_from([0.1, 1.0, 2.0, 9.0, 40.0]),
        st.floats(-300, 300),
        st.floats(0, 450),
        st.booleans(),
        st.booleans(),
    ),
    max_size=150,
)


@given(STREAM, st.integers(0, 150))
def test_any_stream_gives_a_positive_value_or_none_and_a_restart_between_steps_changes_nothing(
    stream: list[tuple[float, float, float, bool, bool]], cut: int
) -> None:
    whole, first = Fed(), Fed()
    whole.step(-60)
    first.step(-60)
    saved = msgspec.msgpack.encode(first.family.state)
    second = Fed()
    second.family = Resistance(PACK, ALL, LIMIT_NS, msgspec.msgpack.decode(saved, type=ResistanceState))
    second.family.resume(10**12)
    whole.family.resume(10**12)
    t_s = 2000.0
    for n, (dt, current, voltage, rests, known) in enumerate(stream):
        t_s += dt
        extra = {"soc": 50.0, "t": 25.0} if known else {}
        for one in (whole, second):
            if n == cut:
                one.family.resume(0)
            one.feed(t_s, v=voltage, a=0.0 if rests else current, **extra)
    assert whole.family.readings() == second.family.readings()
    assert all(r.value is None or r.value > 0 for r in whole.family.readings() if r.field.unit == "Ω")


def test_state_and_memory_are_bounded() -> None:
    fed = Fed()
    for n in range(2 * KEPT):
        fed.step(-60, soc=20.0 + 30 * (n % 3), held_s=11)
    fed.feed(fed.t_s, v=370, a=0)
    for t in range(5000):
        fed.feed(fed.t_s + 31 + t / 100, v=360, a=-60)
    assert len(msgspec.msgpack.encode(fed.family.state)) < 4096
    held = fed.family._watch._moments  # the one thing that could grow
    assert len(held) <= HELD_S / THINNED_S + 2


def camp() -> Iterator[tuple[int, float, float, float, bool]]:
    with gzip.open(CAMP, "rt") as file:
        for row in csv.DictReader(file):
            yield int(row["cycle"]), float(row["t_s"]), float(row["i_a"]), float(row["v_v"]), row["pulse"] == "1"


def pulse_test_ohm(rows: list[tuple[int, float, float, float, bool]]) -> float:
    """The mean of a test's pulses out of rest between 3.6 and 3.85 V, as a person reads them off the table."""
    found = []
    for n, (_, _, amps, volts, pulse) in enumerate(rows):
        if pulse and not rows[n + 1][4]:
            rest = next(rows[i] for i in range(n, 0, -1) if not rows[i][4])
            if 3.6 < rest[3] < 3.85:
                found.append((volts - rest[3]) / (amps - rest[2]))
    return mean(found)


def test_growth_of_a_recorded_cell_follows_its_ten_second_pulse_tests() -> None:
    fed = Fed(CAMP_CELL, limit_ns=900_000_000_000)
    tests: dict[int, list[tuple[int, float, float, float, bool]]] = {}
    found: dict[int, Reading] = {}
    for row in camp():
        cycle, t_s, amps, volts, _ = row
        tests.setdefault(cycle, []).append(row)
        fed.feed(t_s, v=volts, a=amps)
        found[cycle] = fed.reading()
    truth = [pulse_test_ohm(rows) for rows in tests.values()]
    ours = [found[cycle].value or 0.0 for cycle in tests]
    growth = [(100 * (r / truth[0] - 1), 100 * (o / ours[0] - 1)) for r, o in zip(truth, ours, strict=True)]
    assert len(truth) == 19
    assert growth[-1][0] > 40  # it did grow
    assert correlation(truth, ours) > 0.95
    assert max(abs(a - b) for a, b in growth) < 5
    last = list(found.values())[-1]
    assert abs((last.value or 0) - truth[-1]) < 1.96 * (last.uncertainty or 0)
