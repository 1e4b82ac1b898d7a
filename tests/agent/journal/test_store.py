"""What a journal keeps, in what order, and what it refuses."""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from packseal.core import cose, exchange
from packseal.core.bodies import Event
from packseal.core.chain import Head, Pen, SealedRecord, verify_log
from packseal.core.errors import StorageError, VerifyError
from packseal.core.record import GENESIS
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal, Log, LogKind
from packseal.keys.file import FileSigner

GATEWAY, BATTERY, LOG, OTHER = "urn:example:gateway:1", "urn:example:battery:1", b"L" * 16, b"M" * 16

Writer = Callable[[int], list[SealedRecord]]


def receipt_of(signer: FileSigner, record: SealedRecord, log_id: bytes = LOG) -> exchange.Receipt:
    envelope = cose.Envelope(signer, "urn:example:sink", GATEWAY)
    raw = exchange.write_receipt(envelope, (log_id, record.sequence, record.hash), 5)
    return exchange.verify_receipt(raw, signer.public)


def test_an_empty_log_stands_at_its_beginning(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        assert journal.head(LOG) == Head(0, GENESIS)
        assert (journal.last(LOG), journal.state(LOG), journal.receipt(LOG), journal.delivered(LOG)) == (None,) * 3 + (
            0,
        )
        assert journal.read(LOG, 0, 10, 10) == []


def test_what_is_appended_is_there_after_opening_again(path: Path, write: Writer, signer: FileSigner) -> None:
    records = write(7)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records[:3], b"state 3")
        journal.append(LOG, records[3:], b"state 7")
    with Journal.open(path) as journal:
        assert list(journal.records(LOG)) == records
        assert list(journal.records(LOG, 5)) == records[5:]
        assert journal.record(LOG, 4) == records[4]
        assert (journal.record(LOG, 7), journal.record(LOG, -1), journal.record(LOG, 1 << 41)) == (None, None, None)
        assert journal.last(LOG) == records[-1]
        assert journal.state(LOG) == b"state 7"
        assert verify_log((r.raw for r in journal.records(LOG)), lambda _: signer.public) == journal.head(LOG)


def test_an_append_without_state_leaves_the_state(path: Path, write: Writer) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, write(1), b"kept")
        journal.append(LOG, write(1))
        assert journal.state(LOG) == b"kept"


def test_reading_stops_at_either_limit_but_gives_one_record_at_least(path: Path, write: Writer) -> None:
    sealed = write(10)
    records = [r.raw for r in sealed]
    size = len(records[0])
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, sealed)
        assert journal.read(LOG, 2, 3, 1 << 20) == records[2:5]
        assert journal.read(LOG, 0, 100, sum(map(len, records[:4]))) == records[:4]
        assert journal.read(LOG, 0, 100, size - 1) == records[:1]
        assert journal.read(LOG, 8, 100, 1 << 20) == records[8:]


def test_two_logs_do_not_touch_each_other(path: Path, write: Writer, signer: FileSigner) -> None:
    mine = write(3)
    pen = Pen(signer, GATEWAY, "urn:example:battery:2", OTHER, bytes(8), Head())
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.begin_log(GATEWAY, OTHER, LogKind.GATEWAY)
        journal.append(LOG, mine, b"s")
        assert journal.head(OTHER) == pen.head
        assert journal.logs() == [Log(LOG, BATTERY, LogKind.BATTERY), Log(OTHER, GATEWAY, LogKind.GATEWAY)]
        assert [(s.records, s.delivered) for s in journal.stats()] == [(3, 0), (0, 0)]


def test_beginning_a_log_twice_is_harmless_but_not_for_another_subject(path: Path) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.begin_log(BATTERY, LOG)
        with pytest.raises(StorageError, match="already belongs to urn:example:battery:1"):
            journal.begin_log("urn:example:battery:2", LOG)
        assert len(journal.logs()) == 1


@pytest.mark.parametrize("wrong", ["skipped", "repeated", "broken chain", "other log", "false hash", "false number"])
def test_a_record_that_does_not_follow_is_refused_and_nothing_changes(
    path: Path, write: Writer, signer: FileSigner, wrong: str
) -> None:
    first, second, third = write(3)
    stranger = Pen(signer, GATEWAY, BATTERY, OTHER, bytes(8), Head(1, first.hash))
    forked = Pen(signer, GATEWAY, BATTERY, LOG, bytes(8), Head(1, bytes(32)))
    body, at = Event(EventCode.BUS_SILENT), Instant(0, 0, ClockQuality.NTP)
    bad = {
        "skipped": [third],
        "repeated": [second, second],
        "broken chain": [forked.write(body, at)],
        "other log": [stranger.write(body, at)],
        "false hash": [replace(second, hash=bytes(32))],
        "false number": [replace(second, sequence=5)],
    }[wrong]
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, [first], b"before")
        with pytest.raises(StorageError, match="not stored"):
            journal.append(LOG, bad, b"after")
        assert (journal.head(LOG), journal.state(LOG)) == (Head(1, first.hash), b"before")
        journal.append(LOG, [second, third], b"after")
        assert journal.head(LOG).next_sequence == 3


def test_an_unknown_log_is_named(path: Path) -> None:
    with Journal.open(path) as journal, pytest.raises(StorageError, match=f"no log {LOG.hex()}"):
        journal.head(LOG)


