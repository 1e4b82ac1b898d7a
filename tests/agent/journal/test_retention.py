"""Retention on a real journal: each step leaves a log that verifies, and names every loss."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import packseal
from packseal.core import columns, cose, exchange
from packseal.core.bodies import Event, GapCause, Kind, Telemetry
from packseal.core.chain import Head, Pen, verify_log
from packseal.core.holes import covers
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import parse
from packseal.core.sample import ClockQuality, EventCode, Instant, Sample
from packseal.core.summary import Summary
from packseal.journal.retention import NEVER_MS, SCAN_RECORDS, THIN_RECORDS, Step, Urgency, find, forget, step
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner, create

BATTERY, LOG = "urn:example:battery:1", b"L" * 16
CURRENT = Channel(Quantity.PACK_CURRENT_A)
MINUTES = 180
LATE_MS = 1 << 40
WALL_MS = 1_000_000_020_000
ROUNDS = 5


def instant(second: int) -> Instant:
    return Instant(second * 10**9, (WALL_MS + second * 1000) * 10**6, ClockQuality.NTP)


@pytest.fixture
def journal(path: Path, pen: Pen) -> Iterator[Journal]:
    """Windows of a minute, each followed by a snapshot."""
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        for minute in range(MINUTES):
            samples = [Sample(instant(60 * minute + s), {CURRENT: float(60 * minute + s)}) for s in range(60)]
            window = Telemetry(60_000 * minute, WALL_MS + 60_000 * minute, 60, 59_000, columns.pack(samples))
            end = samples[-1].at
            journal.append(LOG, [pen.write(window, end), pen.write(Snapshot(()), end)])
        yield journal


def take(journal: Journal, pen: Pen, found: Step) -> None:
    at = instant(60 * MINUTES)
    journal.append(LOG, [pen.write(body, at) for body in found.bodies], None, found.removed)


def exhaust(journal: Journal, pen: Pen, how: Urgency, before_ms: int = LATE_MS, most: int = MINUTES) -> int:
    """Take every step there is; return how many."""
    start = 0
    for count in range(most):
        found = find(journal, LOG, how, before_ms, start)
        if not found.entries:
            assert not found.more
            return count
        take(journal, pen, step(found, how))
        start = found.following
    return most


def check(journal: Journal, signer: FileSigner, head: Head | None = None) -> None:
    """The log verifies, and every number that is missing is accounted for and counted."""
    records = list(journal.records(LOG))
    assert verify_log((r.raw for r in records), lambda _: signer.public, head) == journal.head(LOG)
    left = {r.sequence for r in records}
    missing = [n for n in range(records[0].sequence, records[-1].sequence) if n not in left]
    assert all(covers(journal.holes(LOG), n, n) for n in missing)
    (stats,) = journal.stats()
    assert stats.records == len(records)
    assert stats.bytes == journal.size() == sum(len(r.raw) for r in records)
    if head is not None:
        assert sum(named.records for named in stats.removed) == journal.head(LOG).next_sequence - len(records)


def samples_in(journal: Journal) -> int:
    bodies = [parse(r.raw).body for r in journal.records(LOG)]
    return sum(b.count if isinstance(b, Telemetry) else b.samples for b in bodies if isinstance(b, Telemetry | Summary))


def receipt(journal: Journal, signer: FileSigner, sequence: int) -> None:
    found = journal.record(LOG, sequence)
    assert found is not None
    raw = exchange.write_receipt(cose.Envelope(signer, "urn:sink", BATTERY), (LOG, sequence, found.hash), 5)
    journal.acknowledge(exchange.verify_receipt(raw, signer.public))


def test_thinned_it_verifies_end_to_end_and_accounts_for_every_sample(
    journal: Journal, pen: Pen, signer: FileSigner
) -> None:
    before = journal.size()
    assert exhaust(journal, pen, Urgency.THIN_10) == MINUTES // THIN_RECORDS
    check(journal, signer, Head())
    assert samples_in(journal) == 60 * MINUTES
    periods = {b.period_ms for r in journal.records(LOG) if isinstance(b := parse(r.raw).body, Summary)}
    assert periods == {10_000}
    assert sum(r.kind is Kind.SNAPSHOT for r in journal.records(LOG)) == MINUTES
    assert journal.size() < 0.8 * before


def test_summaries_of_10_s_become_one_of_60_s(journal: Journal, pen: Pen, signer: FileSigner) -> None:
    for minute in range(60):
        found = find(journal, LOG, Urgency.THIN_10, LATE_MS, 2 * minute)
        one = type(found)(found.entries[:1], 2 * minute + 1)
        take(journal, pen, step(one, Urgency.THIN_10))
    start = 2 * MINUTES
    found = find(journal, LOG, Urgency.THIN_60, LATE_MS, start)
    assert [e.kind for e in found.entries] == [Kind.SUMMARY] * 60
    take(journal, pen, step(found, Urgency.THIN_60))
    check(journal, signer, Head())
    assert samples_in(journal) == 60 * MINUTES


def test_only_what_is_old_enough_is_thinned(journal: Journal, pen: Pen) -> None:
    exhaust(journal, pen, Urgency.THIN_10, WALL_MS + 90 * 60_000)
    telemetry = [r for r in journal.records(LOG) if r.kind is Kind.TELEMETRY]
    assert len(telemetry) == MINUTES - 60, "the other half hour waits until it makes a whole summary"
    assert telemetry[0].wall_ms >= WALL_MS + 60 * 60_000


def test_dropping_telemetry_leaves_snapshots_and_dropping_all_leaves_what_says_so(
    journal: Journal, pen: Pen, signer: FileSigner
) -> None:
    exhaust(journal, pen, Urgency.THIN_10, most=1)
    exhaust(journal, pen, Urgency.DROP_TELEMETRY)
    check(journal, signer, Head())
    kinds = [r.kind for r in journal.records(LOG)]
    assert kinds.count(Kind.SNAPSHOT) == MINUTES
    assert kinds.count(Kind.TELEMETRY) == 0
    exhaust(journal, pen, Urgency.DROP_ALL)
    check(journal, signer, Head())
    assert {n.cause for n in journal.stats()[0].removed} == {GapCause.DROPPED}
    assert next(journal.records(LOG)).sequence >= 2 * MINUTES


def test_what_is_receipted_is_forgotten_and_only_that(journal: Journal, pen: Pen, signer: FileSigner) -> None:
    receipt(journal, signer, 99)
    found = forget(journal, LOG, LATE_MS)
    assert found == Step((), [(0, 99)])
    take(journal, pen, found)
    assert forget(journal, LOG, LATE_MS) is None
    assert next(journal.records(LOG)).sequence == 100
    assert journal.holes(LOG) == []
    check(journal, signer)


def test_what_is_receipted_and_young_stays_for_the_workshop(journal: Journal, signer: FileSigner) -> None:
    receipt(journal, signer, 199)
    found = forget(journal, LOG, WALL_MS + 30 * 60_000)
    assert found == Step((), [(0, 59)])


def test_the_newest_record_stays_though_it_is_receipted(journal: Journal, pen: Pen, signer: FileSigner) -> None:
    receipt(journal, signer, 2 * MINUTES - 1)
    found = forget(journal, LOG, LATE_MS)
    assert found is not None
    take(journal, pen, found)
    assert [r.sequence for r in journal.records(LOG)] == [2 * MINUTES - 1]
    for how in (Urgency.THIN_10, Urgency.THIN_60, Urgency.DROP_TELEMETRY, Urgency.DROP_ALL):
        assert not find(journal, LOG, how, LATE_MS).entries


@pytest.fixture
def unset(path: Path, pen: Pen) -> Iterator[Journal]:
    """An hour and a half of windows: 70 minutes of a clock that nobody has set, then of one that is right."""
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        for minute in range(90):
            wall_ms = 60_000 * minute + (WALL_MS if minute >= 70 else 0)
            at = Instant(60 * minute * 10**9, wall_ms * 10**6, ClockQuality.UNSYNCHRONISED)
            samples = [Sample(at, {CURRENT: 1.0})]
            journal.append(LOG, [pen.write(Telemetry(60_000 * minute, wall_ms, 1, 0, columns.pack(samples)), at)])
        yield journal


@pytest.mark.parametrize("how", [Urgency.THIN_10, Urgency.THIN_60])
def test_what_was_written_before_the_clock_was_set_is_not_thinned_for_its_age(unset: Journal, how: Urgency) -> None:
    assert not find(unset, LOG, how, WALL_MS).entries
    assert len(find(unset, LOG, how, NEVER_MS).entries) == THIN_RECORDS


def test_what_was_delivered_of_it_stays_until_what_follows_is_old(unset: Journal, signer: FileSigner) -> None:
    receipt(unset, signer, 89)
    assert forget(unset, LOG, WALL_MS) is None
    assert forget(unset, LOG, WALL_MS + 75 * 60_000) == Step((), [(0, 74)])
    assert forget(unset, LOG, NEVER_MS) == Step((), [(0, 88)])


def test_a_search_is_bounded_and_goes_on_where_it_ended(journal: Journal, pen: Pen) -> None:
    exhaust(journal, pen, Urgency.THIN_10)
    events = [pen.write(Event(EventCode.BUS_SILENT), instant(60 * MINUTES)) for _ in range(SCAN_RECORDS)]
    journal.append(LOG, events)
    first = find(journal, LOG, Urgency.THIN_10, LATE_MS)
    assert (list(first.entries), first.more) == ([], True)
    second = find(journal, LOG, Urgency.THIN_10, LATE_MS, first.following)
    assert (list(second.entries), second.more) == ([], False)
    assert second.following == journal.head(LOG).next_sequence - 1


REMOVER = """
import sys
from pathlib import Path
from packseal.core import columns
from packseal.core.bodies import Telemetry
from packseal.core.chain import Pen
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Instant, Sample
from packseal.journal.retention import Urgency, find, step
from packseal.journal.store import Journal
from packseal.keys.file import load

