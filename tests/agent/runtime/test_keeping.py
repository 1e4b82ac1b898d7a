"""What a recorder's journal holds under [keep]: aged, and at its limits; nothing goes before what must go first."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tests.agent.runtime.scripted import GATEWAY, KEY, WALL_NS, A, Bench, V, recording

from packseal.cli import main, status
from packseal.config_keep import Keep
from packseal.core import columns, cose, exchange
from packseal.core.bodies import Body, Event, Gap, GapCause, Kind, Telemetry
from packseal.core.chain import Head, Pen, verify_log
from packseal.core.passport import Snapshot
from packseal.core.record import Record, parse
from packseal.core.sample import ClockQuality, EventCode, Instant, Sample
from packseal.core.summary import Summary
from packseal.journal.store import Journal
from packseal.runtime import keeping, recorder
from packseal.runtime.desk import Desk
from packseal.runtime.keeping import Keeper
from packseal.runtime.status import kept_json

pytestmark = pytest.mark.timeout(120)
OTHER, OTHERS = b"O" * 16, "urn:example:battery:2"
EVER = 36_500.0
TIGHT_MB = 0.1


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as often as something is read, and told at once."""
    monkeypatch.setattr(recorder, "KEEP_S", 0.0)
    monkeypatch.setattr(keeping, "TOLD_AFTER_S", 0.0)


def noisy(t_s: int) -> Sample:
    """A second whose values fill a column."""
    rng = random.Random(t_s)
    at = Instant(t_s * 10**9, WALL_NS + t_s * 10**9, ClockQuality.NTP)
    return Sample(at, {V: 400 + round(rng.uniform(-9, 9), 2), A: round(rng.uniform(-99, 99), 2)})


async def record_minutes(bench: Bench, minutes: int) -> None:
    for minute in range(minutes):
        bench.driver.say(*(noisy(60 * minute + s) for s in range(60)))
    await bench.settle()


def play(directory: Path, keep: Keep, scenario: Callable[[Bench], Awaitable[None]]) -> list[Record]:
    """Record in one run of the agent; return the log, which verifies from its very first number on."""

    async def run() -> None:
        async with asyncio.timeout(100), recording(directory, keep=keep) as bench:
            await scenario(bench)
            await bench.stop()

    asyncio.run(run())
    with Journal.open_to_read(directory / "journal.db") as journal:
        log = journal.logs()[-1]
        raws = [entry.raw for entry in journal.records(log.log_id)]
        assert verify_log(raws, lambda _: KEY.public, Head()) == journal.head(log.log_id)
    check_by_command(directory, log.log_id)
    return [parse(raw) for raw in raws]


def check_by_command(directory: Path, log_id: bytes) -> None:
    """What an operator runs finds nothing wrong, in the journal and in what is exported of it."""
    key, journal, export = directory / "key.pub", directory / "journal.db", directory / "log.records"
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    key.write_bytes(KEY.public.key.public_bytes(serialization.Encoding.PEM, form))
    where = ["--journal", str(journal)]
    assert main(["journal", "check", *where]) == 0
    assert main(["journal", "verify", *where, "--key", str(key), "--sink-key", str(key)]) == 0
    assert main(["journal", "export", str(export), *where, "--log", log_id.hex()]) == 0
    assert main(["verify", str(export), "--key", str(key)]) == 0


def gaps(records: Sequence[Record]) -> set[GapCause]:
    return {record.body.cause for record in records if isinstance(record.body, Gap)}


@pytest.mark.parametrize(("sixty_s_days", "period_ms"), [(1.0, 10_000), (0.05, 60_000)], ids=["10 s", "60 s"])
def test_old_telemetry_is_thinned_while_recording_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sixty_s_days: float, period_ms: int
) -> None:
    keep = Keep(thin_10s_after_days=0.05, thin_60s_after_days=sixty_s_days, free_disk_mb=0)
    minutes = 200

    async def scenario(bench: Bench) -> None:
        await record_minutes(bench, minutes)
        told = bench.keeper.kept
        assert told is not None
        assert told.thinned.records == 120
        assert told.thinned.from_wall_ms < told.thinned.to_wall_ms < WALL_NS // 10**6 + 120 * 60_000
        assert (told.dropped.records, told.forgotten, told.tight) == (0, 0, "")
        line = status.kept_line(kept_json(told) or {})
        assert line.startswith("kept      0.")
        assert " of 4000 MB since 2026-11-18T" in line
        assert "; 120 thinned, of 2026-11-18T" in line
        assert "dropped" not in line

    records = play(tmp_path, keep, scenario)
    summaries = [r.body for r in records if isinstance(r.body, Summary)]
    windows = [r.body for r in records if isinstance(r.body, Telemetry)]
    assert {s.period_ms for s in summaries} == {period_ms}
    assert [s.samples for s in summaries] == [3600, 3600]
    assert sum(s.samples for s in summaries) + sum(w.count for w in windows) == 60 * minutes
    assert min(w.first_wall_ms for w in windows) == WALL_NS // 10**6 + 120 * 60_000
    assert gaps(records) == {GapCause.THINNED}
    counted = [r.body for r in records if isinstance(r.body, Snapshot)]
    assert len(counted) >= minutes, "every snapshot is there"
    assert "removed   120 records, as the log's own gap records say" in capsys.readouterr().out


