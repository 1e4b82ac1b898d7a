"""A recording as a battery's link: its own clock, its pace, its end, and what it says of a file that is none."""

import asyncio
import time
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.drivers.clocks import HandClock

from packseal.core.errors import ConfigError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Notice, Sample
from packseal.core.toml_error import decode_toml
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Recording

RECORDINGS = Path(__file__).parents[1] / "recordings"
A = Channel(Quantity.PACK_CURRENT_A)
BEGUN_NS = 1_700_000_000 * 10**9


def driver_of(settings: Recording, name: str = "rec/bms", directory: Path = RECORDINGS / "rec_bms") -> Driver:
    return open_driver(settings, profile.load(name), directory=directory, cache=None, clock=HandClock(), period_s=0)


def everything(driver: Driver) -> list[Sample | Notice]:
    async def run() -> list[Sample | Notice]:
        async with asyncio.timeout(30), aclosing(driver.batches()) as batches:
            return [item async for batch in batches for item in batch]

    return asyncio.run(run())


def test_a_recording_is_played_to_its_end_with_its_own_clocks() -> None:
    driver = driver_of(Recording("frames.log"))
    samples = [item for item in everything(driver) if isinstance(item, Sample)]
    assert [s.values[A] for s in samples if A in s.values] == pytest.approx([-10.0, 12.3])
    assert [s.at.wall_ns - s.at.mono_ns for s in samples] == [BEGUN_NS] * len(samples)
    assert samples[0].at.quality is ClockQuality.UNSYNCHRONISED
    assert driver.counts.frames == 12
    assert driver.clock.now().mono_ns == 3_200_000_000


def test_without_a_date_the_present_is_the_wall_clock(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("(3.0) can0 356#320A9CFF2701\n(4.0) can0 356#320A9CFF2701\n")
    before_ns = time.time_ns()
    first, second = (s for s in everything(driver_of(Recording("a.log"), directory=tmp_path)) if isinstance(s, Sample))
    assert before_ns <= first.at.wall_ns <= time.time_ns()
    assert (first.at.mono_ns, second.at.mono_ns - first.at.mono_ns) == (0, 10**9)
    assert second.at.wall_ns - first.at.wall_ns == 10**9


@pytest.mark.parametrize(("speed", "least_s", "most_s"), [(8.0, 0.35, 3.0), ("max", 0.0, 3.0)])
def test_it_is_played_at_the_speed_that_is_set(speed: float, least_s: float, most_s: float) -> None:
    driver = driver_of(Recording("frames.log", speed=speed))
    began_s = time.monotonic()
    fast = everything(driver)
    took_s = time.monotonic() - began_s
    assert least_s <= took_s <= most_s  # 3.2 s were recorded
    assert fast == everything(driver_of(Recording("frames.log")))


def test_answers_to_a_scan_tool_are_found_in_a_recording(tmp_path: Path) -> None:
    # OBD (SAE J1979) 01 5B, the charge of a hybrid's battery: 0x99 of 255 is 60 %
    (tmp_path / "a.log").write_text(
        "(1.0) can0 7DF#02015B0000000000\n(1.1) can0 7E8#03415B9900000000\n(1.2) can0 20000004#0004000000000000\n"
    )
    driver = driver_of(Recording("a.log"), "generic/obd2", tmp_path)
    (sample,) = (item for item in everything(driver) if isinstance(item, Sample))
    assert sample.values == {Channel(Quantity.STATE_OF_CHARGE_PCT): pytest.approx(60)}
    assert driver.counts.error_frames == 1


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no such file"), ("hello\n", "no CAN frame"), ("x\n" * 500, "first 100 lines")]
)
def test_a_file_that_is_no_recording_is_a_wrong_configuration(content: str | None, words: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.log").write_text(content)
    with pytest.raises(ConfigError, match=words):
        driver_of(Recording("a.log"), directory=tmp_path)


@pytest.mark.parametrize("speed", ["0", "-1", "inf", "nan", '"fast"'])
def test_a_speed_that_is_none_is_refused(speed: str) -> None:
    with pytest.raises(ConfigError, match="speed"):
        decode_toml(f'kind = "recording"\npath = "a.log"\nspeed = {speed}\n'.encode(), Recording, "a.toml")


def test_what_was_bad_is_logged_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.log").write_text("(3.0) can0 356#320A9CFF2701\nhm\n(4.0) can0 356#320A9CFF2701\n")
    assert len(everything(driver_of(Recording("a.log"), directory=tmp_path))) == 2
    assert "line 2: " in caplog.text