A, log_id = Channel(Quantity.PACK_CURRENT_A), b"L" * 16
journal = Journal.open(Path(sys.argv[1]))
journal.begin_log("urn:example:battery:1", log_id)
head = journal.head(log_id)
pen = Pen(load(Path(sys.argv[2])), "urn:example:gateway:1", "urn:example:battery:1", log_id, bytes(8), head)
while True:
    for _ in range(30):
        s = pen.head.next_sequence * 60
        at = [Instant((s + i) * 10**9, (10**9 + s + i) * 10**9, ClockQuality.NTP) for i in range(60)]
        samples = [Sample(t, {A: float(t.mono_ns // 10**9 % 100)}) for t in at]
        window = Telemetry(1000 * s, 10**12 + 1000 * s, 60, 59_000, columns.pack(samples))
        journal.append(log_id, [pen.write(window, at[-1]), pen.write(Snapshot(()), at[-1])])
    print("appended", pen.head.next_sequence, flush=True)
    for how in (Urgency.THIN_10, Urgency.DROP_ALL) if journal.stats()[0].records > 400 else (Urgency.THIN_10,):
        found = find(journal, log_id, how, 1 << 62)
        if found.entries:
            done = step(found, how)
            records = [pen.write(body, at[-1]) for body in done.bodies]
            print("removing", len(done.removed), flush=True)
            journal.append(log_id, records, None, done.removed)
"""


def test_kill_9_within_a_removal_leaves_a_whole_chain_in_which_every_loss_is_named(tmp_path: Path) -> None:
    key_path, path = tmp_path / "gateway.pem", tmp_path / "journal.db"
    signer = create(key_path)
    for seed in range(ROUNDS):
        acknowledged = _remove_until_killed(path, key_path, random.Random(seed))
        with Journal.open(path) as journal:
            check(journal, signer, Head())
            assert journal.head(LOG).next_sequence >= acknowledged
    with Journal.open_to_read(path) as journal:
        assert journal.stats()[0].removed


def _remove_until_killed(path: Path, key_path: Path, rng: random.Random) -> int:
    environment = {**os.environ, "PYTHONPATH": str(Path(packseal.__path__[0]).parent)}
    command = [sys.executable, "-c", REMOVER, str(path), str(key_path)]
    told, removals = [], rng.randint(1, 3)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout is not None
        while removals:
            told.append(child.stdout.readline())
            removals -= told[-1].startswith("removing")
            assert told[-1], "the child has ended by itself"
        try:
            child.wait(rng.uniform(0, 0.004))  # within the removal that it has just begun
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        told += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    numbers = [int(line.split()[1]) for line in told if line.startswith("appended") and line.endswith("\n")]
    return max(numbers, default=0)
