"""The parser of write logs: the kernel's layout, whole entries only, and a clear word about what cannot be true."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hil.powercut import made_log
from tests.hil.powercut.made_log import DISCARD, FLUSH, FUA, MARK, SECTOR, Step

from packseal_hil.powercut.write_log import Flag, LogError, WriteLog

A, B = b"a" * SECTOR, b"b" * 3 * SECTOR
STEPS = [
    Step(8, A),
    Step(flags=FLUSH),
    Step(16, B, FUA),
    Step(0, flags=DISCARD, sectors=64),
    Step(flags=MARK, text=b"here"),
    Step(24, A, FLUSH | FUA),
]


def test_every_kind_of_entry_is_read(tmp_path: Path) -> None:
    with WriteLog.read(made_log.write(tmp_path / "log", STEPS), disk_bytes=64 * SECTOR) as log:
        entries = list(log.entries())
        said = [(e.flags, e.at, e.length, e.writes) for e in entries]
        assert said == [
            (Flag(0), 8 * SECTOR, SECTOR, True),
            (Flag.FLUSH, 0, 0, False),
            (Flag.FUA, 16 * SECTOR, 3 * SECTOR, True),
            (Flag.DISCARD, 0, 64 * SECTOR, False),
            (Flag.MARK, 0, 0, False),
            (Flag.FLUSH | Flag.FUA, 24 * SECTOR, SECTOR, True),
        ]
        assert bytes(log.data(entries[2])) == B
        assert log.mark(entries[4]) == b"here"
        assert log.end == made_log.end_of(STEPS)


def test_a_position_holds_the_entries_that_end_by_then(tmp_path: Path) -> None:
    with WriteLog.read(made_log.write(tmp_path / "log", STEPS)) as log:
        for number in range(len(STEPS) + 1):
            end = made_log.end_of(STEPS[:number])
            assert len(list(log.entries(0, end))) == number
            assert len(list(log.entries(0, end + SECTOR - 1))) == number  # the next entry is not whole there
            assert len(list(log.entries(end))) == len(STEPS) - number
        assert list(log.positions(0, log.end)) == [made_log.end_of(STEPS[: n + 1]) for n in range(len(STEPS))]


@given(cut=st.integers(0, len(made_log.encode(STEPS))))
def test_a_log_that_ends_anywhere_holds_its_whole_entries(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "log"
    path.write_bytes(made_log.encode(STEPS)[:cut])
    if cut < 28:
        with pytest.raises(LogError, match=r"superblock|cannot be read"):
            WriteLog.read(path)
        return
    whole = sum(made_log.end_of(STEPS[: n + 1]) <= cut for n in range(len(STEPS)))
    with WriteLog.read(path) as log:
        assert len(log) == whole
        assert log.end == max(SECTOR, made_log.end_of(STEPS[:whole]))


def test_what_comes_after_a_hole_was_never_told_to_anybody(tmp_path: Path) -> None:
    hole = made_log.encode(STEPS[:2]) + bytes(2 * SECTOR) + STEPS[0].encode()
    (tmp_path / "log").write_bytes(hole)
    with WriteLog.read(tmp_path / "log") as log:
        assert len(log) == 2


def test_a_log_that_counts_far_more_than_it_holds_is_cut_short(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(made_log.encode(STEPS, count=300))
    with pytest.raises(LogError, match="counts 300 entries, 6 are there"):
        WriteLog.read(tmp_path / "log")


def spoiled(number: int, header: bytes) -> bytes:
    data = bytearray(made_log.encode(STEPS))
    start = made_log.end_of(STEPS[:number])
    data[start : start + len(header)] = header
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (bytes(4096), "no superblock yet"),
        (made_log.superblock(0, magic=7), "is no write log"),
        (made_log.superblock(0, version=2), "version 2"),
        (made_log.superblock(0, sector=500), "sectors of 500 bytes"),
        (spoiled(1, struct.pack("<QQQQ", 0, 0, 0x41, 0)), "byte 1536: an entry with unknown flags 0x41"),
        (spoiled(2, struct.pack("<QQQQ", 62, 3, 2, 0)), "beyond the disk's 32768"),
        (spoiled(4, struct.pack("<QQQQ", 0, 0, 8, 481)), "a mark that"),
        (spoiled(4, struct.pack("<QQQQ", 0, 1, 8, 4)), "a mark that"),
        # One sector too few: what follows is data, taken for a header.
        (spoiled(2, struct.pack("<QQQQ", 16, 2, 2, 0)), "unknown flags"),
        (spoiled(0, struct.pack("<QQQQQ", 8, 1, 0, 0, 1)), "its sector is not empty"),
    ],
)
def test_what_cannot_be_true_is_refused_with_its_place(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(LogError, match=said):
        WriteLog.read(tmp_path / "log", disk_bytes=64 * SECTOR)


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="nowhere"):
        WriteLog.read(tmp_path / "nowhere")
