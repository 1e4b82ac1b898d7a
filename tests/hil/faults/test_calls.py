"""Every system call by which journal and sink reach the disk fails in turn: nothing acknowledged is lost."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from packseal_hil.faults import cells, shim
from packseal_hil.faults.cells import Cell, Outcome
from packseal_hil.faults.shim import FOR_EVER, Call, Error
from packseal_hil.faults.subject import JOURNAL, SINK, Answer, Subject

WHY = shim.missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=f"no faults on this machine: {WHY}")
OPENING = [Call.OPEN, Call.WRITE, Call.SYNC, Call.TRUNCATE, Call.READ, Call.MAP, Call.UNLINK]
SENTENCE = re.compile(r"[^\n]{20,400}")
FOLDS_KB = 5000
"""More than 1000 pages of 4 KiB, from which on SQLite folds the write-ahead log into the database after a commit."""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shim.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module", params=[JOURNAL, SINK])
def subject(
    request: pytest.FixtureRequest, library: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    made = Subject(request.param, tmp_path_factory.mktemp(request.param) / "s", library)
    made.start()
    assert made.say("open").ok
    assert made.say("take 2").stored == 2
    yield made
    made.kill()


def names(listed: Sequence[Cell]) -> list[str]:
    return [cell.name for cell in listed]


@pytest.fixture
def chosen(request: pytest.FixtureRequest, *, wants_long_ones: bool) -> None:
    if not (wants_long_ones or request.getfixturevalue("cell").is_quick):
        pytest.skip("this fault is made with --long only")


def check(cell: Cell, answer: Answer) -> None:
    """It is as the table says, and whoever reads it knows what to do."""
    if cell.outcome is not Outcome.EITHER:
        assert answer.ok is (cell.outcome is Outcome.STORED), answer
    if not answer.ok:
        assert SENTENCE.fullmatch(answer.why), answer.why
        assert "Error" not in answer.why
        assert re.search(r"disk|directory|file|cannot be (opened|written)", answer.why), answer.why


@pytest.mark.parametrize("cell", cells.storing(), ids=names(cells.storing()))
@pytest.mark.usefixtures("chosen")
def test_what_is_stored_while_calls_fail(subject: Subject, cell: Cell) -> None:
    if subject.kind == JOURNAL:
        assert subject.say("receipt").ok  # stands in the write-ahead log, and no sync has brought it to the disk
    with subject.switch.ordered(cell.calls, cell.error, subject.file + cell.ending, skip=cell.skip, times=cell.times):
        check(cell, subject.say("take 2"))
        assert subject.switch.hits
    before = subject.acknowledged
    assert subject.say("take 1").stored > before
    assert subject.complaints() == []


@pytest.mark.parametrize("cell", cells.folding(), ids=names(cells.folding()))
@pytest.mark.usefixtures("chosen")
def test_a_log_that_cannot_be_folded_in_is_kept_and_told(library: Path, tmp_path: Path, cell: Cell) -> None:
    journal = Subject(JOURNAL, tmp_path / "s", library)
    journal.start()
    try:
        journal.say("open")
        with journal.switch.ordered(cell.calls, cell.error, journal.file, times=cell.times):
            check(cell, journal.say(f"bulk {FOLDS_KB}"))
            assert journal.switch.hits
            told = journal.say(f"bulk {FOLDS_KB}").told
            assert ("cannot take what stands in journal.db-wal" in told) is (cell.times == FOR_EVER)
        assert journal.complaints() == []
        assert journal.say("take 1").ok
        last = journal.say("take 1")
        assert (last.ok, last.told) == (True, "")
        assert (journal.state / "journal.db-wal").stat().st_size < 3 * FOLDS_KB << 10
        assert journal.complaints() == []
    finally:
        journal.kill()


def test_the_sink_tells_of_a_log_that_cannot_be_folded_in(
    library: Path, tmp_path: Path, *, wants_long_ones: bool
) -> None:
    if not wants_long_ones:
        pytest.skip("the sink's write-ahead log is filled with --long only")
    sink = Subject(SINK, tmp_path / "s", library)
    sink.start()
    try:
        sink.say("open")
        with sink.switch.ordered(Call.WRITE, Error.EIO, sink.file):
            said = [sink.say(f"bulk {FOLDS_KB}") for _ in range(6)]
        assert all(answer.ok for answer in said)
        assert said[0].told == ""
        assert "cannot take what stands in sink.db-wal" in said[-1].told
        sink.say("take 1")
        assert sink.say("take 1").told == ""
        assert sink.complaints() == []
    finally:
        sink.kill()


@pytest.mark.parametrize("calls", OPENING, ids=[cells.CALLS[calls] for calls in OPENING])
def test_opening_what_a_kill_has_left(subject: Subject, calls: Call, *, wants_long_ones: bool) -> None:
    folder = f"{subject.state}/"
    subject.kill()
    subject.start()
    with subject.switch.ordered(calls, Error.EIO, folder, times=0):
        assert subject.say("open").ok
        count = subject.switch.seen
    for cell in cells.opening(calls, count):
        if not wants_long_ones and (cell.error is not Error.EIO or cell.skip % 2):
            continue
        subject.say("close")
        with subject.switch.ordered(calls, cell.error, folder, skip=cell.skip, times=cell.times):
            check(cell, subject.say("open"))
        subject.say("close")
        assert subject.say("open").stored == subject.acknowledged
        assert subject.say("take 1").ok
    assert subject.complaints() == []
