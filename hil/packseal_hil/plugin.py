"""The bench's pytest plugin, `-p packseal_hil.plugin`: which bench, which scenarios, and the report of the run.

Without it the same tests run on the local bench, and nothing is written. tests/hil/conftest.py holds the fixtures.
What tests tell travels on their reports, so that a run may be shared among worker processes (pytest-xdist).
"""

import shutil
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from packseal import __version__
from packseal_hil.report.folder import Check, Folder, Run
from packseal_hil.report.outcome import Outcome
from packseal_hil.report.summary import lines
from packseal_hil.rig.protocols import RigError
from packseal_hil.story import Story

LOCAL = "local"
SAID = "packseal_said"  # the attribute of a test's report that carries what it told
COLOURS: dict[Outcome | None, dict[str, bool]] = {
    Outcome.PASSED: {"green": True},
    Outcome.FAILED: {"red": True},
    Outcome.ERROR: {"red": True},
    Outcome.SKIPPED: {"yellow": True},
}


def bench_of(config: pytest.Config) -> str:
    """Which bench was asked for: "local", "virtual" or the path of a bench.toml."""
    return str(config.getoption("hil_bench", LOCAL))


def wants_long(config: pytest.Config) -> bool:
    """Whether scenarios that take long are wanted too."""
    return bool(config.getoption("hil_long", default=False))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("packseal bench")
    group.addoption(
        "--bench", dest="hil_bench", default=LOCAL, metavar="BENCH", help="local, virtual or the path of a bench.toml"
    )
    group.addoption("--report", dest="hil_report", metavar="DIR", help="write the run's report here")
    group.addoption("--long", dest="hil_long", action="store_true", help="run scenarios that take long too")


def pytest_configure(config: pytest.Config) -> None:
    """Begin the report."""
    # A worker process only hands on: the one that started it writes.
    written = None if hasattr(config, "workerinput") else config.getoption("hil_report")
    config.stash[COLLECTOR] = collector = Collector(None if written is None else Path(written), bench_of(config))
    config.pluginmanager.register(collector, "packseal-bench-report")


class Said(msgspec.Struct):
    """What one test has told and measured."""

    stories: list[Story] = []
    figures: dict[str, float] = {}


class Collector:
    """What a run gathers; with a `directory` it writes it there."""

    def __init__(self, directory: Path | None, bench: str) -> None:
        self.stories: list[Story] = []
        self.run = Run(bench=bench, version=__version__)
        self._told: dict[str, Story] = {}
        self._said: dict[str, Said] = {}
        self._checks: dict[str, Check] = {}
        self._folder = None if directory is None else Folder(directory)
        self._outcome = ""
        if self._folder is not None:
            try:
                self._folder.begin()
            except RigError as error:
                raise pytest.UsageError(str(error)) from error

    def tell(self, test: str, story: Story) -> None:
        """Add what the test with this node id saw."""
        self._said.setdefault(test, Said()).stories.append(story)

    def measure(self, test: str, name: str, value: float) -> None:
        """Add a figure by its name with the unit at the end, such as boot_s; a later one of this name replaces it."""
        self._said.setdefault(test, Said()).figures[name] = value

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put what the test has said so far onto its report."""
        report = yield
        if (said := self._said.pop(item.nodeid, None)) is not None:
            setattr(report, SAID, msgspec.msgpack.encode(said).hex())  # JSON has no number for a sensor's NaN
        return report

    def _take(self, test: str, said: "Said") -> None:
        for story in said.stories:
            self.stories.append(story)
            self._told[test] = story
            if self._folder is not None:
                self._folder.keep(story)
        self.run.figures |= said.figures

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down how each test ended: the first phase that went wrong counts."""
        if (said := getattr(report, SAID, None)) is not None:
            self._take(report.nodeid, msgspec.msgpack.decode(bytes.fromhex(said), type=Said))
        check = self._checks.get(report.nodeid, Check(report.nodeid, "passed"))
        outcome, reason = check.outcome, check.reason
        if outcome == "passed" and not report.passed:
            outcome = "skipped" if report.skipped else "failed" if report.when == "call" else "error"
            reason = _reason(report)
        self._checks[report.nodeid] = Check(report.nodeid, outcome, check.took_s + report.duration, reason)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take down what could not even be read, or was skipped as a whole."""
        if not report.passed:
            outcome = "skipped" if report.skipped else "error"
            self._checks[report.nodeid] = Check(report.nodeid, outcome, 0, _reason(report))

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        self.run.checks = [check for check in self._checks.values() if not self._is_in_a_story(check)]
        if self._folder is None:
            return
        from packseal_hil.report.page import write_page  # noqa: PLC0415 only a run with a report loads matplotlib

        try:
            self._folder.end(self.run)
            page = write_page(self._folder.path, self.stories, self.run)
        except RigError as error:
            self._outcome = str(error)
        else:
            self._outcome = f"Report: {page.resolve()}"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show one line for each scenario, and where the page is."""
        if not self.stories and not self._outcome:
            return
        terminalreporter.section("bench")
        for line in lines(self.stories, shutil.get_terminal_size().columns):
            terminalreporter.write_line(line.text, **COLOURS.get(line.outcome, {"bold": True}))
        if self._outcome:
            terminalreporter.write_line(self._outcome)

    def _is_in_a_story(self, check: Check) -> bool:
        """Whether a story tells how this test ended; a test that failed beside a story that is well does so itself."""
        story = self._told.get(check.title)
        return story is not None and (check.outcome in {"passed", "skipped"} or not (story.is_well or story.skipped))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the last line of what pytest says of it: the exception, or why it was skipped."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return text.strip().splitlines()[0 if crash is not None else -1] if text.strip() else "no reason given"


COLLECTOR = pytest.StashKey[Collector]()
