"""The registry's file: whole after a kill at any moment, unchanged by a full disk, and its copy when it is damaged."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import packseal
from packseal.core.changes import Change, Happening
from packseal.core.declared import Declared
from packseal.core.errors import InputError, StorageError
from packseal.registry import book
from packseal.registry.book import Entry

BATTERY = "urn:example:battery:1"
ROUNDS = 15

WRITER = """
import itertools, sys
from pathlib import Path
from packseal.core.declared import Declared
from packseal.registry import book
from packseal.registry.book import Entry

path = Path(sys.argv[1])
first = book.read(path)[sys.argv[2]].declared.cells_in_series
with book.opened(path) as registry:
    for number in itertools.count(first + 1):
        padding = tuple(Entry(id=f"urn:example:other:{n}") for n in range(20)) if number == first + 1 else ()
        for entry in (*padding, Entry(id=sys.argv[2], declared=Declared(cells_in_series=number))):
            registry.put(entry)
        print(number, flush=True)
"""


def put(path: Path, declared: Declared, *changes: Change) -> None:
    with book.opened(path) as registry:
        registry.put(Entry(id=BATTERY, declared=declared, changes=changes))


def capacity(path: Path) -> float | None:
    return book.read(path)[BATTERY].declared.rated_capacity_ah


def test_what_is_put_is_read_and_the_file_is_for_people(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    assert book.read(path) == {}
    happened = Change(id="a", kind=Happening.ACCIDENT, entered_ms=7, text="fell")
    put(path, Declared(rated_capacity_ah=60), happened)
    assert book.read(path) == {BATTERY: Entry(id=BATTERY, declared=Declared(rated_capacity_ah=60), changes=(happened,))}
    document = json.loads(path.read_text())["batteries"]["1"]
    assert document["declared"] == {"rated_capacity_ah": 60}
    assert document["changes"] == [{"id": "a", "kind": "accident", "entered_ms": 7, "text": "fell"}]


def test_kill_9_at_any_moment_leaves_a_whole_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    put(path, Declared(cells_in_series=1))
    for seed in range(ROUNDS):
        acknowledged = _write_until_killed(path, random.Random(seed))
        entry = book.read(path)[BATTERY]
        assert json.loads(path.read_text())  # the file itself, not only its copy
        assert entry.declared.cells_in_series is not None
        assert entry.declared.cells_in_series >= acknowledged


def _write_until_killed(path: Path, rng: random.Random) -> int:
    environment = {**os.environ, "PYTHONPATH": str(Path(packseal.__path__[0]).parent)}
    command = [sys.executable, "-c", WRITER, str(path), BATTERY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(rng.randint(1, 20))]
        try:
            child.wait(rng.uniform(0, 0.01))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return max(int(line) for line in lines if line.endswith("\n"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"batteries": {"1": {"id"',
        b"\xff\xfe\x00",
        b"[]",
        b'{"batteries": 7}',
        b'{"batteries": {"1": 7}}',
        b'{"batteries": {"x": {"id": "a"}}}',
        b"[" * 100_000,
    ],
    ids=["empty", "cut", "binary", "list", "table", "entry", "number", "deep"],
)
def test_a_damaged_file_is_read_from_its_copy_and_the_next_change_mends_it(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "registry.json"
    put(path, Declared(rated_capacity_ah=60))
    path.write_bytes(content)
    assert capacity(path) == 60
    assert f"{path} is damaged" in caplog.text
    assert "registry.json.copy is used" in caplog.text
    put(path, Declared(rated_capacity_ah=61))
    caplog.clear()
    assert capacity(path) == 61
    assert caplog.text == ""
    assert (tmp_path / "registry.json.damaged").read_bytes() == content


def test_a_file_that_is_gone_is_read_from_its_copy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "registry.json"
    put(path, Declared(rated_capacity_ah=60))
    path.unlink()
    assert capacity(path) == 60
    assert "is gone" in caplog.text


def test_without_a_good_copy_it_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    put(path, Declared(rated_capacity_ah=60))
    path.write_text("{")
    (tmp_path / "registry.json.copy").write_text("{")
    with pytest.raises(StorageError, match="restore one of them from a backup"):
        book.read(path)
    (tmp_path / "registry.json.copy").unlink()
    with pytest.raises(StorageError, match="there is no copy"):
        book.read(path)


def test_a_wrong_value_that_was_written_by_hand_is_named(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    put(path, Declared(rated_capacity_ah=60))
    path.write_text(path.read_text().replace("60", "-1"))
    with pytest.raises(StorageError, match=f"battery {BATTERY}: rated_capacity_ah must be above zero"):
        book.read(path)


def test_two_cannot_change_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    with (
        book.opened(path),
        pytest.raises(InputError, match="being changed by another process"),
        book.opened(path),
    ):
        pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a disk of its own needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"this machine does not let root mount: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_changes_nothing(small_disk: Path) -> None:
    path = small_disk / "registry.json"
    put(path, Declared(rated_capacity_ah=60))
    ballast = small_disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    before = path.read_bytes()
    with pytest.raises(StorageError, match="cannot be written: No space left"):
        put(path, Declared(rated_capacity_ah=61))
    assert path.read_bytes() == before
    assert capacity(path) == 60
    assert not (small_disk / "registry.json.new").exists()
    ballast.unlink()
    put(path, Declared(rated_capacity_ah=61))
    assert capacity(path) == 61
