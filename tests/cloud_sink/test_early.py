"""Records out of turn and logs with holes: whatever the order, repetition and loss, nothing that is there is missed."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cloud_sink.conftest import NOW_MS, SINK
from tests.cloud_sink.holed import HoledLog, Writer, holed_log
from tests.cloud_sink.pack import BATTERY, LOG_ID
from tests.cloud_sink.test_ingest import ask, codes, fresh_sink, send, stored

from packseal.core import exchange, record
from packseal.core.chain import Head
from packseal.core.exchange import LogEnd, Refusal, Reply, Whole
from packseal.keys.file import FileSigner
from packseal_sink import draft
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.ledger import Limits
from packseal_sink.reader import Reader
from packseal_sink.store import Store

LENGTH = 24
NOWHERE = LogEnd(LOG_ID, 1 << 30, bytes(32))


def send_early(ingest: Ingest, *raws: bytes, whole: tuple[int, int] | None = None) -> Reply:
    said = [] if whole is None else [Whole(LOG_ID, *whole)]
    return exchange.decode_reply(ingest.handle(exchange.encode_early(raws, said)))


def send_whole(ingest: Ingest, log: HoledLog, first: int, end: int) -> Reply:
    """Send what the gateway still has of a stretch."""
    raws = [log.raws[n] for n in log.present if first <= n < end]
    said = [Whole(LOG_ID, first, end)]
    return exchange.decode_reply(ingest.handle(exchange.encode_batch(raws, said)))


def position(ingest: Ingest, sink_key: FileSigner) -> int:
    """Return the first record that no receipt covers."""
    receipts = [exchange.verify_receipt(raw, sink_key.public) for raw in ask(ingest, NOWHERE).receipts]
    return receipts[-1].sequence + 1 if receipts else 0


def numbers(database: Database) -> list[int]:
    return [record.parse(raw).header.sequence for raw in stored(database)]


removals = st.lists(
    st.tuples(st.integers(2, LENGTH), st.sets(st.integers(0, LENGTH), min_size=1, max_size=12)), max_size=3
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(removals=removals, data=st.data())
def test_no_order_loss_or_repetition_makes_a_receipt_cover_what_is_missing(
    gateway_key: FileSigner, sink_key: FileSigner, removals: list[tuple[int, set[int]]], data: st.DataObject
) -> None:
    log = holed_log(gateway_key, removals, LENGTH)
    every = list(range(len(log.raws)))
    stretches = st.tuples(st.sampled_from(every), st.sampled_from(every)).map(sorted)
    with fresh_sink(gateway_key, sink_key) as (first_ingest, database):
        ingest = first_ingest
        for _ in range(data.draw(st.integers(0, 14))):
            match data.draw(st.sampled_from(("whole", "early", "batch", "again", "restart", "gaps"))):
                case "whole":
                    first, last = data.draw(stretches)
                    reply = send_whole(ingest, log, first, last + 1)
                case "early":
                    picked = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=8))
                    reply = send_early(ingest, *(log.raws[n] for n in picked))
                case "batch":
                    first, last = data.draw(stretches)
                    reply = send(ingest, *(log.raws[n] for n in every[first : last + 1] if n not in log.removed))
                case "again":
                    reply = ask(ingest, LogEnd(LOG_ID, len(log.raws), record.record_hash(log.raws[-1])))
                case "restart":
                    ingest, reply = Ingest(Store(database), sink_key, SINK, lambda: NOW_MS), Reply()
                case _:
                    reply = send_early(ingest, *(log.raws[n] for n in log.gaps))
            assert codes(reply) == []
            here = numbers(database)
            assert [log.raws[n] for n in here] == stored(database)
            covered = [exchange.verify_receipt(raw, sink_key.public).sequence for raw in reply.receipts]
            for sequence in covered:
                assert {n for n in log.present if n <= sequence} <= set(here)
            for first, end in reply.held.get(LOG_ID, ()):
                assert set(range(first, end)) <= set(here)
        send_early(ingest, *(log.raws[n] for n in log.gaps))
        assert codes(send_whole(ingest, log, 0, len(log.raws))) == []
        assert set(log.present) <= set(numbers(database))
        assert position(ingest, sink_key) == len(log.raws)
        assert ask(ingest, NOWHERE).held == {}
        with database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM early").fetchone() == (0,)
            counted = connection.execute("SELECT sum(count) FROM tally WHERE what LIKE 'records.%'").fetchone()[0]
        assert counted == len(numbers(database))


@pytest.fixture
def holed(gateway_key: FileSigner) -> HoledLog:
    """Records 3, 4, 5 and 7 of 20 are gone; 10 names them."""
    return holed_log(gateway_key, [(10, {3, 4, 5, 7})], 20)


def test_a_hole_is_passed_over_only_when_it_is_named_and_the_stretch_was_sent_whole(
    ingest: Ingest, holed: HoledLog, sink_key: FileSigner
) -> None:
    send_whole(ingest, holed, 0, 10)
    assert position(ingest, sink_key) == 3  # nothing names a hole yet
    send_early(ingest, holed.raws[10])
    send(ingest, *(holed.raws[n] for n in (6, 8, 9)))
    assert position(ingest, sink_key) == 3  # nobody said that there is nothing between 2 and 6
    send_early(ingest, holed.raws[8], holed.raws[9])
    reply = send_whole(ingest, holed, 3, 8)
    assert exchange.verify_receipt(reply.receipts[-1], sink_key.public).sequence == 10
    assert position(ingest, sink_key) == 11


def test_an_empty_batch_may_say_that_nothing_is_left(ingest: Ingest, holed: HoledLog, sink_key: FileSigner) -> None:
    send_early(ingest, *(holed.raws[n] for n in holed.present))
    assert position(ingest, sink_key) == 3
    exchange.decode_reply(ingest.handle(exchange.encode_batch([], [Whole(LOG_ID, 3, 20)])))
    assert position(ingest, sink_key) == 20


def test_what_was_refused_does_not_count_as_sent(
    ingest: Ingest, holed: HoledLog, sink_key: FileSigner, database: Database
) -> None:
    send_early(ingest, holed.raws[10])
    spoilt = holed.raws[6][:-1] + bytes([holed.raws[6][-1] ^ 1])
    raws = [*holed.raws[:3], spoilt, holed.raws[8], holed.raws[9]]
    reply = exchange.decode_reply(ingest.handle(exchange.encode_batch(raws, [Whole(LOG_ID, 0, 10)])))
    assert codes(reply) == [Refusal.BAD_SIGNATURE]
    assert position(ingest, sink_key) == 3
    send_whole(ingest, holed, 3, 20)
    assert numbers(database) == holed.present


def test_an_early_snapshot_is_the_present_at_once_and_says_what_is_still_to_come(
    ingest: Ingest, reader: Reader, records: list[bytes], sink_key: FileSigner
) -> None:
    send(ingest, *records[:4])
    newest = max(n for n, raw in enumerate(records) if record.parse(raw).kind == 1)
    reply = send_early(ingest, records[newest])
    assert exchange.verify_receipt(reply.receipts[-1], sink_key.public).sequence == 3
    assert reply.held == {LOG_ID: [(newest, newest + 1)]}
    shown = reader.snapshot(BATTERY)
    assert (shown.sequence, shown.verification.state, shown.to_come) == (newest, "verified", newest - 4)
    assert f"{newest - 4} records before it are still to come" in shown.verification.text
    send(ingest, *records[4:])
    shown = reader.snapshot(BATTERY)
    assert (shown.sequence, shown.to_come) == (newest, 0)
    assert "chain unbroken" in shown.verification.text


def test_early_records_that_the_chain_proves_wrong_are_given_up_and_told(
    ingest: Ingest, reader: Reader, database: Database, gateway_key: FileSigner, records: list[bytes]
) -> None:
    head = Head(9, record.record_hash(b"another history"))
    clone = Writer(gateway_key, boot=b"B" * 8, head=head)
    forged = [clone.event() for _ in range(5)]
    send(ingest, *records[:5])
    assert codes(send_early(ingest, *forged)) == []
    reply = send(ingest, *records[5:12])
    assert codes(reply) == [Refusal.AHEAD]
    assert stored(database) == records[:9]
    assert codes(send(ingest, *records[9:])) == []
    assert stored(database) == records
    assert reader.battery(BATTERY).refused == {"fork": 1}
    tallies = reader.tallies()
    assert tallies.verified == len(records)
    assert tallies.bytes == sum(map(len, records))


def test_an_early_record_that_contradicts_another_is_asked_for_in_order(
    ingest: Ingest, reader: Reader, gateway_key: FileSigner, records: list[bytes]
) -> None:
    clone = Writer(gateway_key, boot=b"B" * 8, head=Head(9, bytes(32)))
    other = Writer(gateway_key, boot=b"C" * 8, head=Head(10, bytes(32)))
    send(ingest, *records[:5])
    assert codes(send_early(ingest, clone.event())) == []
    assert codes(send_early(ingest, records[9])) == [Refusal.AHEAD]
    assert codes(send_early(ingest, other.event())) == [Refusal.AHEAD]
    assert reader.battery(BATTERY).refused == {"fork": 2}


@pytest.mark.parametrize("early", [False, True], ids=["batch", "early"])
@pytest.mark.parametrize("held", [(7, 8), (8, 9), (9, 10), (6, 11)], ids=["before", "at", "after", "all"])
def test_a_gap_record_that_the_chain_waits_for_takes_the_place_of_what_contradicts_it(
    ingest: Ingest, reader: Reader, database: Database, gateway_key: FileSigner, held: tuple[int, int], *, early: bool
) -> None:
    """Else the log could never go on: what is held is of a history whose records 5 and 6 will not come."""
    writer = Writer(gateway_key)
    raws = [writer.event() for _ in range(8)]
    clone = Writer(gateway_key, boot=b"B" * 8, head=Head(held[0], bytes(32)))
    gap, after = writer.hole(5, 6, 2), writer.event()
    send(ingest, *raws[:5])
    assert codes(send_early(ingest, *[clone.event() for _ in range(*held)])) == []
    assert codes(send_early(ingest, gap) if early else send(ingest, gap)) == [Refusal.AHEAD]
    assert reader.battery(BATTERY).refused == {"fork": 1}
    left = [(6, 7)] if held[0] == 6 else []  # what comes before the contradiction is still nobody's
    assert ask(ingest, NOWHERE).held == {LOG_ID: [*left, (8, 9)]}
    restarted = Ingest(Store(database), ingest._signer, SINK, lambda: NOW_MS)
    assert restarted._ledger.aside(LOG_ID).early_bytes == ingest._ledger.aside(LOG_ID).early_bytes
    if not left:
        whole = exchange.encode_batch([raws[7], after], [Whole(LOG_ID, 5, 10)])
        assert codes(exchange.decode_reply(restarted.handle(whole))) == []
        assert stored(database) == [*raws[:5], raws[7], gap, after]
        tallies = reader.tallies()
        assert tallies.verified == 8
        assert tallies.bytes == sum(map(len, stored(database)))


def test_a_gap_record_that_the_chain_does_not_wait_for_gives_nothing_up(
    ingest: Ingest, gateway_key: FileSigner, sink_key: FileSigner
) -> None:
    writer = Writer(gateway_key)
    raws = [writer.event() for _ in range(8)]
    clone = Writer(gateway_key, boot=b"B" * 8, head=Head(8, bytes(32)))
    gap = writer.hole(5, 6, 2)
    send(ingest, *raws[:4])
    assert codes(send_early(ingest, clone.event())) == []
    assert codes(send_early(ingest, gap)) == [Refusal.AHEAD]
    aside = ingest._ledger.aside(LOG_ID)
    assert (aside.early.range_of(8), bool(aside.holes)) == ((8, 9), False)
    assert position(ingest, sink_key) == 4


def test_no_record_is_passed_over_that_comes_in_the_same_request_though_another_history_has_removed_it(
    ingest: Ingest, database: Database, gateway_key: FileSigner
) -> None:
    """Number 6 was removed there, and what follows it was held early; here it comes, and more is held after a hole."""
    writer = Writer(gateway_key)
    raws = [writer.event() for _ in range(10)]
    clone = Writer(gateway_key, boot=b"B" * 8, head=Head(7, bytes(32)))
    gap = writer.hole(9, 9, 1)
    send(ingest, *raws[:5])
    assert codes(send_early(ingest, clone.event(), clone.hole(6, 6, 1), gap)) == []
    request = exchange.encode_batch([raws[5], raws[6]], [Whole(LOG_ID, 5, 10)])
    assert codes(exchange.decode_reply(ingest.handle(request))) == [Refusal.AHEAD]
    assert stored(database) == [*raws[:7], gap], "the other history's are given up"
    request = exchange.encode_batch([raws[7], raws[8]], [Whole(LOG_ID, 7, 10)])
    assert codes(exchange.decode_reply(ingest.handle(request))) == []
    assert stored(database) == [*raws[:9], gap]


def test_many_early_records_are_moved_in_steps(
    open_ingest: Callable[[], Ingest],
    database: Database,
    gateway_key: FileSigner,
    sink_key: FileSigner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draft, "MOVES", 30)
    monkeypatch.setattr(draft, "LINKS_AT_ONCE", 7)
    writer = Writer(gateway_key)
    raws = [writer.event() for _ in range(101)]
    ingest = open_ingest()
    send_early(ingest, *raws[1:])
    reply = send(ingest, raws[0])
    assert exchange.verify_receipt(reply.receipts[-1], sink_key.public).sequence == 30
    restarted = open_ingest()  # as after kill -9 between two steps
    assert restarted.is_ripe
    restarted.move()
    assert codes(send(restarted, raws[70])) == []
    for _ in range(3):
        restarted.move()
    assert position(restarted, sink_key) == 101
    assert stored(database) == raws


def test_what_is_held_early_is_bounded_for_a_log_and_in_all(
    gateway_key: FileSigner, sink_key: FileSigner, database: Database
) -> None:
    writer, size = Writer(gateway_key), 0
    raws = [writer.event() for _ in range(20)]
    for limits in (Limits(log_bytes=5 * len(raws[0])), Limits(total_bytes=5 * len(raws[0]))):
        ingest = Ingest(Store(database), sink_key, SINK, lambda: NOW_MS, limits=limits)
        assert codes(send_early(ingest, *raws[5:])) == [Refusal.AHEAD]
        size = ingest._ledger.early_bytes
        assert 0 < size <= 5 * len(raws[0])
    assert codes(send(ingest, *raws)) == []
    assert stored(database) == raws
    assert ingest._ledger.early_bytes == 0


def test_a_log_whose_first_records_are_early_has_no_receipt(ingest: Ingest, holed: HoledLog) -> None:
    reply = send_early(ingest, holed.raws[12])
    assert (reply.receipts, reply.refused, reply.held) == ((), (), {LOG_ID: [(12, 13)]})
    assert ask(ingest, NOWHERE).held == {LOG_ID: [(12, 13)]}


def test_a_number_beyond_all_logs_is_not_held(ingest: Ingest, gateway_key: FileSigner) -> None:
    writer = Writer(gateway_key, head=Head(1 << 40, bytes(32)))
    assert codes(send_early(ingest, writer.event())) == [Refusal.AHEAD]
