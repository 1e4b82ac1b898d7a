"""Cuts against a model that is a list of writes: what was flushed is there, what was not is there in parts or not."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hil.powercut import made_log
from tests.hil.powercut.made_log import DISCARD, FLUSH, FUA, SECTOR, Step

from packseal_hil.powercut.cut import Cut, Cutter, Tear, cut_image
from packseal_hil.powercut.write_log import LogError, WriteLog

DISK_SECTORS = 64
BASE = bytes(range(256)) * (DISK_SECTORS * SECTOR // 256)
STEP = {Tear.PAGES: 8, Tear.SECTORS: 1}

datas = st.tuples(st.integers(1, 20), st.integers(0, 255)).map(lambda n: bytes([n[1]]) * SECTOR * n[0])
writes = st.tuples(datas, st.integers(0, DISK_SECTORS - 20), st.sampled_from([0, 0, 0, FUA, FLUSH, FLUSH | FUA]))
steps = st.one_of(
    writes.map(lambda w: Step(w[1], w[0], w[2])),
    st.just(Step(flags=FLUSH)),
    st.just(Step(3, flags=DISCARD, sectors=9)),
)


class Bench:
    """A base disk and a log in a directory, and the cutter over them."""

    def __init__(self, work: Path, made: Sequence[Step]) -> None:
        (work / "base").write_bytes(BASE)
        self.log = WriteLog.read(made_log.write(work / "log", made))
        self.cutter = Cutter(work / "base", self.log, work)
        self.seen = b""

    def cut(self, position: int, tear: Tear, seed: int = 0, keep: float = 0.5) -> Cut:
        cut = self.cutter.cut(position, tear, random.Random(seed), keep)
        self.seen = cut.image.read_bytes()
        return cut

    def close(self) -> None:
        self.cutter.close()
        self.log.close()


def chunks(step: Step, tear: Tear) -> list[range]:
    """The sectors of a write that share one fate: those within the same page of the disk."""
    sectors = range(step.sector, step.sector + len(step.data) // SECTOR)
    if step.flags & FUA or tear is Tear.WRITES:
        return [sectors]
    size = STEP.get(tear, DISK_SECTORS)
    pages = sorted({sector // size for sector in sectors})
    return [range(max(p * size, sectors[0]), min((p + 1) * size, sectors[-1] + 1)) for p in pages]


def possible(sector: int, disk: bytes, late: Sequence[Step]) -> set[bytes]:
    """All that one sector may hold: the last durable content, or any late write's after that with FUA."""
    found = {disk[sector * SECTOR : (sector + 1) * SECTOR]}
    for step in late:
        start = (sector - step.sector) * SECTOR
        if 0 <= start < len(step.data):
            content = step.data[start : start + SECTOR]
            found = {content} if step.flags & FUA else found | {content}
    return found


@given(made=st.lists(steps, max_size=25), data=st.data())
def test_a_cut_leaves_what_the_model_allows(
    tmp_path_factory: pytest.TempPathFactory, made: list[Step], data: st.DataObject
) -> None:
    bench = Bench(tmp_path_factory.mktemp("cut"), made)
    numbers = sorted(data.draw(st.lists(st.integers(0, len(made)), min_size=1, max_size=4)))
    for number in numbers:
        tear = data.draw(st.sampled_from(Tear))
        bench.cut(made_log.end_of(made[:number]), tear, seed=number)
        disk, late = made_log.durable(BASE, made[:number])
        for sector in range(DISK_SECTORS):
            assert bench.seen[sector * SECTOR : (sector + 1) * SECTOR] in possible(sector, disk, late)
    bench.close()


@given(made=st.lists(steps, max_size=25), tear=st.sampled_from(Tear))
def test_with_all_luck_everything_is_there_and_with_none_only_what_was_flushed(
    tmp_path_factory: pytest.TempPathFactory, made: list[Step], tear: Tear
) -> None:
    bench = Bench(tmp_path_factory.mktemp("cut"), made)
    disk, late = made_log.durable(BASE, made)
    certain, everything = bytearray(disk), bytearray(disk)
    for step in late:
        made_log.put(everything, step)
        if step.flags & FUA:
            made_log.put(certain, step)
    cut = bench.cut(bench.log.end, tear, keep=0.0)
    assert bench.seen == bytes(certain)
    assert cut.lost_bytes == cut.open_bytes == sum(len(s.data) for s in late if not s.flags & FUA)
    if tear is not Tear.LOST:
        assert bench.cut(bench.log.end, tear, keep=1.0).lost_bytes == 0
        assert bench.seen == bytes(everything)
    bench.close()


