"""packseal journal repair: of a file damaged anywhere everything comes back that is still there, and nothing else."""

import errno
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agent.journal.damage import BATTERY, COUNT, GATEWAY, GATEWAY_LOG, LOG, PAGE, Original, damaged, make
from tests.core.bodies import snapshot

from packseal.cli import main
from packseal.core.bodies import Gap, GapCause, Lifecycle, LifecycleCode
from packseal.core.meter.state import load
from packseal.core.record import parse
from packseal.journal.store import Journal
from packseal.keys import file

Capture = pytest.CaptureFixture[str]
EXAMPLES = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    return make(tmp_path_factory.mktemp("original"))


def repair(original: Original, path: Path, *words: str) -> tuple[int, Path]:
    out = path.with_name("saved.db")
    out.unlink(missing_ok=True)
    keys = ("--gateway-key", str(original.key), "--sink-key", str(original.sink_key))
    return main(["journal", "repair", str(path), str(out), *keys, *words]), out


def check(original: Original, path: Path) -> set[int]:
    """Repair, hold everything against the undamaged records, and return which ones came back."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.suffix != ".lock"}
    code, out = repair(original, path)
    assert code == 0
    after = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    assert {name: after[name] for name in before} == before, "the damaged files are changed"
    assert set(after) == {*before, "saved.db"}
    with Journal.open_to_read(out) as journal:
        saved = {r.sequence: r for r in journal.records(LOG)} if LOG in {x.log_id for x in journal.logs()} else {}
        assert all(saved[n] == original.records[n] for n in saved), "something came back that was never there"
        assert _named(journal) == _missing(set(saved))
    assert main(["journal", "check", "--journal", str(out)]) == 0
    public = str(original.key.with_suffix(".pub"))
    assert (
        main(["journal", "verify", "--journal", str(out), "--key", public, "--sink-key", str(original.sink_key)]) == 0
    )
    return set(saved)


def _named(journal: Journal) -> list[tuple[object, object]]:
    """What the log that goes on says to be lost of the old one."""
    new = [log for log in journal.logs() if log.subject == BATTERY][-1]
    bodies = [parse(r.raw).body for r in journal.records(new.log_id)]
    assert isinstance(bodies[0], Lifecycle)
    assert bodies[0].code is LifecycleCode.LOG_BEGUN
    assert bodies[0].attributes["previous_log"] == LOG
    gaps = [b for b in bodies if isinstance(b, Gap)]
    assert {g.cause for g in gaps} == {GapCause.DAMAGED}
    assert {g.attributes["log"] for g in gaps} == {LOG}
    return [(g.attributes["first"], g.attributes.get("last")) for g in gaps]


def _missing(saved: set[int]) -> list[tuple[object, object]]:
    """The stretches that are not saved, by counting; the receipt says that there was a record 199."""
    stretches: list[tuple[object, object]] = []
    expected = 0
    for number in sorted(saved):
        if number != expected:
            stretches.append((expected, number - 1))
        expected = number + 1
    return [*stretches, (expected, 199 if expected < 200 and _RECEIPT_SAVED[0] else None)]


_RECEIPT_SAVED = [True]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "damaged"
    shutil.rmtree(tmp_path / "damaged", ignore_errors=True)


def untouched(original: Original, pages: set[int]) -> set[int]:
    return {r.sequence for r in original.records if not original.pages[r.sequence] & pages}


def test_of_a_whole_file_everything_comes_back(original: Original, folder: Path, capsys: Capture) -> None:
    _RECEIPT_SAVED[0] = True
    assert check(original, damaged(folder, original.whole)) == set(range(COUNT))
    assert f"({BATTERY}): {COUNT} records saved" in capsys.readouterr().out
    with Journal.open(folder / "saved.db") as journal:
        new = {log.subject: log.log_id for log in journal.logs()}
        assert journal.state(new[BATTERY]) == b"state"
        assert journal.delivered(LOG) == 200
        assert [log.subject for log in journal.logs()] == [GATEWAY, BATTERY, GATEWAY, BATTERY]
        assert journal.head(GATEWAY_LOG).next_sequence == 1


def test_what_is_only_in_the_write_ahead_log_comes_back(original: Original, folder: Path) -> None:
    _RECEIPT_SAVED[0] = True
    assert check(original, damaged(folder, original.db, original.wal)) == set(range(COUNT))
    headless = bytes(PAGE) + original.db[PAGE:]
    saved = check(original, damaged(folder, headless, original.wal))
    assert set(range(200, COUNT)) <= saved


@EXAMPLES
@given(seed=st.integers(0, 10**6), pages=st.sets(st.integers(0, 200), min_size=1, max_size=6))
def test_overwritten_pages_cost_only_what_lay_on_them(
    original: Original, folder: Path, seed: int, pages: set[int]
) -> None:
    image = bytearray(original.whole)
    rng = random.Random(seed)
    hit = {page % (len(image) // PAGE) for page in pages}
    for page in hit:
        image[page * PAGE : (page + 1) * PAGE] = rng.choice((bytes(PAGE), rng.randbytes(PAGE)))
    _RECEIPT_SAVED[0] = _receipt_is_in(bytes(image), original)
    assert check(original, damaged(folder, bytes(image))) >= untouched(original, hit)


@EXAMPLES
@given(flips=st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_flipped_bits_cost_only_the_records_they_are_in(original: Original, folder: Path, flips: list[int]) -> None:
    image = bytearray(original.whole)
    places = {flip % (8 * len(image)) for flip in flips}
    for place in places:
        image[place // 8] ^= 1 << place % 8
    _RECEIPT_SAVED[0] = _receipt_is_in(bytes(image), original)
    saved = check(original, damaged(folder, bytes(image)))
    assert saved >= untouched(original, {place // 8 // PAGE for place in places})
    contiguous = {r.sequence for r in original.records if r.raw in bytes(image)}
    assert saved >= contiguous


@EXAMPLES
@given(share=st.floats(0.2, 0.99))
def test_of_a_file_that_is_cut_all_before_the_cut_comes_back(original: Original, folder: Path, share: float) -> None:
    size = int(len(original.whole) * share)
    image = original.whole[:size]
    _RECEIPT_SAVED[0] = _receipt_is_in(image, original)
    lost = set(range(size // PAGE, len(original.whole) // PAGE + 1))
    assert check(original, damaged(folder, image)) >= untouched(original, lost)


@EXAMPLES
@given(flips=st.lists(st.integers(0, 10**7), min_size=1, max_size=5))
def test_a_damaged_write_ahead_log_costs_only_what_it_hit(original: Original, folder: Path, flips: list[int]) -> None:
    wal = bytearray(original.wal)
    for flip in flips:
        place = flip % (8 * len(wal))
        wal[place // 8] ^= 1 << place % 8
    _RECEIPT_SAVED[0] = True
    saved = check(original, damaged(folder, original.db, bytes(wal)))
    assert saved >= set(range(200))
    assert saved >= {r.sequence for r in original.records if r.raw in bytes(wal)}


@EXAMPLES
@given(at=st.integers(1, 10**6), size=st.integers(1, 9000), where=st.sampled_from(["db", "wal"]))
def test_bytes_that_went_missing_cost_only_the_records_they_were_of(
    original: Original, folder: Path, at: int, size: int, where: str
) -> None:
    db, wal = bytearray(original.db), bytearray(original.wal)
    image = {"db": db, "wal": wal}[where]
    start = at % (len(image) - 1) + 1
    del image[start : start + size]
    _RECEIPT_SAVED[0] = _receipt_is_in(bytes(db), original) or _receipt_is_in(bytes(wal), original)
    saved = check(original, damaged(folder, bytes(db), bytes(wal)))
    assert saved >= {r.sequence for r in original.records if r.raw in bytes(db) or r.raw in bytes(wal)}


def test_an_emptied_receipt_is_passed_over(original: Original, folder: Path) -> None:
    path = damaged(folder, original.whole)
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        file.execute("UPDATE receipt SET raw = x''")
        file.execute("UPDATE log SET receipt = x''")
    _RECEIPT_SAVED[0] = True  # its bytes are still in the page
    assert check(original, path) == set(range(COUNT))


def _receipt_is_in(image: bytes, original: Original) -> bool:
    with Journal.open_to_read(original.folder / "journal.db") as journal:
        raw = journal.receipt(LOG)
    assert raw is not None
    return raw in image


def test_counters_go_on_from_the_last_snapshot_when_their_state_is_lost(original: Original, folder: Path) -> None:
    image = bytearray(original.whole)
    image[PAGE : 2 * PAGE] = bytes(PAGE)  # the table of logs, with states and receipts
    assert b"state" not in image[PAGE:]
    _RECEIPT_SAVED[0] = _receipt_is_in(bytes(image), original)
    assert check(original, damaged(folder, bytes(image))) == set(range(COUNT))
    with Journal.open_to_read(folder / "saved.db") as journal:
        new = journal.logs()[-1].log_id
        codes = [b.code for r in journal.records(new) if isinstance(b := parse(r.raw).body, Lifecycle)]
        assert codes == [LifecycleCode.LOG_BEGUN, LifecycleCode.METER_RECOVERED]
        saved = journal.state(new)
        assert saved is not None
        assert load(saved).began_wall_ms == snapshot().began_ms


def test_a_page_of_the_disk_that_cannot_be_read_is_like_one_that_is_lost(
    original: Original, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    path, bad = damaged(folder, original.whole), 60 * PAGE
    pread = os.pread

    def failing(descriptor: int, size: int, at: int) -> bytes:
        if at <= bad < at + size and Path(f"/proc/self/fd/{descriptor}").readlink() == path:
            raise OSError(errno.EIO, "Input/output error")
        return pread(descriptor, size, at)

    monkeypatch.setattr(os, "pread", failing)
    _RECEIPT_SAVED[0] = True
    assert check(original, path) >= untouched(original, {60})
    assert "4096 bytes of the disk could not be read" in capsys.readouterr().out


def test_a_stolen_record_of_another_key_does_not_come_back(original: Original, folder: Path, capsys: Capture) -> None:
    path = damaged(folder, original.whole)
    stranger = folder.parent / "stranger.key"
    file.create(stranger)
    assert main(["journal", "repair", str(path), str(folder / "saved.db"), "--gateway-key", str(stranger)]) == 1
    error = capsys.readouterr().err
    assert original.signer.kid.hex()[:16] in error
    assert "--key PUB" in error
    assert not (folder / "saved.db").exists()


def test_an_older_key_can_be_named(original: Original, folder: Path) -> None:
    path = damaged(folder, original.whole)
    renewed = folder.parent / "renewed.key"
    file.create(renewed)
    old, out = str(original.key.with_suffix(".pub")), str(folder / "saved.db")
    assert main(["journal", "repair", str(path), out, "--gateway-key", str(renewed), "--key", old]) == 0
    both = ("--key", old, "--key", str(renewed.with_suffix(".pub")))
    assert main(["journal", "verify", "--journal", out, *both]) == 0


def test_what_cannot_be_repaired_is_one_line(original: Original, folder: Path, capsys: Capture) -> None:
    path = damaged(folder, os.urandom(50_000))
    code, out = repair(original, path)
    assert (code, out.exists()) == (1, False)
    assert "holds no record that this gateway has signed" in capsys.readouterr().err
    assert not list(folder.glob(".saved*"))
    out.touch()
    keys = ("--gateway-key", str(original.key))
    for source, target, said in (
        (path, out, "exists"),
        (folder / "none.db", folder / "new.db", "there is no file"),
        (path, folder / "no" / "new.db", "cannot write beside"),
    ):
        assert main(["journal", "repair", str(source), str(target), *keys]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_a_journal_in_use_is_not_touched(original: Original, folder: Path, capsys: Capture) -> None:
    path = damaged(folder, original.whole)
    with Journal.open(path):
        assert repair(original, path)[0] == 1
    assert "stop that agent first" in capsys.readouterr().err