def test_at_its_limit_telemetry_goes_first_and_snapshots_after_it(tmp_path: Path) -> None:
    keep = Keep(thin_10s_after_days=EVER, thin_60s_after_days=EVER, journal_mb=TIGHT_MB, free_disk_mb=0)
    seen: list[set[GapCause]] = []

    async def scenario(bench: Bench) -> None:
        await record_minutes(bench, 250)
        assert bench.keeper.kept is not None
        seen.append({GapCause.DROPPED} if bench.keeper.kept.dropped.records else set())

    records = play(tmp_path, keep, scenario)
    assert seen == [{GapCause.DROPPED}]
    held = sum(len(r.raw) for r in records)
    assert held < 1.5 * TIGHT_MB * 1e6
    assert records[-2].kind is Kind.SNAPSHOT, "the newest one, before the stop"
    # Snapshots are left of times of which no telemetry is.
    snapshot = min(r.header.wall_ms for r in records if isinstance(r.body, Snapshot))
    windows = [r.header.wall_ms for r in records if isinstance(r.body, Telemetry)]
    assert not windows or snapshot <= min(windows)


def fill_other(journal: Journal, count: int, delivered: int) -> None:
    """A log that nobody records any more, `delivered` records of it at the sink."""
    journal.begin_log(OTHERS, OTHER)
    pen = Pen(KEY, GATEWAY, OTHERS, OTHER, bytes(8), Head())
    at = Instant(0, WALL_NS, ClockQuality.NTP)
    records = [pen.write(Event(EventCode.BUS_SILENT, {"note": "x" * 1000}), at) for _ in range(count)]
    journal.append(OTHER, records)
    if delivered:
        end = (OTHER, delivered - 1, records[delivered - 1].hash)
        raw = exchange.write_receipt(cose.Envelope(KEY, "urn:sink", OTHERS), end, 5)
        journal.acknowledge(exchange.verify_receipt(raw, KEY.public))


def test_nothing_undelivered_goes_while_something_delivered_can(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        fill_other(journal, 2000, 1900)
        limit = journal.size() * 0.5
    keep = Keep(delivered_days=EVER, thin_10s_after_days=EVER, thin_60s_after_days=EVER, free_disk_mb=0)
    keep = Keep(**{name: getattr(keep, name) for name in keep.__struct_fields__} | {"journal_mb": limit / 1e6})

    async def scenario(bench: Bench) -> None:
        await record_minutes(bench, 100)
        assert bench.keeper.kept is not None
        assert bench.keeper.kept.forgotten > 500

    records = play(tmp_path, keep, scenario)
    assert not gaps(records)
    assert [r.header.sequence for r in records] == list(range(len(records)))
    with Journal.open_to_read(tmp_path / "journal.db") as journal:
        first = next(journal.records(OTHER)).sequence
        assert 0 < first < 1900, "no more than was needed"
        assert journal.size() <= limit
        assert journal.holes(OTHER) == []


def test_delivered_records_are_forgotten_after_their_time_also_of_a_log_that_nobody_writes(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        fill_other(journal, 20, 15)
    keep = Keep(delivered_days=0, thin_10s_after_days=EVER, thin_60s_after_days=EVER, free_disk_mb=0)

    async def scenario(bench: Bench) -> None:
        await record_minutes(bench, 5)

    play(tmp_path, keep, scenario)
    with Journal.open_to_read(tmp_path / "journal.db") as journal:
        assert [r.sequence for r in journal.records(OTHER)] == [15, 16, 17, 18, 19]


def test_nothing_is_dropped_from_one_log_while_another_can_be_thinned(tmp_path: Path) -> None:
    logs = {b"A" * 16: "urn:example:battery:A", b"B" * 16: "urn:example:battery:B"}
    first, second = logs

    async def run() -> list[tuple[bytes, GapCause]]:
        async with Desk(tmp_path / "journal.db") as desk:
            keeper = Keeper(desk, Keep(journal_mb=TIGHT_MB, free_disk_mb=0))
            pens = {}
            for log_id, subject in logs.items():
                desk.journal.begin_log(subject, log_id)
                keeper.share(log_id)
                pens[log_id] = Pen(KEY, GATEWAY, subject, log_id, bytes(8), Head())
            for minute in range(200):
                samples = [noisy(60 * minute + s) for s in range(60)]
                wall_ms = samples[0].at.wall_ns // 10**6
                window = Telemetry(60_000 * minute, wall_ms, 60, 59_000, columns.pack(samples))
                for log_id, pen in pens.items():
                    bodies: list[Body] = [Snapshot(())]
                    if minute < 30 or log_id == second:
                        bodies.insert(0, window)
                    end = samples[-1].at
                    records = [pen.write(body, end) for body in bodies]
                    desk.journal.append(log_id, records)
            taken, order = 0, []
            while taken < 12:
                taken += 1
                for log_id, pen in pens.items():
                    step = await keeper.next(log_id)
                    if step is None:
                        continue
                    order += [(log_id, body.cause) for body in step.bodies if isinstance(body, Gap)]
                    desk.journal.append(log_id, [pen.write(body, end) for body in step.bodies], None, step.removed)
            return order

    order = asyncio.run(run())
    causes = [cause for _, cause in order]
    assert order[:3] == [(second, GapCause.THINNED)] * 3, "30 windows are too few to thin"
    assert (first, GapCause.DROPPED) in order
    assert causes == sorted(causes), "all that can be thinned is, before anything is dropped"


def test_a_full_disk_costs_no_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A disk that others have filled: no real one can be had at will.
    monkeypatch.setattr("packseal.runtime.keeping.room", lambda _: (10**12, 0))
    keep = Keep(thin_10s_after_days=EVER, thin_60s_after_days=EVER, free_disk_mb=10**5)

    async def scenario(bench: Bench) -> None:
        await record_minutes(bench, 150)
        assert bench.keeper.kept is not None
        assert bench.keeper.kept.tight == "free_disk_mb"

    records = play(tmp_path, keep, scenario)
    assert GapCause.DROPPED in gaps(records)
    assert sum(isinstance(r.body, Snapshot) for r in records) >= 150
