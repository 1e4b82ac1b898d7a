"""A recorder in trouble: disks that fail, memory that runs out, clocks that step, power that may fail."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest
from tests.agent.runtime.played import bodies, charged_ah, play
from tests.agent.runtime.scripted import Bench, sample

from packseal.core.bodies import Gap, GapCause, Lifecycle, LifecycleCode, Telemetry
from packseal.core.passport import Field, Snapshot
from packseal.runtime import writer as writing
from packseal.runtime.recorder import QUEUE_BATCHES

pytestmark = pytest.mark.timeout(60)
YEAR_S = 365 * 86400


def break_disk(bench: Bench, *, broken: bool) -> Awaitable[object]:
    # What SQLite says on a disk that was remounted read-only after an error.
    pragma = f"PRAGMA query_only = {'ON' if broken else 'OFF'}"
    return bench.desk.run(lambda: bench.desk.journal._connection.execute(pragma))


def test_while_the_disk_fails_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def drive(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100)))
        await bench.settle()
        await break_disk(bench, broken=True)
        bench.driver.say(*(sample(t) for t in range(100, 400)))
        await bench.settle()
        assert "cannot be written" in bench.recorder.writer.status.last_error
        assert bench.recorder.writer.status.pending > 0
        await break_disk(bench, broken=False)
        bench.driver.say(*(sample(t) for t in range(400, 500)))
        await bench.settle()
        await bench.stop()
        assert bench.recorder.writer.status.last_error == ""

    records = play(tmp_path, drive)
    assert bodies(records, Gap) == []
    assert sum(t.count for t in bodies(records, Telemetry)) == 500
    assert charged_ah(records) == pytest.approx(499 * 10 / 3600, abs=1e-3)
    assert [r.getMessage() for r in caplog.records if "kept in memory" in r.getMessage()][1:] == []


def test_when_memory_runs_out_too_a_gap_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_PENDING_BYTES", 4000)

    async def drive(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100)))
        await bench.settle()
        await break_disk(bench, broken=True)
        for t in range(100, 1000):
            bench.driver.say(sample(t))
        await bench.settle()
        assert bench.recorder.status.lost_samples > 0
        await break_disk(bench, broken=False)
        await asyncio.sleep(1.1)
        bench.driver.say(*(sample(t) for t in range(1000, 1100)))
        await bench.settle()
        await bench.stop()

    records = play(tmp_path, drive)
    (gap,) = bodies(records, Gap)
    stored = sum(t.count for t in bodies(records, Telemetry))
    assert gap.cause is GapCause.NOT_STORED
    assert gap.attributes["samples"] == 1100 - stored
    assert gap.to_wall_ms - gap.from_wall_ms == (gap.attributes["samples"] + 1) * 1000
    assert charged_ah(records) == pytest.approx((stored - 2) * 10 / 3600, abs=1e-3)


@pytest.mark.parametrize("year", [-1, 1])
def test_a_wall_clock_that_steps_by_a_year_changes_no_counter(tmp_path: Path, year: int) -> None:
    async def drive(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100)))
        bench.driver.say(*(sample(t, wall_shift_s=year * YEAR_S) for t in range(100, 200)))
        await bench.settle()
        await bench.stop()

    records = play(tmp_path, drive)
    steps = [e for e in bodies(records, Lifecycle) if e.code is LifecycleCode.CLOCK_STEPPED]
    assert [e.attributes["step_ms"] for e in steps] == [year * YEAR_S * 1000]
    assert bodies(records, Gap) == []
    assert charged_ah(records) == pytest.approx(199 * 10 / 3600, abs=1e-3)
    assert [r.header.sequence for r in records] == list(range(len(records)))
    last = next(r for r in bodies(records, Snapshot)[-1].readings if r.field is Field.CAPACITY_CHARGED)
    assert last.coverage == 1


def test_what_found_no_room_before_a_stop_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MAX_PENDING_BYTES", 2000)

    async def drive(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(500)))
        await bench.settle()
        await bench.stop()

    records = play(tmp_path, drive)
    (gap,) = bodies(records, Gap)
    stored = sum(t.count for t in bodies(records, Telemetry))
    assert stored < 500
    assert (gap.cause, gap.attributes["samples"]) == (GapCause.NOT_STORED, 500 - stored)


def test_a_damaged_meter_state_goes_on_from_the_last_snapshot_and_says_so(tmp_path: Path) -> None:
    async def first(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(100)))
        await bench.settle()
        await bench.stop()
        await bench.desk.run(lambda: bench.desk.journal._connection.execute("UPDATE log SET state = x'00'"))

    async def second(bench: Bench) -> None:
        bench.driver.say(*(sample(t) for t in range(200, 300)))
        await bench.settle()
        await bench.stop()

    records = play(tmp_path, first, second)
    found = [e for e in bodies(records, Lifecycle) if e.code is LifecycleCode.METER_RECOVERED]
    assert len(found) == 1
    assert "damaged" in found[0].attributes["reason"]
    assert charged_ah(records) == pytest.approx(2 * 99 * 10 / 3600, abs=2e-3)


def test_when_the_power_may_fail_all_that_was_read_is_sealed_at_once(tmp_path: Path) -> None:
    async def drive(bench: Bench) -> None:
        for t in range(10):
            bench.driver.say(sample(t))
        await bench.settle()
        for t in range(10, 12):
            bench.driver.say(sample(t))
        await asyncio.sleep(0)
        bench.recorder.hurry()
        await bench.settle()
        assert bench.recorder.open_samples == 0
        bench.recorder.hurry()  # with an empty window there is nothing to seal
        bench.driver.say(sample(12))
        await bench.settle()
        # Not stopped: what follows is as after a power cut.

    records = play(tmp_path, drive)
    windows = bodies(records, Telemetry)
    assert sum(window.count for window in windows) == 12
    assert len(windows) <= 3


def test_a_full_queue_is_taken_before_the_window_is_sealed_for_the_power(tmp_path: Path) -> None:
    async def drive(bench: Bench) -> None:
        bench.driver.say(sample(0))
        await bench.settle()
        while not bench.recorder._queue.full():
            bench.recorder._queue.put_nowait((sample(1 + bench.recorder._queue.qsize()),))
        bench.recorder.hurry()
        await bench.settle()
        assert bench.recorder.open_samples == 0

    records = play(tmp_path, drive)
    assert [window.count for window in bodies(records, Telemetry)] == [1 + QUEUE_BATCHES]
