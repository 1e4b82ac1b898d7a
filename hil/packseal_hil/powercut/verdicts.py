"""What a campaign says: one verdict per phase and one for the control, as the report tells them."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from packseal_hil.powercut.campaign import CutResult, Outcome
from packseal_hil.powercut.judge import Fault
from packseal_hil.story import Story, Verdict

TOLD = 3  # findings that are spelled out; all are in the JSON


def of_agent(outcome: Outcome) -> list[Verdict]:
    """Return what had to be true of the agent's journal, phase by phase."""
    phases = list(dict.fromkeys(cut.phase for cut in outcome.cuts))
    return [_of_phase(phase, [cut for cut in outcome.cuts if cut.phase == phase]) for phase in phases]


def of_control(outcome: Outcome) -> Verdict:
    """Return whether the journal that never syncs was caught losing what was acknowledged; else nothing is proven."""
    caught = outcome.with_fault(Fault.LOST)
    title = "the control, a journal that never syncs, is caught losing acknowledged records"
    found = f"{len(caught)} of {len(outcome.cuts)} cuts lost some, at worst {outcome.worst_loss}"
    if not caught:
        found += ": the bench does not cut, and its other verdicts prove nothing"
    return Verdict(title, held=bool(caught), found=found)


def to_story(name: str, rig: str, began_wall_s: float, agent: Outcome, control: Outcome | None) -> Story:
    """Return the story of one recording.

    Args:
        name: tells it from those of other recordings; "power-cuts" is put before it.
        rig: where it was made.
        began_wall_s: when its recording began; the story ends now.
        agent: the cuts of the agent's disk.
        control: those of the control's; None where it was not recorded, which is a verdict that does not hold.
    """
    missing = Verdict("the control was recorded", held=False, found="it was not: nothing is proven")
    return Story(
        name=f"power-cuts-{name}",
        title="The power is cut in every phase",
        why="What somebody was told is stored must be there when the power comes back, and the next start must go on.",
        rig=rig,
        began_wall_s=began_wall_s,
        took_s=time.time() - began_wall_s,
        verdicts=[*of_agent(agent), of_control(control) if control else missing],
        figures=_figures(agent, control),
    )


def write(path: Path, outcome: Outcome) -> None:
    """Keep every cut with its findings, as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1))


def _of_phase(phase: str, cuts: Sequence[CutResult]) -> Verdict:
    bad = [cut for cut in cuts if cut.findings]
    tried = sum(cut.lost_bytes > 0 for cut in cuts)
    most = max(cut.promised for cut in cuts)
    found = (
        f"{len(cuts) - len(bad)} of {len(cuts)} survived, {tried} lost un-flushed writes, up to {most} records promised"
    )
    told = [f"{finding.fault} ({finding.text}) at {cut.position}" for cut in bad for finding in cut.findings]
    return Verdict(f"a cut loses nothing acknowledged: {phase}", held=not bad, found="; ".join([found, *told[:TOLD]]))


def _figures(agent: Outcome, control: Outcome | None) -> dict[str, float]:
    figures = {
        "cuts": len(agent.cuts),
        "cuts_with_lost_writes": sum(cut.lost_bytes > 0 for cut in agent.cuts),
        "cuts_survived": sum(not cut.findings for cut in agent.cuts),
        "records_promised": max((cut.promised for cut in agent.cuts), default=0),
        "log_entries": agent.log_entries,
        "cut_s": round(agent.took_s / max(1, len(agent.cuts)), 4),
    }
    if control is not None:
        figures |= {
            "control_cuts": len(control.cuts),
            "control_cuts_losing_records": len(control.with_fault(Fault.LOST)),
            "control_records_lost": control.worst_loss,
        }
    return figures
