"""A world in which something is wrong: every scenario's verdicts must say so, with a real agent, broker and sink."""

import asyncio
from pathlib import Path

import pytest

from packseal_hil.rig.protocols import Rig
from packseal_hil.scenario import runner, schema
from packseal_hil.story import Story

pytestmark = pytest.mark.timeout(300)

SHORT = """
title = "t"
why = "w"
run = "commit"
rest_s = 2
[agent]
drain_s = {drain_s}
[battery]
load = "drive"
"""


def play(text: str, rig: Rig, loop: asyncio.Runner, work: Path) -> Story:
    work.mkdir()
    file = work / "scenario.toml"
    file.write_text(text)
    return loop.run(runner.run("broken", schema.load(file), rig, work / "work"))


def failed(story: Story) -> set[str]:
    return {verdict.title for verdict in story.verdicts if not verdict.held}


@pytest.fixture(scope="module")
def withheld(local: Rig, loop: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The network goes and never comes back, and more is wrong with what is expected."""
    text = SHORT.format(drain_s=0) + (
        '[[step]]\nwhen = { receipted = 6 }\nnetwork = "down"\n'
        "[expect]\nevent = { bus_silent = [1, 1] }\ngap.stopped = {}\nrefused = { fork = [1, 1] }\nlogs = 2\n"
        'said = ["no agent says this"]\nsamples = [1000, 2000]\n'
        "figure = { first_receipt_s = [1000, 2000], x_s = [0, 1] }\n"
        "field.energy_discharged = { absolute = 1e-9 }\nfield.overcharge_events = { absolute = 0 }\n"
    )
    return play(text, local, loop, tmp_path_factory.mktemp("withheld") / "w")


def test_records_that_do_not_arrive_are_missed(withheld: Story) -> None:
    assert not withheld.error
    assert not withheld.is_well
    assert "everything sealed is received, verified and receipted" in failed(withheld)
    assert "the sink shows the newest snapshot" in failed(withheld)
    assert withheld.points[-1].sealed > withheld.points[-1].received


def test_every_false_expectation_is_told(withheld: Story) -> None:
    titles = failed(withheld)
    assert {"event bus_silent: 1", "gap stopped: 1", "refusal fork: 1", "the sink's page shows fork"} <= titles
    assert {
        "the sink shows 2 logs",
        "the agent says 'no agent says this'",
        "samples in telemetry: 1000 to 2000",
    } <= titles
    assert {"first_receipt_s: 1000 to 2000", "x_s was measured"} <= titles
    assert "energy_discharged is true within 1e-09 kWh" in titles
    # What is true is not swept away with it.
    assert "the journal holds a whole chain" not in titles
    assert "overcharge_events is true within 0 1" not in titles


def test_the_fault_is_a_band_and_the_truth_a_comparison(withheld: Story) -> None:
    (band,) = withheld.bands
    assert band.title == "network: down"
    assert band.to_s > band.from_s
    assert {c.field for c in withheld.comparisons} == {"energy_discharged", "overcharge_events"}
    assert withheld.traces[0].at == sorted(withheld.traces[0].at)


def test_a_condition_that_never_holds_is_an_error(local: Rig, loop: asyncio.Runner, tmp_path: Path) -> None:
    text = SHORT.format(drain_s=1) + "[[step]]\nwhen = { sealed = 100000, within_s = 1 }\n"
    story = play(text, local, loop, tmp_path / "w")
    assert "waited 1 s in vain for 100000 sealed" in story.error
    assert "recording 1 of 1" in story.error
    assert not story.is_well
    assert not story.verdicts


def test_an_agent_that_dies_is_an_error_at_once(local: Rig, loop: asyncio.Runner, tmp_path: Path) -> None:
    text = SHORT.format(drain_s=1).replace("[agent]", "[agent]\nperiod_s = 1e9")
    story = play(text, local, loop, tmp_path / "w")
    assert "the agent has ended before 1 samples" in story.error
    assert "period" in story.error
    assert story.took_s < 60


def test_a_profile_that_is_not_there_is_an_error(local: Rig, loop: asyncio.Runner, tmp_path: Path) -> None:
    text = SHORT.format(drain_s=1) + '[bus]\nprofile = "no/such"\n'
    assert "no/such" in play(text, local, loop, tmp_path / "w").error


def test_what_a_rig_has_not_is_skipped_and_said(local: Rig, loop: asyncio.Runner, tmp_path: Path) -> None:
    text = SHORT.format(drain_s=1).replace("rest_s", 'needs = ["bus-faults", "power"]\nrest_s')
    story = play(text, local, loop, tmp_path / "w")
    assert story.skipped == "needs bus-faults, power: run make hil"
    assert not story.is_well
