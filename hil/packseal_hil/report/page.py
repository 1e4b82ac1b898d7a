"""The page of one run: one HTML file that needs nothing beside itself, no network and no script."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from packseal_hil.report import words
from packseal_hil.report.folder import Run
from packseal_hil.report.outcome import Outcome, outcome_of, reason_of
from packseal_hil.report.plots import Plot, plots_of
from packseal_hil.rig.protocols import RigError
from packseal_hil.story import Comparison, Story, Verdict

HERE = Path(__file__).parent
STRIP_END = 5.5  # standard uncertainties at the end of the strip that shows a deviation
COVERAGE = 2.0  # a sound value lies within two standard uncertainties in 95 of 100 cases, JCGM 100:2008 6.2
BAD_CHECKS = {"failed", "error"}


class Chapter(NamedTuple):
    """A story with what the page says of it."""

    anchor: str
    story: Story
    outcome: Outcome
    reason: str
    plots: list[Plot]

    @property
    def verdicts(self) -> list[Verdict]:
        """What did not hold comes first."""
        return sorted(self.story.verdicts, key=lambda verdict: verdict.held)

    @property
    def broken(self) -> list[Verdict]:
        """What did not hold."""
        return [verdict for verdict in self.story.verdicts if not verdict.held]

    @property
    def held(self) -> int:
        """How many held."""
        return sum(verdict.held for verdict in self.story.verdicts)


class Compared(NamedTuple):
    """A comparison in words; `at` is the deviation in standard uncertainties, cut to the strip, None if not known.

    `off` is the deviation in standard uncertainties, or why there is none; `is_wide` says that it is too large.
    """

    field: str
    unit: str
    truth: str
    derived: str
    deviation: str = ""
    share: str = ""
    at: float | None = None
    off: str = ""
    is_wide: bool = False


def write_page(directory: Path, stories: Sequence[Story], run: Run) -> Path:
    """Write `index.html` into the directory; return its path; raises RigError where it cannot be written."""
    page = directory / "index.html"
    try:
        page.write_text(render(stories, run), encoding="utf-8")
    except OSError as error:
        raise RigError(f"the report's page cannot be written: {error.strerror}: {page}") from error
    return page


def render(stories: Sequence[Story], run: Run) -> str:
    """Return the page."""
    chapters = [_chapter(number, story) for number, story in enumerate(stories, 1)]
    bad_checks = [check for check in run.checks if check.outcome in BAD_CHECKS]
    counts = Counter(chapter.outcome for chapter in chapters)
    content = {
        "headline": headline(counts, len(bad_checks)),
        "chapters": chapters,
        "bad": [chapter for chapter in chapters if chapter.outcome in {Outcome.FAILED, Outcome.ERROR}],
        "counts": counts,
        "run": run,
        "measured": list(_measured(chapters, run)),
        "bad_checks": bad_checks,
        "skipped_checks": [check for check in run.checks if check.outcome == "skipped"],
        "sound_checks": [check for check in run.checks if check.outcome == "passed"],
        "rigs": list(dict.fromkeys(story.rig for story in stories)),
        "began_wall_s": min((story.began_wall_s for story in stories), default=None),
        "took_s": sum(story.took_s for story in stories) + sum(check.took_s for check in run.checks),
        "style": Markup((HERE / "page.css").read_text(encoding="utf-8")),  # noqa: S704 our own file
    }
    return _environment().get_template("page.html.jinja").render(content)


def headline(counts: Mapping[Outcome, int], bad_checks: int) -> str:
    """Say how the run went, in one sentence."""
    total, passed = sum(counts.values()), counts.get(Outcome.PASSED, 0)
    failed, broken = counts.get(Outcome.FAILED, 0), counts.get(Outcome.ERROR, 0)
    said = []
    if failed:
        said.append(f"{failed} of {total} scenarios failed")
    if broken:
        said.append(f"{broken} did not come to {'its' if broken == 1 else 'their'} end")
    if bad_checks:
        said.append(f"{bad_checks} other test{'s' * (bad_checks > 1)} failed")
    if said:
        return ", ".join(said)
    if not passed:
        return "Nothing was proven: no scenario ran" if total else "No scenario was run"
    skipped = counts.get(Outcome.SKIPPED, 0)
    return f"{passed} scenario{'s' * (passed > 1)} passed" + (f", {skipped} not run" if skipped else "")


def _measured(chapters: Sequence[Chapter], run: Run) -> Iterator[tuple[words.Measured, Chapter | None]]:
    for figure in words.figures(run.figures):
        yield figure, None
    for chapter in chapters:
        for figure in words.figures(chapter.story.figures):
            yield figure, chapter


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters |= {
        "number": words.number,
        "seconds": words.seconds,
        "moment": words.moment,
        "figures": words.figures,
        "compared": compared,
    }
    return made


def _chapter(number: int, story: Story) -> Chapter:
    anchor = f"s{number}"
    return Chapter(anchor, story, outcome_of(story), reason_of(story), plots_of(story, anchor))


def compared(comparison: Comparison) -> Compared:
    """Put one field's truth and derived value into words."""
    truth, derived, uncertainty = comparison.truth, comparison.derived, comparison.uncertainty
    name, said = comparison.field.replace("_", " "), words.number(truth, uncertainty)
    if derived is None:
        return Compared(name, comparison.unit, said, "")
    text = words.number(derived, uncertainty)
    if uncertainty is not None:
        text += f" ± {words.number(uncertainty, uncertainty)}"
    row = Compared(name, comparison.unit, said, text)
    off = derived - truth
    if not off:
        return row._replace(deviation="0", off="equal")
    percent = off / truth * 100 if truth else 0
    row = row._replace(
        deviation=words.number(off, uncertainty or abs(off), sign=True),
        share=f"{words.number(percent, abs(percent), sign=True)}{words.THIN}%" if percent else "",
    )
    if not uncertainty:
        reason = "no uncertainty given" if uncertainty is None else "stated as exact"
        return row._replace(off=reason, is_wide=uncertainty is not None)
    times = off / uncertainty
    at = max(-STRIP_END, min(STRIP_END, times))
    return row._replace(at=at, off=words.number(times, 1, sign=True), is_wide=abs(times) > COVERAGE)