@pytest.mark.parametrize("tear", [Tear.PAGES, Tear.SECTORS, Tear.WRITES])
def test_a_write_is_torn_at_the_boundaries_of_the_disk(tmp_path: Path, tear: Tear) -> None:
    write = Step(5, b"x" * 30 * SECTOR)
    bench = Bench(tmp_path, [write])
    fates = set()
    for seed in range(60):
        bench.cut(bench.log.end, tear, seed)
        new = [bench.seen[s * SECTOR : (s + 1) * SECTOR] == write.data[:SECTOR] for s in range(DISK_SECTORS)]
        parts = chunks(write, tear)
        assert all(len({new[sector] for sector in part}) == 1 for part in parts)
        fates.add(tuple(new))
    assert len(fates) == 2 if tear is Tear.WRITES else len(fates) > 4
    bench.close()


def test_an_incremental_cut_is_the_same_as_a_single_one(tmp_path: Path) -> None:
    made = [
        Step(n % 40, bytes([n]) * SECTOR * (1 + n % 5), FLUSH if n % 7 == 0 else FUA * (n % 5 == 0)) for n in range(90)
    ]
    bench = Bench(tmp_path, made)
    (tmp_path / "single").mkdir()
    for number in range(0, 90, 9):
        position = made_log.end_of(made[:number])
        bench.cut(position, Tear.PAGES, seed=4)
        single = cut_image(tmp_path / "base", bench.log, position, random.Random(4), Tear.PAGES, tmp_path / "single")
        assert single.read_bytes() == bench.seen
    bench.close()
    assert (tmp_path / "base").read_bytes() == BASE


def test_a_seed_repeats_a_cut(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [Step(n, b"y" * SECTOR * 9) for n in range(0, 50, 3)])
    seen = []
    for seed in (1, 1, 2):
        bench.cut(bench.log.end, Tear.SECTORS, seed)
        seen.append(bench.seen)
    assert seen[0] == seen[1] != seen[2]
    bench.close()


def test_cuts_go_forward(tmp_path: Path) -> None:
    made = [Step(0, b"1" * SECTOR), Step(flags=FLUSH), Step(1, b"2" * SECTOR), Step(flags=FLUSH)]
    bench = Bench(tmp_path, made)
    bench.cut(bench.log.end, Tear.LOST)
    with pytest.raises(ValueError, match="cuts go forward"):
        bench.cut(made_log.end_of(made[:1]), Tear.LOST)
    bench.close()


def test_a_write_beyond_the_disk_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [Step(DISK_SECTORS - 1, b"z" * 2 * SECTOR)])
    with pytest.raises(LogError, match="beyond the disk's 32768 bytes"):
        bench.cut(bench.log.end, Tear.WRITES, keep=1.0)
    bench.close()


def test_images_stay_sparse(tmp_path: Path) -> None:
    size = 256 << 20
    with (tmp_path / "base").open("wb") as file:
        file.truncate(size)
        file.seek(size // 2)
        file.write(b"middle")
    made = [Step(size // SECTOR - 1, b"e" * SECTOR)]
    with (
        WriteLog.read(made_log.write(tmp_path / "log", made)) as log,
        Cutter(tmp_path / "base", log, tmp_path) as cutter,
    ):
        cut = cutter.cut(log.end, Tear.WRITES, random.Random(0), keep=1.0)
        assert cut.image.stat().st_size == size
        assert cut.image.stat().st_blocks * 512 < 1 << 20
        with cut.image.open("rb") as image:
            image.seek(size // 2)
            assert image.read(6) == b"middle"
            image.seek(size - SECTOR)
            assert image.read() == b"e" * SECTOR
    assert not (tmp_path / "cut.img").exists()
