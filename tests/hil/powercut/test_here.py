"""Power cuts without a virtual machine: real agents on real ext4 disks of this machine, whose writes are logged."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from packseal_hil.powercut import here, logged_disk, recover, verdicts
from packseal_hil.powercut.campaign import Campaign, Outcome
from packseal_hil.powercut.cut import Tear
from packseal_hil.powercut.disks import LATE, NORMAL, SAFE, UNSAFE
from packseal_hil.powercut.drive import CONTROL_PHASES, CUT, MOUNTING, PHASES
from packseal_hil.powercut.judge import Fault
from packseal_hil.powercut.trail import Ack
from packseal_hil.rig.protocols import RigError
from packseal_hil.story import Story

CUTS, CONTROL_CUTS = 60, 12
LONG_CUTS, LONG_PACE_S = 400, 6.0
SEED = 4711

WHY = logged_disk.missing() or recover.missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=f"no power cuts on this machine: {WHY}")


@pytest.fixture(scope="module")
def began_wall_s() -> float:
    return time.time()


@pytest.fixture(scope="module")
def recording(began_wall_s: float, tmp_path_factory: pytest.TempPathFactory, *, wants_long_ones: bool) -> here.Recorded:
    work = tmp_path_factory.mktemp(f"cuts{int(began_wall_s)}")
    if wants_long_ones:
        return asyncio.run(here.record(work, (SAFE, UNSAFE, NORMAL, LATE), LONG_PACE_S))
    return asyncio.run(here.record(work))


@pytest.fixture(scope="module")
def agent(recording: here.Recorded, *, wants_long_ones: bool) -> Outcome:
    return Campaign(recording.directories[SAFE]).run(LONG_CUTS if wants_long_ones else CUTS, SEED)


@pytest.fixture(scope="module")
def control(recording: here.Recorded) -> Outcome:
    return Campaign(recording.directories[UNSAFE]).run(CONTROL_CUTS, SEED)


def test_a_cut_in_any_phase_loses_nothing_that_was_acknowledged(
    agent: Outcome, control: Outcome, began_wall_s: float, tell: Callable[[Story], None]
) -> None:
    story = verdicts.to_story("here", "ext4 on logged disks of this machine", began_wall_s, agent, control)
    tell(story)
    assert story.is_well, "\n".join(v.title + ": " + v.found for v in story.verdicts if not v.held)


def test_every_phase_is_cut_and_cuts_do_lose_writes(agent: Outcome) -> None:
    assert len(agent.cuts) >= CUTS
    for phase in PHASES:
        cuts = [cut for cut in agent.cuts if cut.phase == phase]
        assert len(cuts) >= CUTS // len(PHASES)
        assert any(cut.lost_bytes for cut in cuts), f"no write was lost in any cut of: {phase}"
    # The sink's hashes were compared, not only numbers.
    assert agent.hashes > agent.acks * 0.8
    # The first cuts come before anything is promised; the last ones must hold what all phases together promised.
    assert agent.cuts[-1].promised > 50


def test_the_control_is_caught_in_every_phase_that_it_goes_through(control: Outcome) -> None:
    lost = control.with_fault(Fault.LOST)
    assert {cut.phase for cut in lost} == set(CONTROL_PHASES)
    assert control.worst_loss > 20


def test_a_journal_that_syncs_now_and_then_is_caught_too(recording: here.Recorded, *, wants_long_ones: bool) -> None:
    if not wants_long_ones:
        pytest.skip("the control with synchronous = NORMAL is recorded with --long only")
    outcome = Campaign(recording.directories[NORMAL]).run(60, SEED)
    assert len(outcome.with_fault(Fault.LOST)) > 30
    assert outcome.with_fault(Fault.CORRUPT, Fault.CHAIN) == []  # it loses the end, and only that


def test_a_journal_that_syncs_50_ms_late_is_caught_too(recording: here.Recorded, *, wants_long_ones: bool) -> None:
    if not wants_long_ones:
        pytest.skip("the control that syncs late is recorded with --long only")
    outcome = Campaign(recording.directories[LATE]).run(120, SEED)
    assert len(outcome.with_fault(Fault.LOST)) > 10
    assert 0 < outcome.worst_loss < 40


def test_an_agent_that_does_not_run_is_told_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "AGENT", [sys.executable, "-c", "import sys; sys.exit('no agent today')"])
    with pytest.raises(RigError, match=r"safe does not run: no agent today"):
        asyncio.run(here.record(tmp_path, (SAFE,)))
    assert str(tmp_path) not in subprocess.run(["losetup", "--list"], capture_output=True, text=True, check=True).stdout
    with pytest.raises(RigError, match="no recording in"):
        Campaign(tmp_path / SAFE)


def test_sectors_may_be_torn_too(recording: here.Recorded, *, wants_long_ones: bool) -> None:
    outcome = Campaign(recording.directories[SAFE]).run(LONG_CUTS if wants_long_ones else 18, SEED, [Tear.SECTORS])
    assert [cut for cut in outcome.cuts if cut.findings] == []


def test_a_mount_by_the_kernel_finds_the_same(recording: here.Recorded, *, wants_long_ones: bool) -> None:
    campaign = Campaign(recording.directories[SAFE], recovery=logged_disk.recover_by_mount)
    outcome = campaign.run(60 if wants_long_ones else 12, SEED)
    assert [cut for cut in outcome.cuts if cut.findings] == []


def test_a_cut_while_the_next_start_mends_an_earlier_one_loses_nothing(
    recording: here.Recorded, tmp_path: Path, *, wants_long_ones: bool
) -> None:
    for seed in range(6 if wants_long_ones else 1):
        again = asyncio.run(here.record_again(tmp_path / f"again{seed}", recording, seed))
        outcome = Campaign(again).run(120 if wants_long_ones else 20, seed)
        assert {cut.phase for cut in outcome.cuts} == {MOUNTING, CUT}
        assert min(cut.promised for cut in outcome.cuts) > 50
        assert [cut for cut in outcome.cuts if cut.findings] == []


def test_a_recording_that_claims_too_much_is_found_out(recording: here.Recorded) -> None:
    """The last acknowledgements, dated back to the beginning, are lost by a cut in the first phase."""
    campaign = Campaign(recording.directories[SAFE])
    trail = campaign.trail
    early = trail.phases[0].start
    trail.acks = [Ack(early, ack.log_id, ack.sequence, ack.hash) for ack in trail.acks]
    outcome = campaign.run(6, SEED)
    assert outcome.with_fault(Fault.LOST)
