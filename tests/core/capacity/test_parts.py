"""The parts of the estimator on their own: the filter, the claim and the grades."""

import msgspec
import pytest

from packseal.core.capacity import kalman
from packseal.core.capacity.anchor import Anchor, Grade, Kind, graded, pair
from packseal.core.capacity.claim import Claim, ClaimState
from packseal.core.capacity.kalman import FilterState
from packseal.core.passport import Verdict
from packseal.core.sample import EventCode


def anchor(kind: Kind, soc: float, charge_as: float, sd: float = 0.004, warm: float = 25.0) -> Anchor:
    moved = abs(charge_as)
    return Anchor(kind, soc, sd, charge_as, moved, moved, moved * warm, moved, moved, warm)


@pytest.mark.parametrize(
    ("first", "last", "grade"),
    [
        pytest.param(anchor(Kind.FULL, 1, 0), anchor(Kind.EMPTY, 0, -3600), Grade.A, id="whole"),
        pytest.param(anchor(Kind.FULL, 1, 0), anchor(Kind.REST, 0.2, -2900, 0.02), Grade.B, id="to a rest"),
        pytest.param(anchor(Kind.LOAD, 0.2, 0, 0.01), anchor(Kind.REST, 0.6, 1440, 0.01), Grade.C, id="inner"),
        pytest.param(anchor(Kind.REST, 0.5, 0), anchor(Kind.FULL, 1, 1800), Grade.D, id="top"),
        pytest.param(anchor(Kind.FULL, 1, 0), anchor(Kind.EMPTY, 0, -3600, warm=-5), Grade.D, id="cold"),
        pytest.param(anchor(Kind.FULL, 1, 0, warm=70), anchor(Kind.EMPTY, 0, -3600, warm=70), Grade.D, id="hot"),
        pytest.param(anchor(Kind.FULL, 1, 0), anchor(Kind.REST, 0.3, -2520, 0.2), Grade.D, id="flat curve"),
    ],
)
def test_what_a_session_lies_between_decides_its_grade(first: Anchor, last: Anchor, grade: Grade) -> None:
    found = pair(first, last)
    assert found is not None
    assert graded(found)[0] is grade
    assert bool(graded(found)[2]) is (grade is Grade.D)


def test_a_warm_session_counts_and_is_doubted_the_more_the_warmer_it_was() -> None:
    doubts = []
    for warm in (38.0, 45.0, 55.0):
        found = pair(anchor(Kind.FULL, 1, 0, warm=warm), anchor(Kind.EMPTY, 0, -3600, warm=warm))
        assert found is not None
        grade, sd, reason = graded(found)
        assert (grade, reason) == (Grade.A, "")
        doubts.append(sd)
    assert doubts[0] < doubts[1] < doubts[2]


def test_a_current_that_jumps_between_rare_samples_is_doubted() -> None:
    """2 A that begin and end at some moment within a minute are 120 As, of which up to 60 lie either way."""
    first, last = anchor(Kind.FULL, 1, 0), anchor(Kind.EMPTY, 0, -3600)
    plain, rare = pair(first, last), pair(first, msgspec.structs.replace(last, blurred=2 * 120.0**2))
    assert plain is not None
    assert rare is not None
    assert rare.sd**2 - plain.sd**2 == pytest.approx(2 * (60 / 3600) ** 2)


def test_too_little_between_two_anchors_is_no_session() -> None:
    assert pair(anchor(Kind.FULL, 1, 0), anchor(Kind.REST, 0.9, -360)) is None


def test_the_filter_goes_on_falling_as_it_fell_and_grows_unsure() -> None:
    state = FilterState()
    kalman.begin(state, 1000.0, 0.005, 0.0, 0.0)
    for cycle in range(1, 30):
        kalman.predict(state, float(cycle), cycle * 3600.0)
        assert kalman.update(state, 1000.0 - cycle, 5.0, 3.5, 2)
    sure = state.p00
    kalman.predict(state, 49.0, 49 * 3600.0)
    assert state.capacity_as == pytest.approx(951, abs=5)
    assert state.p00 > sure


def test_one_outlier_is_refused_and_several_that_agree_are_believed() -> None:
    state = FilterState()
    kalman.begin(state, 1000.0, 0.005, 0.0, 0.0)
    assert not kalman.update(state, 700.0, 20.0, 12.0)
    assert state.capacity_as == 1000.0
    assert not kalman.update(state, 705.0, 20.0, 12.0)
    assert kalman.update(state, 700.0, 20.0, 12.0)
    assert state.capacity_as == pytest.approx(700, abs=10)


def test_a_claim_is_contradicted_by_three_sessions_in_a_row_and_not_by_two() -> None:
    claim = Claim(ClaimState())
    assert claim.compare(86, 80, 1.0, 1) is EventCode.HEALTH_CLAIM_DOUBTFUL
    assert claim.compare(86, 80, 1.0, 2) is None
    assert claim.compare(81, 80, 1.0, 3) is EventCode.HEALTH_CLAIM_CONSISTENT
    assert [claim.compare(74, 80, 1.0, n) for n in (4, 5, 6)] == [
        EventCode.HEALTH_CLAIM_DOUBTFUL,
        None,
        EventCode.HEALTH_CLAIM_CONTRADICTED,
    ]
    assert claim.state.verdict == Verdict.CONTRADICTED


def test_an_unsure_estimate_accuses_nobody() -> None:
    assert Claim(ClaimState()).compare(88, 80, 3.0, 1) is None
