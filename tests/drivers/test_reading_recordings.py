"""Reading recordings: each format against python-can's own writers and readers, and whatever is wrong with a file."""

import gzip
import importlib.util
import random
from collections.abc import Callable
from pathlib import Path

import can
import pytest
from can.io.asc import ASCReader, ASCWriter
from can.io.blf import BLFWriter
from can.io.canutils import CanutilsLogWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packseal.core.errors import InputError
from packseal.core.sample import Frame
from packseal_drivers.recordings import read
from packseal_drivers.recordings.row import HOPELESS, MAX_TIME_NS

KONA = Path(__file__).parents[2] / "../shared/data/kona_can"
BEGUN_S = 1_700_000_000.25
EXTENDED, ERROR = 0x8000_0000, 0x2000_0000
LINE = "(1700000000.000000) can0 123#0011"
HEAD = "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n"


def messages() -> list[can.Message]:
    made = [
        can.Message(BEGUN_S, 0x123, is_extended_id=False, data=bytes(range(8)), channel=0),
        can.Message(BEGUN_S + 0.001, 0x123, is_extended_id=True, data=b"\xff", channel=0),
        can.Message(BEGUN_S + 0.25, 0x1FFF_FFFF, is_extended_id=True, data=b"", channel=0),
        can.Message(BEGUN_S + 0.5, 0x7FF, is_extended_id=False, is_remote_frame=True, dlc=0, channel=0),
        can.Message(BEGUN_S + 1, 0x321, is_extended_id=False, is_fd=True, data=bytes(range(64)), dlc=64, channel=0),
        can.Message(BEGUN_S + 60, 0x40, is_extended_id=False, is_error_frame=True, data=bytes(8), channel=0),
    ]
    return [*made, can.Message(BEGUN_S + 61, 0x0, is_extended_id=False, data=b"\x80", channel=0)]


EXPECTED = [
    (0x123, bytes(range(8)), 0.0),
    (0x123 | EXTENDED, b"\xff", 0.001),
    (0x1FFF_FFFF | EXTENDED, b"", 0.25),
    (0x321, bytes(range(64)), 1.0),
    (ERROR, None, 60.0),
    (0x0, b"\x80", 61.0),
]


def check(path: Path, tolerance_s: float) -> None:
    recording = read(path)
    frames = list(recording)
    assert recording.troubles.count == 0, recording.troubles.summary
    assert recording.begun_wall_ns is not None
    assert abs(recording.begun_wall_ns / 1e9 - BEGUN_S) < 0.5
    assert len(frames) == len(EXPECTED)
    for frame, (address, data, t_s) in zip(frames, EXPECTED, strict=True):
        assert frame.mono_ns / 1e9 == pytest.approx(t_s, abs=tolerance_s)
        if data is None:  # an error frame; what is in it, not every format keeps
            assert frame.address & ~0x1FFF_FFFF == ERROR
        else:
            assert frame[:2] == (address, data)


@pytest.mark.parametrize(
    ("suffix", "writer"), [(".log", CanutilsLogWriter), (".asc", ASCWriter), (".blf", BLFWriter)], ids=str
)
@pytest.mark.parametrize("packed", ["plain", "gz"])
def test_what_python_can_writes_is_read(
    suffix: str, writer: Callable[[Path], can.Listener], packed: str, tmp_path: Path
) -> None:
    path = tmp_path / f"drive{suffix}"
    out = writer(path)
    for message in messages():
        out.on_message_received(message)
    out.stop()
    if packed == "gz":
        path = tmp_path / f"drive{suffix}.gz"
        path.write_bytes(gzip.compress((tmp_path / f"drive{suffix}").read_bytes()))
    check(path, 2e-6)


def kona(name: str) -> Path:
    path = KONA / name
    if not path.exists():
        pytest.skip(f"{path} is missing: put the recordings of the Kona beside the repository, as {KONA}")
    return path


@pytest.mark.parametrize("name", ["bms-idle-30s.asc", "bms-precharge.asc"])
def test_a_recorded_asc_is_read_as_python_can_reads_it(name: str) -> None:
    path = kona(name)
    with ASCReader(path) as reader:
        theirs = [(m.arbitration_id, bytes(m.data), m.timestamp) for m in reader]
    recording = read(path)
    ours = list(recording)
    assert not recording.troubles.count
    assert [frame[:2] for frame in ours] == [(i, d) for i, d, _ in theirs]
    for frame, (_, _, t_s) in zip(ours, theirs, strict=True):
        assert frame.mono_ns / 1e9 == pytest.approx(t_s - theirs[0][2], abs=1e-6)


