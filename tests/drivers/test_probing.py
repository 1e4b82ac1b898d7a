"""Probing: the right profile on every recording, near misses with reasons, and none on noise."""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal.core.sample import Frame
from packseal_drivers import profile
from packseal_drivers.probing import fit
from packseal_drivers.probing.fit import Fit
from packseal_drivers.probing.traffic import MAX_IDS, Traffic
from packseal_drivers.profile import ProfileFile
from packseal_drivers.recordings import read

RECORDINGS = Path(__file__).parents[1] / "recordings"
FOLDERS = sorted(path for path in RECORDINGS.iterdir() if (path / "frames.log").exists())
KONA = Path(__file__).parents[2] / "../shared/data/kona_can"
FILES = [profile.load(name) for name in profile.names()]
EXTENDED = 0x8000_0000


def probed(frames: Iterable[Frame], files: Sequence[ProfileFile] = FILES) -> tuple[list[Fit], Traffic]:
    traffic = fit.listen_for(files)
    traffic.feed(frames)
    return fit.judge(files, traffic), traffic


def names(fits: Iterable[Fit]) -> list[str]:
    return [found.file.profile.name for found in fits if found.fits]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_best_fit_of_a_recording_is_its_profile(folder: Path) -> None:
    fits, _ = probed(read(folder / "frames.log"))
    assert names(fits)[:1] == [name for name in profile.names() if name.replace("/", "_") == folder.name]
    assert fits[0].reasons


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bms-idle-30s.asc", ["hyundai/kona_broadcast"]),
        ("bms-precharge.asc", ["hyundai/kona_broadcast"]),
        ("221210-1-2021-dcan-car-scanner-elm327.csv.gz", []),  # a scan tool that asks for trouble codes
        ("221217-1-2021-pcan-bcan-no-key.csv.gz", []),  # the battery sleeps
    ],
)
def test_recorded_drives_of_a_kona(name: str, expected: list[str]) -> None:
    path = KONA / name
    if not path.exists():
        pytest.skip(f"{path} is missing: put the recordings of the Kona beside the repository, as {KONA}")
    fits, traffic = probed(read(path))
    assert names(fits) == expected
    assert traffic.ids


@given(
    seed=st.integers(0, 1 << 32),
    count=st.integers(0, 4000),
    length=st.none() | st.integers(0, 8),
    ids=st.sampled_from([0x800, 0x400, 0x20000000]),
)
@settings(max_examples=60, deadline=None)
def test_nothing_fits_noise(seed: int, count: int, length: int | None, ids: int) -> None:
    lot = random.Random(seed)

    def address() -> int:
        number = lot.randrange(ids)
        return number | EXTENDED if ids > 0x800 else number

    made = (
        Frame(address(), lot.randbytes(lot.randrange(9) if length is None else length), i * 10**6) for i in range(count)
    )
    fits, traffic = probed(made)
    assert names(fits) == []
    assert len(traffic.ids) <= MAX_IDS


@pytest.mark.parametrize("name", profile.names())
def test_the_ids_of_a_profile_with_empty_frames_are_not_that_battery(name: str) -> None:
    identify = profile.load(name).profile.identify
    if identify is None:
        return
    frames = [Frame(address, b"", i * 10**6) for i, address in enumerate(identify.ids * 20)]
    fits, _ = probed(frames)
    assert names(fits) == []


def test_why_it_does_not_fit_is_said() -> None:
    fits, _ = probed(read(RECORDINGS / "rec_bms" / "frames.log"))
    against = {found.file.profile.name: "; ".join(found.against) for found in fits if not found.fits}
    assert "0x380 seen, which a relative sends" in against["sma/sunny_island"]
    assert "0x373 not seen" in against["victron/can_bms"]
    assert "only 3.2 s were seen, and 5 s may be needed" in against["victron/can_bms"]


def test_answers_to_a_scan_tool_prove_a_battery_whose_profile_asks(tmp_path: Path) -> None:
    path = tmp_path / "asked.toml"
    field = "[[request.field]]\nquantity = 'state_of_health_pct'\nat = 3\n"
    requests = "".join(
        f"[[request]]\nname = 'd{i}'\nprotocol = 'uds'\nto = 0x7E4\nanswer = 0x7EC\nask = '22 01 0{i}'\n"
        + (field if i == 1 else "")
        for i in (1, 2)
    )
    path.write_text(f"name = 'a/b'\ntitle = 'A'\nsource = 'A'\n{requests}")
    files = [profile.load(str(path))]
    first = Frame(0x7EC, bytes.fromhex("1009620101646464"), 0)
    rest = Frame(0x7EC, bytes.fromhex("21646464AAAAAAAA"), 1000)
    (found,), _ = probed([first, rest], files)
    assert (found.fits, found.reasons) == (True, ("0x7EC answered d1",))
    assert probed([first], files)[0] == []  # the answer is not whole
    assert probed([Frame(0x7EC, bytes.fromhex("037F2231"), 0)], files)[0] == []  # it refuses


def test_what_is_seen_of_an_id_is_rate_lengths_and_changing_bytes() -> None:
    traffic = Traffic()
    traffic.feed(Frame(0x10, bytes((1, i % 2, 3)), i * 10**8) for i in range(11))
    traffic.feed([Frame(0x10, b"\x01", 11 * 10**8), Frame(0x2000_0004, bytes(8), 11 * 10**8)])
    seen = traffic.ids[0x10]
    assert (seen.lengths, seen.changing) == ({1, 3}, {1})
    assert seen.rate_hz == pytest.approx(10)
    assert (traffic.frames, traffic.error_frames) == (12, 1)
    assert traffic.span_s == pytest.approx(1.1)


def test_ids_without_end_take_bounded_memory() -> None:
    traffic = Traffic()
    traffic.feed(Frame(EXTENDED | i, bytes(8), i) for i in range(3 * MAX_IDS))
    assert (len(traffic.ids), traffic.left_out) == (MAX_IDS, 2 * MAX_IDS)
    assert traffic.is_noise
