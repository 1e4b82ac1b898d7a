"""What a recorder leaves in a real journal: whole windows, gaps by name, nothing counted twice."""

import asyncio
from pathlib import Path

import pytest
from tests.agent.runtime.played import bodies, charged_ah, play
from tests.agent.runtime.scripted import WALL_NS, Bench, sample

from packseal.core.bodies import Gap, GapCause, Lifecycle, LifecycleCode, Telemetry
from packseal.core.passport import Snapshot
from packseal.core.sample import EventCode, Notice
from packseal.runtime.recorder import QUEUE_BATCHES

pytestmark = pytest.mark.timeout(60)


def test_windows_are_sealed_and_a_stop_seals_the_rest(tmp_path: Path) -> None:
    async def drive(bench: Bench) -> None:
        for t in range(150):
            bench.driver.say(sample(t))
        await bench.settle()
        await bench.stop()
        assert bench.driver.closed

    records = play(tmp_path, drive)
    assert [t.count for t in bodies(records, Telemetry)] == [60, 60, 30]
    codes = [entry.code for entry in bodies(records, Lifecycle)]
    assert codes == [LifecycleCode.LOG_BEGUN, LifecycleCode.AGENT_STOPPED]
    assert charged_ah(records) == pytest.approx(149 * 10 / 3600, abs=1e-3)


def test_a_source_that_ends_says_so(tmp_path: Path) -> None:
    async def drive(bench: Bench) -> None:
        bench.driver.say(sample(0), sample(1))
        bench.driver.end()
        await asyncio.wait(bench.tasks)
        assert bench.recorder.status.ended

    records = play(tmp_path, drive)
    assert bodies(records, Lifecycle)[-1].code is LifecycleCode.SOURCE_ENDED


def test_a_stop_in_the_moment_in_which_a_source_ends_still_seals_everything(tmp_path: Path) -> None:
    async def drive(bench: Bench) -> None:
        for t in range(QUEUE_BATCHES):
            bench.driver.say(sample(t))
        bench.driver.end()
        await asyncio.sleep(0)
        assert bench.recorder.status.ended, "the end was read while the queue was full"
        await bench.stop()

    records = play(tmp_path, drive)
    assert sum(t.count for t in bodies(records, Telemetry)) == QUEUE_BATCHES
    assert bodies(records, Lifecycle)[-1].code is LifecycleCode.SOURCE_ENDED


def test_a_run_after_a_stop_goes_on_and_names_the_pause(tmp_path: Path) -> None:
    async def first(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100)))
        await bench.settle()
        await bench.stop()

    async def second(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(1000, 1100)))
        await bench.settle()
        await bench.stop()

    records = play(tmp_path, first, second)
    (gap,) = bodies(records, Gap)
    assert gap.cause is GapCause.STOPPED
    assert gap.to_wall_ms - gap.from_wall_ms == (1000 - 99) * 1000
    assert charged_ah(records) == pytest.approx(2 * 99 * 10 / 3600, abs=1e-3)


def test_a_kill_costs_the_open_window_and_a_gap_names_it(tmp_path: Path) -> None:
    async def killed(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100)))
        await bench.settle()

    async def second(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100, 200)))
        await bench.settle()
        await bench.stop()

    records = play(tmp_path, killed, second)
    (gap,) = bodies(records, Gap)
    assert gap.cause is GapCause.UNCLEAN_STOP
    assert gap.to_wall_ms - gap.from_wall_ms == (100 - 59) * 1000
    assert charged_ah(records) == pytest.approx((59 + 99) * 10 / 3600, abs=1e-3)


def test_a_kill_in_the_very_first_window_is_named_too(tmp_path: Path) -> None:
    async def killed(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(30)))
        await bench.settle()

    async def second(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100, 200)))
        await bench.settle()
        await bench.stop()

    records = play(tmp_path, killed, second)
    (gap,) = bodies(records, Gap)
    assert gap.cause is GapCause.UNCLEAN_STOP
    assert (gap.from_wall_ms, gap.to_wall_ms) == (records[0].header.wall_ms, WALL_NS // 10**6 + 100_000)
    assert charged_ah(records) == pytest.approx(99 * 10 / 3600, abs=1e-3)
    snapshot = bodies(records, Snapshot)[-1]
    assert all(reading.coverage in (None, 1) for reading in snapshot.readings), "the counters began after the kill"


def test_a_notice_seals_at_once(tmp_path: Path) -> None:
    async def drive(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(5)))
        bench.driver.say(Notice(EventCode.BUS_SILENT, sample(9).at, {"silent_ms": 5000}))
        await bench.settle()

    records = play(tmp_path, drive)
    assert [r.kind.name for r in records] == ["LIFECYCLE", "TELEMETRY", "SNAPSHOT", "EVENT"]


def test_an_open_window_is_sealed_when_its_time_is_over_though_the_bus_is_silent(tmp_path: Path) -> None:
    async def drive(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(5)))
        await bench.settle()
        bench.driver.clock.at = sample(61).at
        await asyncio.sleep(1.2)

    records = play(tmp_path, drive)
    assert [t.count for t in bodies(records, Telemetry)] == [5]
