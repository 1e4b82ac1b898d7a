"""Removing records: only with a gap record or a receipt, and what a reader then finds."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from packseal.core import columns, cose, exchange
from packseal.core.bodies import Body, Event, Gap, GapCause, Kind, Telemetry
from packseal.core.chain import Pen, SealedRecord, verify_log
from packseal.core.errors import StorageError, VerifyError
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Instant, Sample
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner

BATTERY, LOG = "urn:example:battery:1", b"L" * 16
CURRENT = Channel(Quantity.PACK_CURRENT_A)


def window(start_s: int, count: int = 10) -> Telemetry:
    samples = [
        Sample(Instant((start_s + i) * 10**9, 0, ClockQuality.NTP), {CURRENT: start_s + i}) for i in range(count)
    ]
    return Telemetry(start_s * 1000, 1_000_000 + start_s * 1000, count, (count - 1) * 1000, columns.pack(samples))


def seal(pen: Pen, *bodies: Body) -> list[SealedRecord]:
    number = pen.head.next_sequence
    at = Instant(number * 10**9, (1000 + number) * 10**9, ClockQuality.NTP)
    return [pen.write(body, at) for body in bodies]


def minutes(pen: Pen, count: int) -> list[SealedRecord]:
    """Telemetry with an even number, a snapshot with the odd one after it."""
    return [r for n in range(count) for r in seal(pen, window(60 * n), Snapshot(()))]


def gap(first: int, last: int, records: int, cause: GapCause = GapCause.THINNED) -> Gap:
    return Gap(cause, 0, 0, {"first": first, "last": last, "records": records})


def receipt_of(signer: FileSigner, sequence: int, digest: bytes) -> exchange.Receipt:
    raw = exchange.write_receipt(cose.Envelope(signer, "urn:sink", BATTERY), (LOG, sequence, digest), 5)
    return exchange.verify_receipt(raw, signer.public)


def numbers(entries: Sequence[tuple[int, bytes]]) -> list[int]:
    return [number for number, _ in entries]


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        yield journal


def test_what_a_gap_names_goes_with_it_and_the_log_still_verifies(
    journal: Journal, pen: Pen, signer: FileSigner, path: Path
) -> None:
    records = minutes(pen, 5)
    journal.append(LOG, records, b"state")
    journal.append(LOG, seal(pen, gap(0, 4, 3)), None, [(0, 0), (2, 2), (4, 4)])
    journal.close()
    with Journal.open(path) as again:
        left = [r.sequence for r in again.records(LOG)]
        assert left == [1, 3, 5, 6, 7, 8, 9, 10]
        assert again.holes(LOG) == [(0, 4)]
        assert verify_log((r.raw for r in again.records(LOG)), lambda _: signer.public) == again.head(LOG)
        assert again.state(LOG) == b"state"
        (stats,) = again.stats()
        assert (stats.records, stats.first) == (len(left), 1)
        assert stats.bytes == sum(len(r.raw) for r in again.records(LOG))
        assert [(n.cause, n.gaps, n.records) for n in stats.removed] == [(GapCause.THINNED, 1, 3)]


@pytest.mark.parametrize(
    ("removed", "why"),
    [
        ([(1, 1)], "nobody would know"),
        ([(4, 8)], "nobody would know"),
        ([(10, 10)], "the newest is 10"),
        ([(6, 5)], "cannot be removed"),
    ],
)
def test_what_nothing_names_stays_and_nothing_is_stored(
    journal: Journal, pen: Pen, removed: list[tuple[int, int]], why: str
) -> None:
    journal.append(LOG, minutes(pen, 5))
    with pytest.raises(StorageError, match=why):
        journal.append(LOG, seal(pen, gap(4, 6, 1)), None, removed)
    assert [r.sequence for r in journal.records(LOG)] == list(range(10))
    assert journal.holes(LOG) == []


def test_a_gap_record_goes_only_when_another_names_what_it_named(journal: Journal, pen: Pen) -> None:
    journal.append(LOG, minutes(pen, 3))
    journal.append(LOG, seal(pen, gap(0, 0, 1)), None, [(0, 0)])
    journal.append(LOG, seal(pen, Event(EventCode.BUS_SILENT)))
    with pytest.raises(StorageError, match="records 0 to 0 cannot be removed"):
        journal.append(LOG, seal(pen, gap(1, 6, 6, GapCause.DROPPED)), None, [(1, 6)])
    pen.head = journal.head(LOG)
    journal.append(LOG, seal(pen, gap(0, 6, 7, GapCause.DROPPED)), None, [(1, 6)])
    assert [r.sequence for r in journal.records(LOG)] == [7, 8]
    assert journal.holes(LOG) == [(0, 6)]
    assert [(n.cause, n.records) for n in journal.stats()[0].removed] == [(GapCause.DROPPED, 7)]


def test_what_is_receipted_is_forgotten_from_the_beginning_only(journal: Journal, pen: Pen, signer: FileSigner) -> None:
    records = minutes(pen, 5)
    journal.append(LOG, records)
    journal.acknowledge(receipt_of(signer, 5, records[5].hash))
    for removed in ([(1, 3)], [(0, 6)]):
        with pytest.raises(StorageError, match="nobody would know"):
            journal.append(LOG, (), None, removed)
    journal.append(LOG, (), None, [(0, 3)])
    assert [r.sequence for r in journal.records(LOG)] == [4, 5, 6, 7, 8, 9]
    assert (journal.holes(LOG), journal.stats()[0].records) == ([], 6)
    assert verify_log((r.raw for r in journal.records(LOG)), lambda _: signer.public) == journal.head(LOG)
    journal.append(LOG, (), None, [(4, 5)])
    assert [number for number, _ in journal.receipts(LOG)] == [5]


def test_a_receipt_for_a_removed_record_is_judged_by_the_record_after_it(
    journal: Journal, pen: Pen, signer: FileSigner
) -> None:
    records = minutes(pen, 4)
    journal.append(LOG, records)
    journal.append(LOG, seal(pen, gap(0, 4, 4)), None, [(0, 0), (2, 4)])
    with pytest.raises(VerifyError, match="does not hold"):
        journal.acknowledge(receipt_of(signer, 4, bytes(32)))
    journal.acknowledge(receipt_of(signer, 3, records[3].hash))
    assert journal.delivered(LOG) == 0, "3 and 4 are gone: nobody can tell"
    journal.acknowledge(receipt_of(signer, 4, records[4].hash))
    assert journal.delivered(LOG) == 5


def test_urgent_records_come_without_telemetry_and_within_limits(journal: Journal, pen: Pen) -> None:
    records = minutes(pen, 5)
    journal.append(LOG, records)
    size = len(records[1].raw)
    assert numbers(journal.entries(LOG, 0, 99, 99, 1 << 20)) == list(range(10))
    assert numbers(journal.entries(LOG, 2, 8, 99, 1 << 20, urgent=True)) == [3, 5, 7]
    assert numbers(journal.entries(LOG, 2, 8, 2, 1 << 20, urgent=True, newest_first=True)) == [5, 7]
    assert numbers(journal.entries(LOG, 0, 9, 99, 2 * size + 9, urgent=True)) == [1, 3]
    assert numbers(journal.entries(LOG, 0, 9, 99, 1)) == [0]
    assert numbers(journal.entries(LOG, 0, 9, 99, 1, newest_first=True)) == [8]
    assert journal.entries(LOG, 5, 5, 9, 9) == journal.entries(LOG, 10, 12, 9, 9) == []
    assert journal.entries(LOG, 3, 4, 9, 1 << 20) == [(3, records[3].raw)]
    assert journal.newest_snapshot(LOG) == (9, records[9].raw)


def test_neighbouring_logs_are_not_read_into(journal: Journal, pen: Pen) -> None:
    other = b"M" * 16
    journal.append(LOG, minutes(pen, 2))
    journal.begin_log("urn:example:battery:2", other)
    assert journal.entries(other, 0, 99, 99, 1 << 20, urgent=True) == []
    assert (journal.newest_snapshot(other), journal.holes(other)) == (None, [])
    assert numbers(journal.entries(LOG, 0, 1 << 41, 99, 1 << 20)) == [0, 1, 2, 3]


def test_urgent_reads_and_the_newest_snapshot_use_the_index(journal: Journal) -> None:
    for kind in ("", f"AND kind = {int(Kind.SNAPSHOT)}"):
        query = (
            "EXPLAIN QUERY PLAN SELECT id, raw FROM record INDEXED BY urgent "
            f"WHERE id >= 0 AND id < 9 AND kind NOT IN (2, 7) {kind} ORDER BY id DESC"
        )
        plan = [row[3] for row in journal._connection.execute(query)]
        assert len(plan) == 1
        assert plan[0].startswith("SEARCH record USING INDEX urgent (id>? AND id<?)")


def test_a_journal_of_version_1_is_read_as_it_is_and_brought_up_to_date_to_write(
    journal: Journal, pen: Pen, path: Path
) -> None:
    journal.append(LOG, minutes(pen, 3))
    journal.close()
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            "DROP INDEX urgent; DROP TABLE hole; ALTER TABLE log DROP COLUMN records;"
            "ALTER TABLE log DROP COLUMN begins; PRAGMA user_version = 1"
        )
    with Journal.open_to_read(path) as reader:
        assert (reader.holes(LOG), reader.stats()[0].records) == ([], 6)
        assert numbers(reader.entries(LOG, 0, 9, 9, 1 << 20, urgent=True)) == [1, 3, 5]
        assert (reader.newest_snapshot(LOG) or (0,))[0] == 5
    with Journal.open(path) as again:
        assert again.stats()[0].records == 6
        again.append(LOG, seal(pen, gap(0, 0, 1)), None, [(0, 0)])
        assert again.holes(LOG) == [(0, 0)]
        assert numbers(again.entries(LOG, 0, 9, 9, 1 << 20, urgent=True)) == [1, 3, 5, 6]
    with Journal.open_to_read(path) as reader:
        assert (reader.holes(LOG), reader.stats()[0].records) == ([(0, 0)], 6)
