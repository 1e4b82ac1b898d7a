"""The page of one run: one self-contained HTML file."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from packseal_hil.report.folder import Run
from packseal_hil.report.outcome import outcome_of, reason_of
from packseal_hil.story import Story


def write_page(directory: Path, stories: Sequence[Story], figures: Mapping[str, float], run: Run) -> Path:
    """Write `index.html`; return its path."""
    page = directory / "index.html"
    rows = [f"{story.name} {outcome_of(story)} {reason_of(story)}" for story in stories]
    rows += [f"{name} {value}" for name, value in figures.items()]
    rows += [f"{check.title} {check.outcome} {check.reason}" for check in run.checks]
    page.write_text(f"<!doctype html><title>Bench run</title><pre>{escape(chr(10).join(rows))}</pre>", encoding="utf-8")
    return page
