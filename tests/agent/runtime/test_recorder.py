"""What a recorder leaves in a real journal: whole windows, gaps by name, nothing counted twice."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.agent.runtime.scripted import KEY, WALL_NS, Bench, recording, sample

from packseal.core.bodies import Gap, GapCause, Lifecycle, LifecycleCode, Telemetry
from packseal.core.chain import verify_log
from packseal.core.passport import Field, Snapshot
from packseal.core.record import Record, parse
from packseal.core.sample import EventCode, Notice
from packseal.journal.store import Journal
from packseal.runtime import writer as writing
from packseal.runtime.recorder import QUEUE_BATCHES

pytestmark = pytest.mark.timeout(60)
YEAR_S = 365 * 86400
Scenario = Callable[[Bench], Awaitable[None]]


def play(directory: Path, *scenarios: Scenario) -> list[Record]:
    """Run each scenario as one run of the agent; return the verified log."""

    async def run() -> None:
        for scenario in scenarios:
            async with asyncio.timeout(30), recording(directory) as bench:
                await scenario(bench)

    asyncio.run(run())
    with Journal.open_to_read(directory / "journal.db") as journal:
        (log,) = journal.logs()
        raws = [entry.raw for entry in journal.records(log.log_id)]
        assert verify_log(raws, lambda _: KEY.public) == journal.head(log.log_id)
    return [parse(raw) for raw in raws]


def bodies(records: list[Record], kind: type) -> list:  # type: ignore[type-arg]
    return [record.body for record in records if isinstance(record.body, kind)]


def charged_ah(records: list[Record]) -> float:
    last = bodies(records, Snapshot)[-1]
    reading = next(r for r in last.readings if r.field is Field.CAPACITY_CHARGED)
    return float(reading.value)


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
