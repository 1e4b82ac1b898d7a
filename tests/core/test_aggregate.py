"""Samples of parts become samples of the whole: at its period, never a part of a sum, and each trouble told once."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core import aggregate
from packseal.core.aggregate import Aggregator
from packseal.core.combining import Arrangement, Combiner, Part
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Flaw, Instant, Notice, Sample

V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
WALL_NS = 1_795_000_000_000_000_000
SERIES, PARALLEL = Arrangement.SERIES, Arrangement.PARALLEL
FIRST, SECOND = "urn:part:1", "urn:part:2"

Said = list[Sample | Notice]


def at(t_s: float) -> Instant:
    ns = round(t_s * 1e9)
    return Instant(ns, WALL_NS + ns, ClockQuality.NTP)


def sample(t_s: float, volts: float = 50.0, amperes: float = 10.0) -> Sample:
    return Sample(at(t_s), {V: volts, A: amperes})


def aggregator(
    arrangement: Arrangement = PARALLEL,
    period_s: float = 1.0,
    limits_s: Sequence[float] = (10, 10),
    *,
    patient: bool = False,
) -> Aggregator:
    parts = [
        Part(f"urn:part:{i}", limit, frozenset({V.quantity, A.quantity}), {}) for i, limit in enumerate(limits_s, 1)
    ]
    return Aggregator(Combiner(arrangement, parts), period_s, patient=patient)


def rows(said: Said) -> list[tuple[float, float | None, float | None]]:
    return [(s.at.mono_ns / 1e9, s.values.get(V), s.values.get(A)) for s in said if isinstance(s, Sample)]


def told(said: Said) -> list[tuple[EventCode, float, object]]:
    return [(n.code, n.at.mono_ns / 1e9, n.attributes.get("part")) for n in said if isinstance(n, Notice)]


def play(made: Aggregator, *samples: tuple[int, Sample]) -> Said:
    return [item for number, one in samples for item in made.feed(number, one)]


def test_a_sample_comes_as_soon_as_every_part_has_spoken() -> None:
    made = aggregator()
    assert play(made, (0, sample(1, 50, 3))) == []
    (whole,) = play(made, (1, sample(1, 51, -5)))
    assert whole == Sample(at(1), {V: 50.5, A: -2})


def test_the_order_in_which_parts_are_heard_changes_nothing() -> None:
    first = [(0, sample(t, 50, t)) for t in range(1, 30)]
    second = [(1, sample(t, 50, 2 * t)) for t in range(1, 30)]
    mixed = [one for pair in zip(second, first, strict=True) for one in pair]
    expected = [(t, 50, 3 * t) for t in range(1, 30)]
    assert rows(play(aggregator(patient=True), *first, *second)) == expected
    assert rows(play(aggregator(), *mixed)) == expected


def test_mixed_periods_hold_what_was_said_until_the_next() -> None:
    fast = [(0, sample(t, 50, t)) for t in range(1, 12)]
    slow = [(1, sample(t, 51, 100 * t)) for t in (1, 6, 11)]
    said = play(aggregator(), *sorted(fast + slow, key=lambda one: one[1].at))
    assert told(said) == []
    held = [100] * 5 + [600] * 5 + [1100]
    assert rows(said) == [(t, 50.5, t + held[t - 1]) for t in range(1, 12)]


def test_a_longer_period_of_the_whole_takes_the_newest_of_each() -> None:
    both = [(n, sample(t, 50, t)) for t in range(1, 21) for n in (0, 1)]
    assert rows(play(aggregator(period_s=5), *both)) == [(t, 50, 2 * t) for t in (5, 10, 15, 20)]


@pytest.mark.parametrize("arrangement", [SERIES, PARALLEL])
def test_a_part_that_falls_silent_takes_its_sums_with_it_and_is_told_once(arrangement: Arrangement) -> None:
    made = aggregator(arrangement)
    said = play(made, *((n, sample(t)) for t in range(1, 6) for n in (0, 1)))
    said += play(made, *((0, sample(t)) for t in range(6, 60)))
    assert told(said) == [(EventCode.BUS_SILENT, 6, SECOND)]
    assert list(made.silent) == [SECOND]
    summed, shared = (1, 2) if arrangement is SERIES else (2, 1)
    got = rows(said)
    assert [row[0] for row in got] == list(range(1, 60))
    assert [row[summed] is None for row in got] == [t > 5 for t in range(1, 60)], (
        "from its last word on, not a bit later"
    )
    assert all(row[shared] is not None for row in got)


def test_a_part_that_returns_is_part_of_the_sum_again_and_that_is_told_once() -> None:
    made = aggregator()
    said = play(made, *((n, sample(t)) for t in range(1, 6) for n in (0, 1)))
    said += play(made, *((0, sample(t)) for t in range(6, 31)))
    said += play(made, *((n, sample(t)) for t in range(31, 41) for n in (1, 0)))
    assert told(said) == [(EventCode.BUS_SILENT, 6, SECOND), (EventCode.BUS_RECOVERED, 31, None)]
    assert {t for t, _, amperes in rows(said) if amperes is None} == set(range(6, 31))
    assert all(amperes in (None, 20) for _, _, amperes in rows(said))
    assert made.silent == []


def test_a_pause_within_the_gap_limit_is_no_silence() -> None:
    made = aggregator()
    said = play(made, *((n, sample(t)) for t in range(1, 6) for n in (0, 1)))
    said += play(made, *((0, sample(t)) for t in range(6, 15)), (1, sample(15)), (0, sample(15)))
    assert told(said) == []
    assert rows(said) == [(t, 50, 20) for t in range(1, 16)]


def test_each_part_has_its_own_gap_limit() -> None:
    made = aggregator(limits_s=(10, 90))
    said = play(made, (1, sample(1)), *((0, sample(t)) for t in range(1, 61)), (1, sample(61)), (0, sample(61)))
    assert told(said) == []
    assert rows(said) == [(t, 50, 20) for t in range(1, 62)]


def test_when_all_are_silent_the_clock_tells_of_each_once() -> None:
    made = aggregator()
    said = play(made, *((n, sample(t)) for t in range(1, 6) for n in (0, 1)))
    for t in range(6, 100):
        said += made.tick(at(t))
    assert told(said) == [(EventCode.BUS_SILENT, 16, FIRST), (EventCode.BUS_SILENT, 16, SECOND)]
    said += play(made, *((n, sample(t)) for t in (100, 101) for n in (0, 1)))
    assert told(said)[2:] == [(EventCode.BUS_RECOVERED, 101, None)]
    assert rows(said) == [*((t, 50, 20) for t in range(1, 6)), (100, 50, None), (101, 50, 20)]


def test_one_silent_part_is_told_by_the_clock_too_and_delays_the_rest_no_longer_than_its_limit() -> None:
    made = aggregator()
    said = play(made, (0, sample(1)), (1, sample(1)))
    for t in range(2, 60):
        said += made.feed(0, sample(t)) + made.tick(at(t))
        latest = rows(said)[-1][0]
        assert latest == (1 if t < 12 else t)
    assert told(said) == [(EventCode.BUS_SILENT, 2, SECOND)]


def test_a_lost_part_is_not_waited_for() -> None:
    made = aggregator()
    said = play(made, (0, sample(1)), (1, sample(1)), (0, sample(2)))
    said += made.lose(1)
    said += play(made, (0, sample(3)))
    assert rows(said) == [(1, 50, 20), (2, 50, None), (3, 50, None)]
    assert told(said) == [(EventCode.BUS_SILENT, 2, SECOND)]


def test_a_part_that_is_heard_later_than_the_others_is_not_called_silent_within_its_limit() -> None:
    made = aggregator()
    said = play(made, *((0, sample(t)) for t in range(1, 9)), *((n, sample(t)) for t in range(9, 12) for n in (0, 1)))
    assert told(said) == []
    assert [row for row in rows(said) if row[2] is not None] == [(t, 50, 20) for t in range(9, 12)]
    never = aggregator()
    said = play(never, *((0, sample(t)) for t in range(1, 30)))
    assert [(code, part) for code, _, part in told(said)] == [(EventCode.BUS_SILENT, SECOND)]


def test_a_flawed_value_is_no_longer_held() -> None:
    made = aggregator()
    said = play(made, (0, sample(1)), (1, sample(1)), (0, sample(2)))
    said += made.feed(1, Sample(at(2), {V: 50.0}, {A: Flaw.OUT_OF_RANGE}))
    assert rows(said) == [(1, 50, 20), (2, 50, None)]


def test_a_channel_that_is_said_no_more_is_held_for_the_limit_only() -> None:
    made = aggregator()
    said = play(made, (0, sample(1)), (1, sample(1)))
    for t in range(2, 20):
        said += made.feed(0, sample(t)) + made.feed(1, Sample(at(t), {V: 50.0}))
    assert {t for t, _, amperes in rows(said) if amperes is None} == set(range(12, 20))


def test_what_a_part_that_is_a_whole_says_no_more_is_not_held() -> None:
    parts = [Part(f"urn:part:{i}", 10, frozenset({A.quantity}), {}, is_whole=True) for i in (1, 2)]
    made = Aggregator(Combiner(PARALLEL, parts), 1)
    said = play(made, (0, sample(1)), (1, sample(1)), (0, sample(2)))
    said += made.feed(1, Sample(at(2), {V: 50.0}))
    assert rows(said) == [(1, 50, 20), (2, 50, None)]


@pytest.mark.parametrize("patient", [True, False])
def test_a_part_that_is_behind_is_waited_for_but_not_without_bound(
    monkeypatch: pytest.MonkeyPatch, *, patient: bool
) -> None:
    monkeypatch.setattr(aggregate, "MAX_HELD", 100)
    made = aggregator(patient=patient, limits_s=(1e6, 1e6))
    assert rows(play(made, (1, sample(1)), *((0, sample(t)) for t in range(1, 102)))) == [(1, 50, 20)]
    said = play(made, *((0, sample(t)) for t in range(102, 300)))
    assert told(said) == [(EventCode.BUS_SILENT, 2, SECOND)]
    assert max(len(track.queue) for track in made._tracks) <= 101


def test_many_samples_in_one_period_of_the_whole_do_not_make_a_part_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "MAX_HELD", 10)
    made = aggregator(period_s=50)
    said = play(made, *((n, sample(t, 50, t)) for t in range(1, 101) for n in (0, 1)))
    assert said == [Sample(at(50), {V: 50, A: 100}), Sample(at(100), {V: 50, A: 200})]


def test_the_end_gives_the_rest() -> None:
    made = aggregator(period_s=10, patient=True)
    assert play(made, (0, sample(3)), (1, sample(4))) == []
    assert rows(made.finish()) == [(10, 50, 20)]


def test_far_jumps_of_time_cost_no_work() -> None:
    made = aggregator()
    far = 1e9
    said = play(made, *((n, sample(t)) for t in (1, far, 2 * far) for n in (0, 1)))
    assert [t for t, _, _ in rows(said)] == [1, far, 2 * far]


def test_parts_that_disagree_are_told_once_when_it_lasts() -> None:
    made = aggregator(SERIES)
    good, bad = ((t, 10.0) for t in range(1, 6)), ((t, 20.0) for t in range(6, 40))
    said: Said = []
    for t, amperes in (*good, *bad, (40, 10.0)):
        said += play(made, (0, sample(t)), (1, sample(t, amperes=amperes)))
    notices = [item for item in said if isinstance(item, Notice)]
    assert [(n.code, n.at, dict(n.attributes)) for n in notices] == [
        (
            EventCode.VALUES_FLAWED,
            at(17),
            {"quantity": "pack_current_a", "spread_ma": 10_000, "reason": "parts disagree"},
        )
    ]
    assert {t for t, _, amperes in rows(said) if amperes is None} == set(range(6, 40))
    assert all(volts == 100 for _, volts, _ in rows(said))


def test_a_load_step_that_one_part_sees_later_is_not_told() -> None:
    made = aggregator(SERIES)
    said = play(made, (0, sample(1)), (1, sample(1)), (0, sample(2, amperes=99)), (1, sample(2)))
    said += play(made, (0, sample(3, amperes=99)), (1, sample(3, amperes=99)))
    assert told(said) == []
    assert [amperes for _, _, amperes in rows(said)] == [10, None, 99]


def test_times_that_go_back_are_left_out() -> None:
    made = aggregator()
    said = play(made, (0, sample(5)), (1, sample(5)), (0, sample(4)), (0, sample(6)), (1, sample(6)))
    assert [t for t, _, _ in rows(said)] == [5, 6]


steps = st.lists(st.tuples(st.integers(0, 2), st.floats(0.05, 30), st.floats(-500, 500)), min_size=1, max_size=120)


@given(steps, st.sampled_from([0.5, 1.0, 7.0]), st.sampled_from(["live", "replayed"]))
def test_a_sum_is_always_that_of_all_parts(said: list[tuple[int, float, float]], period_s: float, kind: str) -> None:
    """Whenever the whole says a current, it is the sum of what every part said last within its limit; times rise."""
    made = aggregator(period_s=period_s, limits_s=(10, 10, 25), patient=kind == "replayed")
    history: list[list[tuple[int, float]]] = [[], [], []]
    now_s = 0.0
    out: Said = []
    for number, step_s, amperes in said:
        now_s += step_s
        one = sample(now_s, amperes=amperes)
        history[number].append((one.at.mono_ns, amperes))
        out += made.feed(number, one)
    out += made.finish()
    times = [item.at.mono_ns for item in out if isinstance(item, Sample)]
    assert times == sorted(set(times))
    assert len(times) <= len(said)
    for item in out:
        if isinstance(item, Sample) and A in item.values:
            last = [next(((t, a) for t, a in reversed(h) if t <= item.at.mono_ns), None) for h in history]
            assert all(found and item.at.mono_ns - found[0] <= 25e9 for found in last)
            assert item.values[A] == pytest.approx(sum(found[1] for found in last if found), abs=1e-6)