def test_the_newest_receipt_is_kept_and_an_older_one_ignored(path: Path, write: Writer, signer: FileSigner) -> None:
    records = write(5)
    newer, older = receipt_of(signer, records[3]), receipt_of(signer, records[1])
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records)
        journal.acknowledge(newer)
        journal.acknowledge(older)
        assert (journal.delivered(LOG), journal.receipt(LOG)) == (4, newer.raw)
    with Journal.open(path) as journal:
        assert (journal.delivered(LOG), journal.receipt(LOG)) == (4, newer.raw)


def test_receipts_are_kept_so_that_none_is_far_from_a_record(path: Path, write: Writer, signer: FileSigner) -> None:
    records = write(400)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.begin_log("urn:example:neighbour", OTHER)
        journal.append(LOG, records)
        for record in records[9:300:3]:
            journal.acknowledge(receipt_of(signer, record))
        named = [number for number, _ in journal.receipts(LOG)]
        assert named == [9, 75, 141, 207, 273, 297]  # every 64th and the newest, of receipts for each third record
        assert [n for n, _ in journal.receipts(LOG, 142)] == [207, 273, 297]
        assert journal.receipts(LOG, 298) == journal.receipts(OTHER) == []
        assert journal.receipts(LOG, 297) == [(297, journal.receipt(LOG))]
        for number, raw in journal.receipts(LOG):
            assert exchange.verify_receipt(raw, signer.public).hash == records[number].hash


def test_a_journal_of_an_older_program_keeps_receipts_from_then_on(
    path: Path, write: Writer, signer: FileSigner
) -> None:
    records = write(200)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records)
        journal.acknowledge(receipt_of(signer, records[5]))
        journal._connection.execute("DROP TABLE receipt")  # as it was made before there was one
    with Journal.open_to_read(path) as journal:
        assert [number for number, _ in journal.receipts(LOG, 3)] == [5]
    with Journal.open(path) as journal:
        journal.acknowledge(receipt_of(signer, records[100]))
        journal.acknowledge(receipt_of(signer, records[101]))
        assert [number for number, _ in journal.receipts(LOG, 3)] == [100, 101]


def test_a_receipt_for_another_record_changes_nothing(path: Path, write: Writer, signer: FileSigner) -> None:
    records = write(3)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records[:2])
        for receipt in (receipt_of(signer, replace(records[1], hash=bytes(32))), receipt_of(signer, records[2])):
            with pytest.raises(VerifyError, match="does not hold"):
                journal.acknowledge(receipt)
        assert (journal.delivered(LOG), journal.receipt(LOG)) == (0, None)


def test_commits_are_synced_again_after_a_receipt(path: Path, write: Writer, signer: FileSigner) -> None:
    records = write(1)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records)
        journal.acknowledge(receipt_of(signer, records[0]))
        assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_stats_count_records_bytes_and_times(path: Path, write: Writer, signer: FileSigner) -> None:
    records = write(4)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records)
        journal.acknowledge(receipt_of(signer, records[1]))
        (stats,) = journal.stats()
        assert (stats.records, stats.delivered, stats.bytes) == (4, 2, sum(len(r.raw) for r in records))
        assert (stats.oldest_wall_ms, stats.newest_wall_ms) == (1000, 1003)


def test_a_second_writer_is_told_who_has_it_and_a_reader_is_let_in(path: Path, write: Writer) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        with pytest.raises(StorageError, match=f"in use by process {os.getpid()}"):
            Journal.open(path)
        with Journal.open_to_read(path) as reader:
            journal.append(LOG, write(2))
            assert reader.head(LOG).next_sequence == 2
            with pytest.raises(StorageError, match="cannot be written"):
                reader.begin_log(BATTERY, OTHER)
    with Journal.open(path) as again:
        assert again.head(LOG).next_sequence == 2


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one".ljust(4096), None])
def test_a_foreign_file_is_refused_and_left_alone(path: Path, content: bytes | None) -> None:
    if content is None:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE wine (name TEXT)")
        other.close()
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    for opener in (Journal.open, Journal.open_to_read):
        with pytest.raises(StorageError, match="not a packseal journal: move it away"):
            opener(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path: Path) -> None:
    Journal.open(path).close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 9")
    other.close()
    with pytest.raises(StorageError, match="journal version 9"):
        Journal.open(path)


def test_a_damaged_newest_record_is_noticed_at_opening(path: Path, write: Writer) -> None:
    records = write(2)
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, records)
    data = bytearray(path.read_bytes())
    place = data.index(records[1].raw) + 40
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"damaged: record 1 .*packseal journal repair"):
        Journal.open(path)


def test_damaged_pages_are_noticed_at_opening(path: Path, write: Writer) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        for _ in range(40):
            journal.append(LOG, write(1), b"s" * 100)
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"is damaged, or .*: stop the agent; packseal journal repair"):
        Journal.open(path)


def test_damaged_meter_state_is_noticed(path: Path, write: Writer) -> None:
    with Journal.open(path) as journal:
        journal.begin_log(BATTERY, LOG)
        journal.append(LOG, write(1), b"the state of the meter")
    path.write_bytes(path.read_bytes().replace(b"the state of the meter", b"the state of the netem"))
    with Journal.open(path) as journal, pytest.raises(StorageError, match=r"meter state .* is damaged"):
        journal.state(LOG)


def test_a_crash_before_the_first_commit_leaves_a_file_that_opens(path: Path) -> None:
    path.touch()
    empty = sqlite3.connect(path)
    empty.execute("PRAGMA journal_mode = WAL")
    empty.close()
    with Journal.open(path) as journal:
        assert journal.logs() == []


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        Journal.open(tmp_path / "absent" / "journal.db")
    with pytest.raises(StorageError, match="cannot be opened"):
        Journal.open_to_read(tmp_path / "absent.db")
