"""How a story ended, in one word and one line."""

import enum

from packseal_hil.story import Story

NOTHING_CHECKED = "nothing was checked: a scenario without a verdict proves nothing"


class Outcome(enum.StrEnum):
    """In the order in which a reader wants to see them."""

    FAILED = "failed"  # the agent did not do what had to be true
    ERROR = "error"  # the rig or the scenario broke: not a verdict on the agent
    SKIPPED = "skipped"
    PASSED = "passed"


def outcome_of(story: Story) -> Outcome:
    """Return how it ended."""
    if story.is_well:
        return Outcome.PASSED
    if story.error:
        return Outcome.ERROR
    return Outcome.SKIPPED if story.skipped else Outcome.FAILED


def reason_of(story: Story) -> str:
    """Return why it did not pass, in one line; empty where it did."""
    broken = [f"{verdict.title}: {verdict.found}" for verdict in story.verdicts if not verdict.held]
    match outcome_of(story):
        case Outcome.PASSED:
            reason = ""
        case Outcome.ERROR:
            reason = story.error
        case Outcome.SKIPPED:
            reason = story.skipped
        case Outcome.FAILED:
            reason = "; ".join(broken) or NOTHING_CHECKED
    return " ".join(reason.split())
