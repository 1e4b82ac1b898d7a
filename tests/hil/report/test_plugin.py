"""The plugin in a pytest of its own, as `make hil` starts it."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from packseal_hil.report.folder import Folder

CONFTEST = Path(__file__).parents[1] / "conftest.py"
LIMIT_S = 120
SCENARIOS = """
import pytest
from packseal_hil.plugin import bench_of, wants_long
from packseal_hil.story import Story, Verdict

def story(name, **rest):
    return Story(name, "Title of " + name, "why", "rig", 1_790_000_000, 1.5, **rest)

def test_good(tell, bench, wants_long_ones, request):
    assert (bench, wants_long_ones) == (bench_of(request.config), wants_long(request.config))
    tell(story("good", verdicts=[Verdict("all", True, f"bench {bench} {wants_long_ones}")], figures={"boot_s": 9.5}))

def test_bad(tell):
    tell(story("bad", verdicts=[Verdict("all arrive", False, "3 records are missing")]))
    assert False, "not held"

def test_skipped(tell):
    tell(story("skipped", skipped="this rig has no power"))
    pytest.skip("this rig has no power")

def test_well_but_failed(tell):
    tell(story("well", verdicts=[Verdict("all arrive", True, "7")]))
    assert False, "left a process behind"

def test_plain(measure):
    measure("frames_per_s", 2262)

@pytest.fixture
def broken():
    raise OSError("no disk")

def test_broken(broken): ...
"""


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the scenarios in a process of their own."""
    folder.mkdir(exist_ok=True)
    (folder / "conftest.py").write_bytes(CONFTEST.read_bytes())
    (folder / "test_scenarios.py").write_text(SCENARIOS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "--rootdir",
        str(folder),
        *arguments,
    ]
    done = subprocess.run(
        [*command, "test_scenarios.py"],
        cwd=folder,
        check=False,
        timeout=LIMIT_S,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"COLUMNS": "100", "PATH": "/usr/bin:/bin"},
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("workers", [(), ("--numprocesses", "2")])
def test_a_run_writes_its_stories_its_page_and_a_table(workers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "report" / "stories").mkdir(parents=True)
    (tmp_path / "report" / "stories" / "009-of-an-earlier-run.json").write_text("{}")
    arguments = ("-p", "packseal_hil.plugin", "--bench", "virtual", "--long", "--report", "report", "--junitxml=j.xml")
    code, output = run(tmp_path, *arguments, *workers)
    assert code == 1
    assert ["good", "passed", "1.5"] in [line.split() for line in output.splitlines()]
    assert "bad       failed       1.5  all arrive: 3 records are missing" in output
    assert "skipped   skipped      1.5  this rig has no power" in output
    assert f"Report: {tmp_path / 'report' / 'index.html'}" in output
    written = Folder(tmp_path / "report")
    told = {story.name: story for story in written.stories()}
    assert sorted(told) == ["bad", "good", "skipped", "well"]
    assert told["good"].verdicts[0].found == "bench virtual True"
    assert "3 records are missing" in (tmp_path / "report" / "index.html").read_text()
    properties = {(p.get("name"), p.get("value")) for p in ET.parse(tmp_path / "j.xml").iter("property")}
    assert properties == {("boot_s", "9.5"), ("frames_per_s", "2262")}
    kept = written.run()
    assert {(c.title.split("::")[-1], c.outcome, c.reason) for c in kept.checks} == {
        ("test_well_but_failed", "failed", "AssertionError: left a process behind"),
        ("test_plain", "passed", ""),
        ("test_broken", "error", "OSError: no disk"),
    }
    assert (kept.bench, kept.figures) == ("virtual", {"frames_per_s": 2262})


def test_without_the_plugin_the_same_tests_run_on_the_local_bench(tmp_path: Path) -> None:
    code, output = run(tmp_path / "plain")
    assert code == 1
    assert "2 failed, 2 passed, 1 skipped, 1 error" in output
    assert "Report:" not in output
    assert not (tmp_path / "plain" / "report").exists()


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, output = run(tmp_path, "-p", "packseal_hil.plugin", "--report", "file/report")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert output.strip().startswith("ERROR: the report in file/report cannot be read or written: Not a directory")
    assert "Traceback" not in output
