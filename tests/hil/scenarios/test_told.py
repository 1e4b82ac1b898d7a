"""Every sealed value is held against what the BMS has said at about its time."""

import time
from pathlib import Path

import pytest
from tests.hil.scenarios import logs

from packseal.core import columns
from packseal.core.bodies import Telemetry
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Sample
from packseal.keys import file as key_file
from packseal_hil.scenario import judge, told
from packseal_hil.scenario.evidence import Evidence
from packseal_hil.scenario.schema import Expect, Tolerance
from packseal_hil.scenario.told import Told

VOLTS, AMPERES = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
EXPECT = Expect(value={"pack_voltage_v": Tolerance(absolute=0.05)})


def evidence(tmp_path: Path, volts: list[float], late_s: float = 0.0) -> Evidence:
    """A log with one window of these voltages, one each second from now on."""
    now_ns = time.time_ns() + round(late_s * 1e9)
    samples = [
        Sample(Instant(n * 10**9, now_ns + n * 10**9, ClockQuality.NTP), {VOLTS: v, AMPERES: 1.0})
        for n, v in enumerate(volts)
    ]
    span_ms = 1000 * (len(volts) - 1)
    window = Telemetry(0, now_ns // 10**6, len(volts), span_ms, columns.pack(samples))
    found = logs.evidence(key_file.create(tmp_path / "gateway.key"), (*logs.GOOD[:-1], window, logs.GOOD[-1]))
    found.told = Told(["pack_voltage_v"])
    found.told.take({VOLTS: 51.0, AMPERES: 2.0})
    found.told.take({VOLTS: 52.0})
    return found


def verdict(found: Evidence) -> tuple[bool, str]:
    (one,) = [v for v in judge.verdicts(EXPECT, found) if v.title == "every sealed pack_voltage_v was said by the BMS"]
    return one.held, one.found


@pytest.mark.parametrize("volts", [[51.0, 52.04], [50.96, 51.5]])
def test_what_was_said_may_be_sealed(tmp_path: Path, volts: list[float]) -> None:
    assert verdict(evidence(tmp_path, volts)) == (True, "2 values, 0 of them wrong")


@pytest.mark.parametrize("wrong", [50.9, 52.1, 0.0])
def test_a_value_that_nobody_said_is_told(tmp_path: Path, wrong: float) -> None:
    held, found = verdict(evidence(tmp_path, [51.5, wrong]))
    assert not held
    assert found == f"2 values, 1 of them wrong, the first one {wrong:g} of place 0 where the BMS said 51 to 52"


def test_a_value_of_another_time_is_told(tmp_path: Path) -> None:
    held, found = verdict(evidence(tmp_path, [51.5], late_s=told.WINDOW_S + 2))
    assert not held
    assert "where the BMS said nothing" in found


def test_no_value_at_all_is_no_success(tmp_path: Path) -> None:
    found = evidence(tmp_path, [51.5])
    lacking = [v.title for v in judge.verdicts(Expect(value={"cycles": Tolerance()}), found) if not v.held]
    assert "every sealed cycles was said by the BMS" in lacking
    found.told = None
    assert not verdict(found)[0]
