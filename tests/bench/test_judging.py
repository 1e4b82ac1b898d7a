"""How the bench judges: what is inside its gate and what is not. Small figures, made by hand."""

from random import Random

import pytest
from bench.judged import Outcome, misses, summary, table
from bench.soh import claims, growth, mixed, score
from bench.soh.stream import GAIN, OFFSET_A, OFFSET_V, STEP_V, Row, Stream, noisy

from packseal.core.declared import Declared
from packseal.core.passport import Field, Method, Missing, Originator, Reading


def stream(truth_ah: dict[int, float], rows: list[Row] | None = None) -> Stream:
    return Stream("made", rows or [], truth_ah, 2.0, Declared(rated_capacity_ah=2.0), 10.0)


def outcome(
    value: float | None, truth: float | None, doubt: float | None = None, field: Field = Field.REMAINING_CAPACITY
) -> Outcome:
    missing = Missing.NO_EVIDENCE if value is None else None
    method = Method.EVENT_COUNT if doubt is None else Method.TRAPEZOID
    reading = Reading(field, value, missing, Originator.DERIVED, method, 1, doubt)
    return Outcome("ev", field, reading, truth)


def test_a_score_is_in_points_of_the_first_capacity() -> None:
    found = score.scored([(1.0, 0.01, 1.02), (1.0, 0.01, 0.96)], 2.0)
    assert found.count == 2
    assert found.most == pytest.approx(2.0)
    assert found.bias == pytest.approx(0.5)
    assert found.rmse == pytest.approx((2.5) ** 0.5)
    assert found.covered == 0


@pytest.mark.parametrize(("doubt", "share"), [(0.011, 1.0), (0.009, 0.0)])
def test_inside_is_within_ninety_five_percent(doubt: float, share: float) -> None:
    assert score.share_inside([(1.0, doubt, 1.02)]) == share
    assert score.share_inside([]) == 0


def test_nothing_scored_is_no_perfect_score() -> None:
    assert score.scored([], 2.0).covered == 0


def test_growth_is_relative_to_each_ones_own_first_value() -> None:
    found = growth.judged([(0.1, 0.2), (0.12, 0.24), (0.15, 0.29)])
    assert found.grown_pct == pytest.approx(50)
    assert found.apart == pytest.approx(5)
    assert found.correlated > 0.99


def test_a_pulse_counts_only_out_of_rest_and_at_middle_charge() -> None:
    rest, high, moving = (0.0, 3.7, False), (0.0, 4.1, False), (-0.5, 3.7, False)
    pulse = [(-1.0, 3.62, True), (-1.0, 3.6, True), (0.0, 3.69, False)]
    assert growth.pulse_ohm([rest, *pulse]) == pytest.approx(0.1)
    assert growth.pulse_ohm([high, *pulse]) is None
    assert growth.pulse_ohm([moving, *pulse]) is None


def test_an_honest_claim_is_the_truth_in_whole_percents_and_a_lie_begins_when_told() -> None:
    said = claims.claim(stream({1: 1.97, 2: 1.9}), 5.0, from_number=2)
    assert [said(1), said(2), said(3)] == [98.0, 100.0, 100.0]


def test_a_partial_discharge_ends_where_it_is_told_and_the_charge_begins_there() -> None:
    down: list[Row] = [(1, 360.0 * k, 3.7, -1.0, 25.0) for k in range(11)]
    up: list[Row] = [(2, 360.0 * k, 3.7, 1.0, 25.0) for k in range(11)]
    cycles = [(down, up, n) for n in (1, 2)]
    cut, whole = mixed.partial(stream({1: 1.0, 2: 1.0}), cycles, 3)
    assert whole == {1}
    left_ah = Random(3).uniform(mixed.LOWEST, mixed.HIGHEST)
    assert len(cut.rows) == 22 + round(10 * (1 - left_ah) + 0.5) + 11 - round(10 * left_ah + 0.5)


def test_the_errors_of_a_bms_are_of_the_stated_size() -> None:
    rows: list[Row] = [(1, 0.0, 3.7004, -2.0, 25.0)]
    for seed in range(1, 9):
        _, _, volts, amps, _ = noisy(stream({}, rows), seed).rows[0]
        assert abs(abs(amps + 2.0 * (1 + (GAIN if seed % 2 else -GAIN))) - OFFSET_A) < 1e-9
        assert abs(abs(volts - 3.7004) - OFFSET_V) <= STEP_V / 2 + 1e-9


@pytest.mark.parametrize(
    ("one", "right"),
    [
        pytest.param(outcome(50.0, 51.9, 1.0), True, id="inside"),
        pytest.param(outcome(50.0, 52.1, 1.0), False, id="outside"),
        pytest.param(outcome(2.0, 2.0, field=Field.DEEP_DISCHARGE_EVENTS), True, id="same count"),
        pytest.param(outcome(2.0, 3.0, field=Field.DEEP_DISCHARGE_EVENTS), False, id="other count"),
        pytest.param(outcome(None, 3.0), None, id="not available"),
        pytest.param(outcome(50.0, None, 1.0), None, id="no truth"),
    ],
)
def test_a_field_is_right_within_its_interval_or_exactly(one: Outcome, right: bool | None) -> None:  # noqa: FBT001
    assert one.is_right is right


def test_a_field_that_is_wrong_in_more_than_a_tenth_of_the_runs_is_named() -> None:
    good, bad = outcome(50.0, 50.0, 1.0), outcome(50.0, 60.0, 1.0)
    assert misses([good] * 9 + [bad]) == []
    assert misses([good] * 8 + [bad]) == ["remaining_capacity: 8 of 9"]


def test_the_table_shows_the_worst_run_and_the_summary_what_was_not_judged() -> None:
    runs = [outcome(50.0, 50.0, 1.0), outcome(50.0, 60.0, 1.0), outcome(None, None, field=Field.SELF_DISCHARGE_RATE)]
    lines = table(runs, ["ev"]).splitlines()
    assert "60.000 | 50.000 | 1.000 | 95 % | 1 of 2" in lines[2]
    assert "not available: no evidence" in lines[3]
    assert "ev 1 of 2 (not: self_discharge_rate)" in summary(runs)
