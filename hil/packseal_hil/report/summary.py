"""The run in a terminal: one line for each scenario."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from packseal_hil.report.outcome import Outcome, outcome_of, reason_of
from packseal_hil.report.words import plain
from packseal_hil.story import Story

NARROWEST_REASON = 30


class Line(NamedTuple):
    """A line; `outcome` is for its colour and None in the head."""

    text: str
    outcome: Outcome | None


def lines(stories: Sequence[Story], width: int) -> Iterator[Line]:
    """Make the table, `width` characters wide: scenario, verdict, seconds, and why where it did not pass."""
    if not stories:
        return
    name_width = max(len("scenario"), *(len(plain(story.name)) for story in stories))
    head = f"{'scenario':{name_width}}  verdict  seconds"
    yield Line(f"{head}  why", None)
    for story in stories:
        outcome = outcome_of(story)
        text = f"{plain(story.name):{name_width}}  {outcome:7}  {story.took_s:7.1f}"
        reason = _cut(plain(reason_of(story)), max(NARROWEST_REASON, width - len(head) - 2))
        yield Line(f"{text}  {reason}".rstrip(), outcome)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
