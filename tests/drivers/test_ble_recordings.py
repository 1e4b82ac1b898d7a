"""Bluetooth recordings: each notifications.ble of tests/recordings, replayed, gives what was worked out by hand.

As of the recordings of CAN buses (test_recordings), every distinct time makes one sample, and every profile needs one.
"""

import asyncio
import math
import tomllib
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.test_recordings import CHANNEL, RECORDINGS

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError
from packseal.core.quantities import BY_KEY, Channel
from packseal.core.sample import NS_PER_S, Flaw, Sample
from packseal_drivers import profile
from packseal_drivers.ble.dump import Said, is_dump, read, write
from packseal_drivers.recordings.row import Troubles
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Recording

FOLDERS = sorted(path.parent for path in RECORDINGS.glob("*/notifications.ble"))
PROFILES = {name.replace("/", "_"): name for name in profile.names() if profile.load(name).profile.ble is not None}
EVERY = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def replayed(path: Path, name: str) -> tuple[list[Sample], Any]:
    driver = open_driver(
        Recording(path.name), profile.load(name), directory=path.parent, cache=None, clock=SystemClock(), period_s=0
    )

    async def play() -> list[Sample]:
        async with aclosing(driver.batches()) as batches:
            return [item async for batch in batches for item in batch if isinstance(item, Sample)]

    return asyncio.run(play()), driver


def channel(key: str) -> Channel:
    match = CHANNEL.fullmatch(key)
    assert match
    return Channel(BY_KEY[match[1]], int(match[2] or 0))


def test_every_profile_has_a_recording() -> None:
    assert {folder.name for folder in FOLDERS} == PROFILES.keys() - {"aiobmsble_any"}


@EVERY
def test_what_comes_out_is_what_was_worked_out_by_hand(folder: Path) -> None:
    samples, driver = replayed(folder / "notifications.ble", PROFILES[folder.name])
    expected = tomllib.loads((folder / "expected.toml").read_text())
    told = set()
    for point in expected["sample"]:
        known: dict[Channel, float | Flaw] = {}
        for sample in samples:
            if sample.at.mono_ns <= point["t_s"] * NS_PER_S:
                known |= {**sample.values, **sample.flaws}
        for key, value in point.get("values", {}).items():
            word = known.get(channel(key))
            assert isinstance(word, float), f"{key} at {point['t_s']} s is {word!r}"
            assert math.isclose(word, value, rel_tol=1e-9, abs_tol=1e-12), f"{key} at {point['t_s']} s is {word}"
            told.add(channel(key).quantity)
        for key, flaw in point.get("flaws", {}).items():
            assert known.get(channel(key)) is Flaw[flaw.upper()], f"{key} at {point['t_s']} s"
        for key in point.get("absent", []):
            assert channel(key) not in known
    assert told == driver.delivers


@EVERY
def test_values_that_can_be_negative_are_met_with_both_signs(folder: Path) -> None:
    samples, driver = replayed(folder / "notifications.ble", PROFILES[folder.name])
    for key in ("pack_current_a", "pack_power_w"):
        if BY_KEY[key] in driver.delivers:
            values = [v for s in samples for c, v in s.values.items() if c.quantity is BY_KEY[key]]
            assert min(values) < 0 < max(values)
    celsius = [v for s in samples for c, v in s.values.items() if c.quantity is BY_KEY["temperature_c"]]
    assert min(celsius) < 0


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "a.ble"
    said = [
        Said(1_700_000_000_123_456_789, "0000ff01-0000-1000-8000-00805f9b34fb", "<", b"\xdd\x03"),
        Said(1_700_000_001_000_000_000, "b5c10001-7d0a-4c55-9c5e-6f3e0d8a4b10", ">", b""),
    ]
    with path.open("w") as file:
        for one in said:
            write(file, one)
    assert path.read_text().startswith("(1700000000.123456789) ff01 < DD03\n")
    assert list(read(path, Troubles(path))) == said
    assert is_dump(path)


def test_bad_lines_are_counted_and_lose_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.ble"
    path.write_text("# a comment\nnonsense\n(1.0) ff01 < DD0\n(1.0) ff01 < DD03\n(99999999999999.0) ff01 < DD\n")
    troubles = Troubles(path)
    assert [said.data for said in read(path, troubles)] == [b"\xdd\x03"]
    assert troubles.count == 3


@pytest.mark.parametrize("text", ["", "nonsense\n", None])
def test_a_file_without_anything_is_one_line(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "a.ble"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match="there is no such file" if text is None else "can be read from it"):
        replayed(path, "jbd/smart_bms")


def test_a_dump_of_another_tool_needs_no_questions(tmp_path: Path) -> None:
    source = (RECORDINGS / "jbd_smart_bms" / "notifications.ble").read_text().splitlines(keepends=True)
    path = tmp_path / "a.ble"
    path.write_text("".join(line for line in source if " > " not in line))
    samples, _ = replayed(path, "jbd/smart_bms")
    whole, _ = replayed(RECORDINGS / "jbd_smart_bms" / "notifications.ble", "jbd/smart_bms")
    assert [s.values for s in samples] == [s.values for s in whole]
