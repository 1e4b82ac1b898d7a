"""A disk that is full, too small or read-only: one clear sentence, nothing changed, usable again afterwards."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import packseal
from packseal.core.chain import SealedRecord
from packseal.core.errors import StorageError
from packseal.journal.store import Journal

BATTERY, LOG = "urn:example:battery:1", b"L" * 16

Writer = Callable[[int], list[SealedRecord]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", "size=512k", "none", str(disk))
    yield disk
    subprocess.run(["umount", disk], check=True)


def _mount(*arguments: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a disk of its own needs root")
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine does not let root mount: {done.stderr.strip()}")


def _fill(journal: Journal, write: Writer) -> tuple[list[SealedRecord], list[SealedRecord]]:
    """Append until it fails; return what was stored and what was not, and check that the failure left just that."""
    stored: list[SealedRecord] = []
    records = write(10)
    with pytest.raises(StorageError, match="is full"):  # noqa: PT012 - which append fails is the disk's to say
        while True:
            journal.append(LOG, records, b"state %d" % len(stored))
            stored += records
            records = write(10)
    assert list(journal.records(LOG)) == stored
    assert journal.state(LOG) == b"state %d" % (len(stored) - 10)
    return stored, records


def test_a_full_disk_loses_nothing_and_takes_up_again_when_there_is_room(small_disk: Path, write: Writer) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    with Journal.open(small_disk / "journal.db") as journal:
        journal.begin_log(BATTERY, LOG)
        stored, refused = _fill(journal, write)
        with pytest.raises(StorageError, match="is full"):
            journal.append(LOG, refused)
        ballast.unlink()
        journal.append(LOG, refused)
        assert list(journal.records(LOG)) == [*stored, *refused]
    with Journal.open(small_disk / "journal.db") as journal:
        assert list(journal.records(LOG)) == [*stored, *refused]


def test_a_file_that_may_not_grow_loses_nothing(path: Path, write: Writer) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal._connection.execute("PRAGMA max_page_count = 30")  # SQLite's own SQLITE_FULL, without root
        stored, refused = _fill(journal, write)
        journal._connection.execute("PRAGMA max_page_count = 1000")
        journal.append(LOG, refused)
        assert list(journal.records(LOG)) == [*stored, *refused]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from packseal.core.bodies import Event
from packseal.core.chain import Head, Pen
from packseal.core.errors import StorageError
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal
from packseal.keys.file import create

log_id = b"L" * 16
journal = Journal.open(Path(sys.argv[1]) / "journal.db")
journal.begin_log("urn:b", log_id)
pen = Pen(create(Path(sys.argv[1]) / "key.pem"), "urn:g", "urn:b", log_id, bytes(8), Head())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
stored = 0
try:
    while True:
        record = pen.write(Event(EventCode.BUS_SILENT), Instant(0, 0, ClockQuality.NTP))
        journal.append(log_id, [record])
        stored += 1
except StorageError as error:
    print(error)
assert journal.head(log_id).next_sequence == stored > 10
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.append(log_id, [record])
assert journal.head(log_id).next_sequence == stored + 1
journal.close()
"""


def test_a_failing_write_is_told_and_survived(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(packseal.__path__[0]).parent)}
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path / "journal.db") in done.stdout
    assert "disk" in done.stdout


@pytest.fixture
def read_only_directory(tmp_path: Path) -> Iterator[Path]:
    """A directory nobody can write: root is not bound by modes, so it gets a read-only mount."""
    directory = tmp_path / "read_only"
    directory.mkdir()
    if os.geteuid() != 0:
        directory.chmod(0o555)
        yield directory
        directory.chmod(0o755)
        return
    _mount("--bind", str(directory), str(directory))
    _mount("-o", "remount,bind,ro", str(directory))
    yield directory
    subprocess.run(["umount", directory], check=True)


def test_a_read_only_directory_is_named(read_only_directory: Path) -> None:
    with pytest.raises(StorageError, match=r"read_only.*cannot be opened: .*check who may write"):
        Journal.open(read_only_directory / "journal.db")
