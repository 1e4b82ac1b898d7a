"""What begins a new log and what does not: only the sink's signature does, whatever else stands on the wire."""

import asyncio
import shutil
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.agent.uplink.gateway import FAST, GATEWAY

from packseal.clock import SystemClock
from packseal.core import exchange
from packseal.core.bodies import Body, Event, Gap, GapCause, Lifecycle
from packseal.core.chain import Pen, verify_log
from packseal.core.cose import Envelope
from packseal.core.exchange import Receipt, Refusal, Refused, Reply
from packseal.core.holes import hole_of
from packseal.core.record import parse
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal import epochs as journal_epochs
from packseal.journal.contradictions import Contradiction
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner
from packseal.runtime import epochs
from packseal.runtime.desk import Desk
from packseal.runtime.epochs import EpochWatch
from packseal.uplink.memory import MemoryUplink
from packseal.uplink.sync import Sync
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.store import Store

LOG, SUBJECT, SINK = b"\x07" * 16, "urn:example:battery:7", "urn:example:sink:1"
SHARED, HERE = 30, 25
"""Records that both histories have, and those that only we have."""

pytestmark = pytest.mark.timeout(60)

Handler = Callable[[bytes], bytes]


@pytest.fixture(scope="module")
def key() -> FileSigner:
    return FileSigner(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def sink_key() -> FileSigner:
    return FileSigner(Ed25519PrivateKey.generate())


@pytest.fixture
def sink(tmp_path: Path, key: FileSigner, sink_key: FileSigner) -> Iterator[Ingest]:
    with closing(Database(tmp_path / "sink.db", write=True)) as database:
        store = Store(database)
        pem = key.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        store.add_gateway(pem, GATEWAY, "", 0)
        yield Ingest(store, sink_key, SINK, lambda: time.time_ns() // 1_000_000)


def pen_of(journal: Journal, key: FileSigner, life: int) -> Pen:
    journal.begin_log(SUBJECT, LOG)
    return Pen(key, GATEWAY, SUBJECT, LOG, bytes([life]) * 8, journal.head(LOG))


def write(journal: Journal, key: FileSigner, count: int, life: int) -> list[bytes]:
    pen = pen_of(journal, key, life)
    records = [
        pen.write(
            Event(EventCode.BUS_SILENT, {"life": life}),
            Instant(pen.head.next_sequence * 10**9, 10**18 + pen.head.next_sequence * 10**9, ClockQuality.RTC),
        )
        for _ in range(count)
    ]
    journal.append(LOG, records, b"counters of life %d" % life)
    return [entry.raw for entry in records]


def split(folder: Path, key: FileSigner, sink: Ingest, here: int, there: int) -> Path:
    """Return a journal whose log goes on otherwise than at the sink."""
    ours = folder / "ours.db"
    with Journal.open(ours) as journal:
        shared = write(journal, key, SHARED, 0)
    shutil.copy(ours, folder / "other.db")
    with Journal.open(folder / "other.db") as other:
        sink.handle(exchange.encode_batch([*shared, *write(other, key, there, 1)]))
    with Journal.open(ours) as journal:
        write(journal, key, here, 2)
    return ours


async def watched(path: Path, sink_key: FileSigner, handler: Handler, seconds: float) -> tuple[bool, str]:
    """Run the sync engine and the watch until an epoch is due or the time is over; return whether, and what is said."""
    async with Desk(path) as desk:
        uplink = MemoryUplink(handler)
        watch = EpochWatch(desk, uplink.exchange, sink_key.public)
        sync = Sync(desk.journal, uplink, sink_key.public, desk.run, FAST, contradicted=watch.contradicted)
        tasks = [asyncio.create_task(work) for work in (sync.run(), watch.run())]
        try:
            async with asyncio.timeout(seconds):
                await watch.due.wait()
        except TimeoutError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return watch.due.is_set(), sync.status.last_error


def begin(path: Path, key: FileSigner) -> Contradiction:
    with Journal.open(path) as journal:
        (ended,) = epochs.begin(journal, key, GATEWAY, SystemClock())
    return ended


@pytest.mark.parametrize(("there", "reason"), [(40, "journal older than the sink"), (3, "log forked")])
def test_the_new_log_holds_exactly_what_the_sink_does_not_have(
    tmp_path: Path, key: FileSigner, sink_key: FileSigner, sink: Ingest, there: int, reason: str
) -> None:
    path = split(tmp_path, key, sink, HERE, there)
    due, _ = asyncio.run(watched(path, sink_key, sink.handle, 20))
    assert due
    ended = begin(path, key)
    assert ended.shared == SHARED
    assert ended.successor is not None
    with Journal.open_to_read(path) as journal:
        old, new = (list(journal.records(log.log_id)) for log in journal.logs())
        assert journal.state(ended.successor) == b"counters of life 2"
    first, *copies = map(parse, (entry.raw for entry in new))
    assert isinstance(first.body, Lifecycle)
    assert first.body.attributes["reason"] == reason
    assert (first.body.attributes["copied_from"], first.body.attributes["copied"]) == (SHARED, HERE)
    for copy, entry in zip(copies, map(parse, (entry.raw for entry in old[SHARED:])), strict=True):
        assert copy.body == entry.body
        mine, theirs = copy.header, entry.header
        assert (mine.boot_id, mine.mono_ms, mine.wall_ms, mine.quality) == (
            theirs.boot_id,
            theirs.mono_ms,
            theirs.wall_ms,
            theirs.quality,
        )
    assert verify_log([entry.raw for entry in new], lambda _: key.public).next_sequence == HERE + 1


def lying(answer: Callable[[bytes], Reply]) -> Handler:
    return lambda request: exchange.encode_reply(answer(request))


def forged(code: Refusal, signer: FileSigner | None = None) -> Handler:
    """A man in the middle who refuses our log, with a receipt that he has signed himself or none."""

    def answer(_: bytes) -> Reply:
        receipts: list[bytes] = []
        if signer is not None:
            envelope = Envelope(signer, SINK, SUBJECT)
            receipts = [exchange.write_receipt(envelope, (LOG, 10_000, bytes(32)), 0)]
        return Reply(receipts, [Refused(LOG, code, 5, "the log was forked, begin a new one")])

    return lying(answer)


@pytest.mark.parametrize("code", [Refusal.FORK, Refusal.ROLLBACK, Refusal.BROKEN_CHAIN], ids=lambda code: code.name)
@pytest.mark.parametrize("signer", [None, FileSigner(Ed25519PrivateKey.generate())], ids=["unsigned", "his signature"])
def test_a_forged_refusal_changes_nothing_but_the_text(
    tmp_path: Path, key: FileSigner, sink_key: FileSigner, code: Refusal, signer: FileSigner | None
) -> None:
    path = tmp_path / "ours.db"
    with Journal.open(path) as journal:
        write(journal, key, SHARED, 0)
    due, said = asyncio.run(watched(path, sink_key, forged(code, signer), 1.0))
    assert not due
    assert said
    with Journal.open(path) as journal:
        assert not epochs.begin(journal, key, GATEWAY, SystemClock())
        assert len(journal.logs()) == 1


def test_old_receipts_said_again_are_no_contradiction(
    tmp_path: Path, key: FileSigner, sink_key: FileSigner, sink: Ingest
) -> None:
    path = tmp_path / "ours.db"
    with Journal.open(path) as journal:
        shared = write(journal, key, SHARED, 0)
    early = exchange.decode_reply(sink.handle(exchange.encode_batch(shared[:10]))).receipts
    again = lying(lambda _: Reply(early, [Refused(LOG, Refusal.ROLLBACK, 9, "rolled back")]))
    due, _ = asyncio.run(watched(path, sink_key, again, 1.0))
    assert not due
    with Journal.open_to_read(path) as journal:
        assert not journal.contradictions()


def test_lies_about_where_the_histories_part_cost_only_records_sent_twice(
    tmp_path: Path, key: FileSigner, sink_key: FileSigner, sink: Ingest
) -> None:
    path = split(tmp_path, key, sink, HERE, 40)
    newest = exchange.decode_reply(sink.handle(exchange.encode_position([exchange.LogEnd(LOG, 0, bytes(32))]))).receipts

    def answer(_: bytes) -> Reply:
        return Reply(newest[-1:], [Refused(LOG, Refusal.ROLLBACK, 0, "I have all of it")])

    due, _ = asyncio.run(watched(path, sink_key, lying(answer), 20))
    assert due
    assert begin(path, key).shared == 0, "nothing was proven, so all of it is sent again"


def receipt_for(sequence: int) -> Receipt:
    return Receipt(b"raw", SINK, bytes(32), LOG, sequence, bytes([sequence % 256]) * 32, 5)


def test_one_new_log_per_battery_and_hour(tmp_path: Path, key: FileSigner) -> None:
    with Journal.open(tmp_path / "ours.db") as journal:
        write(journal, key, 5, 0)
        now_ms = 10**12
        assert journal_epochs.may_begin(journal, LOG, now_ms)
        journal_epochs.note(journal, receipt_for(9), 0, now_ms)
        assert not journal_epochs.may_begin(journal, LOG, now_ms + 3_599_999)
        assert journal_epochs.may_begin(journal, LOG, now_ms + 3_600_000)
        assert journal_epochs.may_begin(journal, LOG, now_ms - 1), "a clock that was set back must not stop it for ever"


def test_a_log_that_was_succeeded_is_not_succeeded_twice_though_a_repair_forgot_it(
    tmp_path: Path, key: FileSigner
) -> None:
    path = tmp_path / "ours.db"
    with Journal.open(path) as journal:
        write(journal, key, 5, 0)
        journal_epochs.note(journal, receipt_for(9), 2, 10**12)
    first = begin(path, key)
    with Journal.open(path) as journal, journal.together() as connection:
        connection.execute("UPDATE contradiction SET successor = NULL")
    assert begin(path, key) == first
    with Journal.open_to_read(path) as journal:
        assert len(journal.logs()) == 2


def test_what_the_old_log_had_removed_is_not_missing_in_the_new_one(tmp_path: Path, key: FileSigner) -> None:
    path = tmp_path / "ours.db"
    with Journal.open(path) as journal:
        write(journal, key, 20, 0)
        pen = pen_of(journal, key, 0)
        body: Body = Gap(GapCause.DROPPED, 1, 2, {"first": 5, "last": 9, "records": 5})
        journal.append(LOG, [pen.write(body, Instant(0, 10**18, ClockQuality.RTC))], removed=[(5, 9)])
        journal_epochs.note(journal, receipt_for(40), 2, 10**12)
    ended = begin(path, key)
    assert ended.successor is not None
    with Journal.open_to_read(path) as journal:
        assert journal.holes(LOG) == [(5, 9)]
        assert journal.holes(ended.successor) == []
        raws = [entry.raw for entry in journal.records(ended.successor)]
    assert verify_log(raws, lambda _: key.public).next_sequence == 1 + (20 - 2 - 5) + 1
    gap = parse(raws[-1])
    assert isinstance(gap.body, Gap)
    assert gap.body.attributes["log"] == LOG
    assert hole_of(gap) is None


def test_a_failure_in_the_middle_leaves_nothing_and_the_old_log_goes_on(tmp_path: Path, key: FileSigner) -> None:
    path = tmp_path / "ours.db"
    with Journal.open(path) as journal:
        write(journal, key, 600, 0)
        journal_epochs.note(journal, receipt_for(10_000), 0, 10**12)
        with journal.together() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
        # SQLite itself says that the disk is full (https://sqlite.org/pragma.html#pragma_max_page_count).
        with journal.together() as connection:
            connection.execute(f"PRAGMA max_page_count = {pages + 20}")
        (ended,) = epochs.begin(journal, key, GATEWAY, SystemClock())
        assert ended.successor is None
        assert [log.log_id for log in journal.logs()] == [LOG]
    assert begin(path, key).successor is not None


def test_the_memory_it_takes_does_not_grow_with_the_records(tmp_path: Path, key: FileSigner) -> None:
    path, peaks = tmp_path / "ours.db", []
    for count in (600, 1800):
        with Journal.open(path) as journal:
            for _ in range(count // 300):
                write(journal, key, 300, 0)
            shutil.copy(path, tmp_path / f"{count}.db")
            journal_epochs.note(journal, receipt_for(10_000), 0, 10**12)
            tracemalloc.start()
            epochs.begin(journal, key, GATEWAY, SystemClock())
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        path.unlink()
    assert peaks[1] < 1.5 * peaks[0]
