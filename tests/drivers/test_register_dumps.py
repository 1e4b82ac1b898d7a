"""Register dumps: each `answers.registers` of tests/recordings gives what was worked out by hand, and can be replayed.

A folder is named VENDOR_MODEL like the profile's page. Its `expected.toml` says what must be known `t_s` seconds after
the first answer; a later word on a channel, a flaw as well, takes the place of an earlier one.
"""

import asyncio
import gzip
import math
import tomllib
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.test_recordings import PROFILES, RECORDINGS, channel

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError, InputError
from packseal.core.quantities import Channel
from packseal.core.sample import NS_PER_S, Flaw, Sample
from packseal_drivers.modbus import dump
from packseal_drivers.modbus.lines import Value
from packseal_drivers.modbus.plan import Read
from packseal_drivers.profile import Profile, load
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Recording

FOLDERS = sorted(path.parent for path in RECORDINGS.glob("*/answers.registers"))
Words = dict[Channel, float | Flaw]


def replayed(path: Path, name: str, **more: Any) -> list[Sample]:
    driver = open_driver(
        Recording(path.name, **more),
        load(name), directory=path.parent, cache=None, clock=SystemClock(), period_s=0,
    )  # fmt: skip

    async def collect() -> list[Sample]:
        async with aclosing(driver.batches()) as batches:
            return [item async for batch in batches for item in batch if isinstance(item, Sample)]

    samples = asyncio.run(collect())
    assert driver.counts.samples == len(samples)
    return samples


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def case(request: pytest.FixtureRequest) -> tuple[Profile, list[Sample], Mapping[str, Any]]:
    folder: Path = request.param
    name = PROFILES[folder.name]
    expected = tomllib.loads((folder / "expected.toml").read_text())
    assert expected["source"]
    return load(name).profile, replayed(folder / "answers.registers", name), expected


def test_every_modbus_profile_has_a_dump_and_every_dump_a_profile() -> None:
    modbus = {name for name in PROFILES.values() if load(name).profile.values}
    assert {PROFILES[folder.name] for folder in FOLDERS} == modbus


def known(samples: list[Sample], t_s: float) -> Words:
    words: Words = {}
    for sample in samples:
        if sample.at.mono_ns <= round(t_s * NS_PER_S):
            words |= {**sample.values, **sample.flaws}
    return words


def test_what_comes_out_is_what_was_worked_out_by_hand(case: tuple[Profile, list[Sample], Mapping[str, Any]]) -> None:
    profile, samples, expected = case
    told: set[str] = set()
    for entry in expected["sample"]:
        words = known(samples, entry["t_s"])
        for key, value in entry.get("values", {}).items():
            word = words.get(channel(key))
            assert isinstance(word, float), f"{key} at {entry['t_s']} s is {word!r}, not {value}"
            assert math.isclose(word, value, rel_tol=1e-9, abs_tol=1e-9), f"{key} at {entry['t_s']} s is {word!r}"
            told.add(channel(key).quantity.key)
        for key, flaw in entry.get("flaws", {}).items():
            assert words.get(channel(key)) is Flaw[flaw.upper()], (
                f"{key} at {entry['t_s']} s is {words.get(channel(key))}"
            )
        for key in entry.get("absent", []):
            assert channel(key) not in words
    assert told == {quantity.key for quantity in profile.delivers}, "a quantity of the profile is nowhere expected"


def test_every_line_is_met_and_where_it_can_be_negative_with_both_signs(
    case: tuple[Profile, list[Sample], Mapping[str, Any]],
) -> None:
    profile, samples, _ = case
    for line in profile.values:
        channels = {c for c in profile.channels if c.quantity.key == line.quantity}
        met = [v for sample in samples for c, v in sample.values.items() if c in channels]
        assert any(v > 0 for v in met), f"{line.quantity} is nowhere above 0"
        assert not can_be_negative(line) or any(v < 0 for v in met), f"{line.quantity} is nowhere below 0"


def can_be_negative(line: Value) -> bool:
    half = 1 << (line.width - 1)
    raws = (-half, half - 1) if line.signed else (0, 2 * half - 1)
    return min(raw * line.factor + line.offset for raw in raws) < 0 and (line.minimum is None or line.minimum < 0)


def test_what_is_not_available_and_what_is_out_of_range_is_met(
    case: tuple[Profile, list[Sample], Mapping[str, Any]],
) -> None:
    profile, samples, _ = case
    flaws = {flaw for sample in samples for flaw in sample.flaws.values()}
    if profile.point or any(line.not_available for line in profile.values):
        assert Flaw.NOT_AVAILABLE in flaws
    if any(line.minimum is not None or line.maximum is not None for line in profile.values):
        assert Flaw.OUT_OF_RANGE in flaws


def test_a_dump_may_be_compressed_and_is_played_at_a_pace(tmp_path: Path) -> None:
    text = (RECORDINGS / "pace_rs485" / "answers.registers").read_bytes()
    (tmp_path / "pack.registers.gz").write_bytes(gzip.compress(text))
    samples = replayed(tmp_path / "pack.registers.gz", "pace/rs485", speed=40.0)
    assert [sample.at.mono_ns for sample in samples] == [0, 2 * NS_PER_S, 4 * NS_PER_S]


@given(
    st.integers(0, 10**10 - 1),
    st.integers(0, 255),
    st.sampled_from([3, 4]),
    st.integers(0, 0xFF00),
    st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125),
)
def test_what_is_written_is_read_again(seconds: int, unit: int, function: int, address: int, words: list[int]) -> None:
    read = Read(function, address, len(words))
    text = dump.line(seconds * NS_PER_S, unit, read, words) + dump.line(seconds * NS_PER_S, unit, read, None, 2)
    path = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path()
    file = path / f"packseal-test-{unit}.registers"
    file.write_text(text)
    try:
        (poll,) = dump.polls(file)
    finally:
        file.unlink()
    assert poll.at_ns == seconds * NS_PER_S
    assert len(poll.image) == len(words)
    assert [(r.function, r.address) for r in poll.declined] == [(function, address)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no answer of a Modbus device"),
        ("# nothing\n", "no answer of a Modbus device"),
        ("(1.000000) 1 3 0000 14A\n", "line 1: this is no line of a register dump"),
        ("(1.000000) 1 6 0000 14A2\n", "line 1: this is no line of a register dump"),
        ("(2.000000) 1 3 0000 14A2\n(1.000000) 1 3 0000 14A2\n", "line 2: its time is before"),
        ("x" * 100_000, "this is no line"),
    ],
)
def test_what_is_no_dump_is_refused_by_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.registers").write_text(text)
    with pytest.raises(InputError, match=said):
        list(dump.polls(tmp_path / "wrong.registers"))


@pytest.mark.parametrize(
    "data",
    [b"\xc2\xa0\n", b"\0" * 100, gzip.compress(b"(1.000000) 1 3 0000 14A2\n" * 9)[:-9], b"\x1f\x8b"],
    ids=["space", "zeros", "cut", "magic"],
)
def test_any_bytes_are_refused_in_one_sentence(data: bytes, tmp_path: Path) -> None:
    for name in ("a.registers", "a.registers.gz"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            list(dump.polls(tmp_path / name))


def test_what_cannot_be_read_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "wrong.registers").write_text("nonsense\n")
    for name in ("wrong.registers", "missing.registers"):
        with pytest.raises(ConfigError, match=name):
            replayed(tmp_path / name, "pace/rs485")
