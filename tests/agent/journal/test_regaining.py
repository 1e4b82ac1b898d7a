"""The journal's file is moved, deleted or replaced while it is open: nothing is promised that nobody finds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from packseal.core.chain import SealedRecord
from packseal.core.errors import StorageError
from packseal.journal.store import Journal

BATTERY, LOG = "urn:example:battery:1", b"L" * 16
Writer = Callable[[int], list[SealedRecord]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    return made


@pytest.fixture
def path(state: Path) -> Path:
    return state / "journal.db"


def refused(journal: Journal, records: list[SealedRecord], match: str) -> None:
    for _ in range(2):  # it is tried again every second
        with pytest.raises(StorageError, match=match):
            journal.append(LOG, records)


def stored(path: Path) -> int:
    with Journal.open(path) as journal:
        return journal.head(LOG).next_sequence


def test_a_folder_that_is_gone_takes_nothing_and_goes_on_when_it_is_back(
    path: Path, state: Path, write: Writer
) -> None:
    away = state.with_name("away")
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, write(3))
        state.rename(away)
        waiting = write(2)
        refused(journal, waiting, r"journal\.db is not there any more: bring it back, or stop the agent")
        assert len(list(journal.records(LOG))) == 3  # it can still be read, and sent
        away.rename(state)
        journal.append(LOG, waiting)
    assert stored(path) == 5


def test_a_folder_that_is_deleted_is_not_made_anew(path: Path, state: Path, write: Writer) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, write(3))
        shutil.rmtree(state)
        waiting = write(2)
        refused(journal, waiting, "not there any more")
        state.mkdir()
        refused(journal, waiting, "not there any more")
        assert list(state.iterdir()) == []


def test_a_copy_that_is_put_in_its_place_is_taken_up(path: Path, state: Path, write: Writer) -> None:
    """As after a card was taken out, copied and put back, or a file system mounted anew."""
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, write(3))
        shutil.copytree(state, state.with_name("copy"))
        shutil.rmtree(state)
        waiting = write(2)
        refused(journal, waiting, "not there any more")
        state.with_name("copy").rename(state)
        journal.append(LOG, waiting)
        journal.append(LOG, write(1))
        with pytest.raises(StorageError, match="in use by process"):
            Journal.open(path)
    assert stored(path) == 6


def test_an_older_copy_is_not_written_to(path: Path, state: Path, write: Writer) -> None:
    """It would be a fork of the log: the records in between have been acknowledged, and perhaps sent."""
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, write(3))
        shutil.copytree(state, state.with_name("copy"))
        journal.append(LOG, write(2))
        shutil.rmtree(state)
        state.with_name("copy").rename(state)
        waiting = write(1)
        refused(journal, waiting, "is not the journal that was open: put that one back, or stop the agent")
    assert stored(path) == 3


def test_a_write_ahead_log_that_is_deleted_is_written_into_the_database(path: Path, write: Writer) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, write(3))
        path.with_name("journal.db-wal").unlink()
        journal.append(LOG, write(2))
        for name in ("journal.db", "journal.db-wal"):  # as a kill would leave it
            shutil.copy(path.with_name(name), path.parent.with_name(name))
    assert stored(path.parent.with_name("journal.db")) == 5