def test_a_recorded_savvycan_file_with_two_buses_is_read_whole_or_one_bus_of_it() -> None:
    path = kona("221217-1-2021-pcan-bcan-no-key.csv.gz")
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()[1:]
    recording = read(path)
    frames = list(recording)
    assert len(frames) == len(rows)
    assert (recording.buses, recording.troubles.count, recording.begun_wall_ns) == ({"0", "1"}, 0, None)
    cells = rows[0].split(",")
    assert frames[0] == Frame(int(cells[1], 16), bytes.fromhex("".join(cells[5 : 5 + int(cells[4])])), 0)
    assert len(list(read(path, "1"))) == sum(row.split(",")[3] == "1" for row in rows) > 0


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        (LINE, (0x123, "0011")),
        ("(1700000000.000000) can0 123#0011 R", (0x123, "0011")),
        ("(1700000000.000000) can0 00000123#0011", (0x123 | EXTENDED, "0011")),
        ("(1700000000.000000) can0 123##10011", (0x123, "0011")),
        ("(1700000000.000000) can0 20000004#0001000000000000", (ERROR | 4, "0001000000000000")),
        (" (1700000000.000000)  can0  123   [2]  00 11", (0x123, "0011")),
        (" (1700000000.000000)  can0  RX - -  123   [2]  00 11", (0x123, "0011")),
        (" (000.000000)  can0  00000123   [00]", (0x123 | EXTENDED, "")),
    ],
)
def test_every_way_in_which_candump_writes_is_read(line: str, frame: tuple[int, str], tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(line + "\n")
    (found,) = read(path)
    assert found == Frame(frame[0], bytes.fromhex(frame[1]), 0)


def test_asc_in_decimal_with_relative_times_and_events_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.asc"
    path.write_text(
        "date Sat Sep 30 10:06:13.191 PM 2023\nbase dec  timestamps relative\ninternal events logged\n"
        "// a comment\nBegin Triggerblock Sat Sep 30 10:06:13.191 PM 2023\n   0.000000 Start of measurement\n"
        "   0.500000 1  291             Rx   d 2 0 255\n   0.250000 1  Statistic: D 1 R 0\n"
        "   0.250000 CAN 1 Status:chip status error active\n   0.500000 2  291x            Tx   d 1 10\n"
        "   0.000100 1  291             TxRq d 2 0 17\n   0.100000 1  J1939TP FEE3p 6 0 0 - Rx d 12 1\n"
        "End TriggerBlock\n"
    )
    recording = read(path)
    assert list(recording) == [Frame(291, b"\x00\xff", 0), Frame(291 | EXTENDED, b"\x0a", 1_000_000_000)]
    assert recording.troubles.count == 0


BAD = {
    "a.log": (LINE + "\n", "(1700000000.000000) can0 123#001"),
    "b.log": (LINE + "\n", "(1700000000.0000"),
    "c.log": (LINE + "\n", "can0  123   [2]  00 11"),
    "d.log": (LINE + "\n", "(1700000000.000000) can0 FFFFFFFF#00"),
    "e.log": (LINE + "\n", "(1700000000.000000)  can0  123   [3]  00 11"),
    "f.log": (LINE + "\n", "x" * 5000),
    "a.asc": ("base hex timestamps absolute\n 0.1 1 123 Rx d 1 00\n", "0.2 1 123 Rx d 8 00 11"),
    "b.asc": ("base hex timestamps absolute\n 0.1 1 123 Rx d 1 00\n", "0.2 1 EngineData Rx d 1 00"),
    "c.asc": ("base hex timestamps absolute\n 0.1 1 123 Rx d 1 00\n", "0.2 1 12"),
    "d.asc": ("base hex timestamps absolute\n 0.1 1 123 Rx d 1 00\n", "0.2 CANFD 1 Rx 123"),
    "e.asc": ("base hex timestamps absolute\n 0.1 1 123 Rx d 1 00\n", "garbage"),
    "a.csv": (HEAD + "1000,00000123,false,Rx,0,2,00,11,\n", "2000,00000123,false,Rx,0,8,00,11"),
    "b.csv": (HEAD + "1000,00000123,false,Rx,0,2,00,11,\n", "2000,123"),
    "c.csv": (HEAD + "1000,00000123,false,Rx,0,2,00,11,\n", "2000,00000923,false,Rx,0,2,00,11"),
    "d.csv": (HEAD + "1000,00000123,false,Rx,0,2,00,11,\n", "-5,00000123,perhaps,Rx,0,2,00,11"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_told_by_its_number_and_costs_no_other(name: str, tmp_path: Path) -> None:
    good, bad = BAD[name]
    path = tmp_path / name
    last = good.splitlines()[-1]
    path.write_text(f"{good}{bad}\n{last}\n")
    recording = read(path)
    assert len(list(recording)) == 2
    number = len(good.splitlines()) + 1
    assert recording.troubles.count == 1
    assert f"line {number}: " in recording.troubles.summary
    assert "\n" not in recording.troubles.summary


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.log", b"", "no CAN frame"),
        ("b.log", b"#only a comment\n", "no CAN frame"),
        ("c.log", b"hello\n", "line 1"),
        ("d.log", random.Random(1).randbytes(300_000), f"first {HOPELESS} lines"),
        ("e.log", b"x,y\n" * 1000, f"first {HOPELESS} lines"),
        ("a.asc", random.Random(2).randbytes(300_000), f"first {HOPELESS} lines"),
        ("a.csv", b"timestamp,arbitration_id,extended,remote,error,dlc,data\n", "no column 'time stamp'"),
        ("b.csv", random.Random(3).randbytes(5000), "no column"),
        ("a.blf", b"", "it is no .blf"),
        ("b.blf", random.Random(4).randbytes(5000), "it is no .blf"),
        ("a.log.gz", b"not packed at all", "breaks off"),
        ("b.blf.gz", b"not packed at all", "it is no .blf"),
        ("a.txt", LINE.encode(), "must end in"),
        ("a.gz", LINE.encode(), "must end in"),
    ],
)
def test_what_is_no_recording_is_refused_with_a_reason(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read(path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_and_a_bus_that_is_not_in_it_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "a.log")
    path = tmp_path / "b.log"
    path.write_text(LINE + "\n")
    with pytest.raises(InputError, match="no frame of bus can7; it has can0"):
        list(read(path, "can7"))


def test_mf4_says_what_it_needs(tmp_path: Path) -> None:
    if importlib.util.find_spec("asammdf"):
        pytest.skip("asammdf is installed here: uninstall it to see what is said without it")
    path = tmp_path / "a.mf4"
    path.write_bytes(b"MDF     4.10")
    with pytest.raises(InputError, match="pip install asammdf"):
        list(read(path))


@pytest.mark.parametrize("suffix", [".log.gz", ".blf"])
def test_a_file_that_breaks_off_gives_what_it_has_and_says_so(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    noise = random.Random(5)
    if suffix == ".blf":
        out = BLFWriter(path)
        for i in range(20_000):
            data = noise.randbytes(8)
            out.on_message_received(can.Message(BEGUN_S + i / 1000, 0x123, is_extended_id=False, data=data, channel=0))
        out.stop()
    else:
        text = "".join(f"({1_700_000_000 + i}.0) can0 123#{noise.randbytes(8).hex()}\n" for i in range(20_000))
        path.write_bytes(gzip.compress(text.encode()))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    recording = read(path)
    assert 1000 < len(list(recording)) < 20_000
    assert "breaks off" in recording.troubles.summary


def test_times_never_run_back_and_a_second_recording_behind_the_first_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    seconds = ["10.0", "10.5", "10.4", "12.0", "3.0", "4.0"]
    path.write_text("".join(f"({s}) can0 123#{i:02X}\n" for i, s in enumerate(seconds)))
    recording = read(path)
    assert [frame.mono_ns / 1e9 for frame in recording] == [0, 0.5, 0.5, 2, 2, 3]
    assert recording.troubles.count == 1
    assert "steps back" in recording.troubles.summary


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.parametrize("name", ["frames.log", "frames.asc", "frames.csv", "frames.blf", "frames.log.gz"])
def test_a_spoiled_file_gives_frames_or_one_clear_error(name: str, data: st.DataObject, tmp_path: Path) -> None:
    raw = bytearray(sample(name, tmp_path))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path / name
    path.write_bytes(raw)
    try:
        frames = list(read(path))
    except InputError:
        return
    last_ns = 0
    for frame in frames:
        assert len(frame.data) <= 64
        assert frame.address <= 0xFFFF_FFFF
        assert last_ns <= frame.mono_ns <= 2 * MAX_TIME_NS
        last_ns = frame.mono_ns


def sample(name: str, folder: Path) -> bytes:
    if name == "frames.csv":
        return (HEAD + "".join(f"{i}000,00000{i:03X},false,Rx,0,2,00,{i:02X},\n" for i in range(16))).encode()
    plain = folder / f"plain{name.removeprefix('frames').removesuffix('.gz')}"
    if not plain.exists():
        makers: dict[str, Callable[[Path], can.Listener]] = {
            ".log": CanutilsLogWriter,
            ".asc": ASCWriter,
            ".blf": BLFWriter,
        }
        out = makers[plain.suffix](plain)
        for message in messages():
            out.on_message_received(message)
        out.stop()
    return gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes()
