"""The verdicts: every phase by itself, and a control that loses nothing is a broken bench."""

from packseal_hil.powercut import verdicts
from packseal_hil.powercut.campaign import CutResult, Outcome
from packseal_hil.powercut.judge import Fault, Finding

LOSS = Finding(Fault.LOST, "log of b: 2 of the 9 that were acknowledged", 2)


def outcome(*findings: list[Finding]) -> Outcome:
    cuts = [CutResult(n * 512, f"phase {n % 2}", "pages", 4096, 512, 9, found) for n, found in enumerate(findings)]
    return Outcome("safe", 1, cuts, 2.0, 1 << 20, 100, 7, 7)


def test_all_is_well_when_the_agent_loses_nothing_and_the_control_does() -> None:
    story = verdicts.to_story("here", "this machine", 0, outcome([], [], []), outcome([LOSS]))
    assert story.is_well
    assert [v.title for v in story.verdicts] == [
        "a cut loses nothing acknowledged: phase 0",
        "a cut loses nothing acknowledged: phase 1",
        "the control, a journal that never syncs, is caught losing acknowledged records",
    ]
    assert story.figures["cuts_survived"] == 3
    assert story.figures["control_records_lost"] == 2


def test_a_loss_fails_its_own_phase_and_says_what() -> None:
    story = verdicts.to_story("here", "this machine", 0, outcome([], [LOSS]), outcome([LOSS]))
    assert [v.held for v in story.verdicts] == [True, False, True]
    assert "acknowledged records are lost (log of b: 2 of the 9" in story.verdicts[1].found


def test_a_control_that_loses_nothing_is_a_broken_bench() -> None:
    corrupt = Finding(Fault.CORRUPT, "damaged")
    for control in (outcome([]), outcome([corrupt]), None):
        story = verdicts.to_story("here", "this machine", 0, outcome([]), control)
        assert not story.is_well
        assert "prove nothing" in story.verdicts[-1].found or "nothing is proven" in story.verdicts[-1].found
