"""The audit, on a real journal and a real sink's database, of which each lacks or spoils something in turn."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from packseal.core.bodies import Event, Gap, GapCause
from packseal.core.chain import Pen
from packseal.core.exchange import decode_reply, encode_batch, verify_receipt
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.demo.audit import LogAudit, audit
from packseal.journal.store import Journal
from packseal.keys import file as key_file
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.store import Store

GATEWAY, BATTERY = "urn:example:gateway", "urn:example:battery"
LOG = bytes(range(16))
AT = Instant(1, 1_750_000_000_000_000_000, ClockQuality.NTP)
RECORDS = 10


class Bench:
    """A journal of ten records, and what a sink took of them."""

    def __init__(self, folder: Path) -> None:
        self.gateway = key_file.create(folder / "gateway.key")
        self.sink = key_file.create(folder / "sink.key")
        self.journal_path, self.sink_path = folder / "journal.db", folder / "sink.db"
        self.journal = Journal.open(self.journal_path)
        self.journal.begin_log(BATTERY, LOG)
        pen = Pen(self.gateway, GATEWAY, BATTERY, LOG, bytes(8), self.journal.head(LOG))
        records = [pen.write(Event(EventCode.BUS_SILENT), AT) for _ in range(RECORDS - 1)]
        records.append(pen.write(Gap(GapCause.UNCLEAN_STOP, 1000, 3500), AT))
        self.journal.append(LOG, records)
        self.raw = [r.raw for r in records]
        self._database = Database(self.sink_path, write=True)
        store = Store(self._database)
        store.add_gateway((folder / "gateway.pub").read_bytes(), GATEWAY, "", 0)
        self.ingest = Ingest(store, self.sink, "urn:example:sink", lambda: time.time_ns() // 1_000_000)

    def deliver(self, count: int, *, receipted: bool = True) -> None:
        reply = decode_reply(self.ingest.handle(encode_batch(self.raw[:count])))
        if receipted:
            self.journal.acknowledge(verify_receipt(reply.receipts[0], self.sink.public))

    def spoil(self, statement: str, *values: bytes | int) -> None:
        with closing(sqlite3.connect(self.sink_path, isolation_level=None)) as connection:
            assert connection.execute(statement, values).rowcount == 1

    def audit(self) -> LogAudit:
        (found,) = audit(self.journal_path, self.sink_path, self.gateway.public, self.sink.public)
        return found

    def close(self) -> None:
        self.journal.close()
        self._database.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def counts(found: LogAudit) -> tuple[int, int, int, int]:
    return found.sealed, found.received, found.verified, found.receipted


def test_all_is_well_when_all_has_arrived(bench: Bench) -> None:
    bench.deliver(RECORDS)
    found = bench.audit()
    assert (counts(found), found.is_whole, found.complaint) == ((RECORDS,) * 4, True, "")
    assert found.kinds == {"event": RECORDS - 1, "gap": 1}
    assert found.gaps == {"unclean_stop": (1, 2.5)}
    assert found.is_battery


def test_what_never_left_is_missing(bench: Bench) -> None:
    assert counts(bench.audit()) == (RECORDS, 0, 0, 0)
    bench.deliver(6)
    found = bench.audit()
    assert counts(found) == (RECORDS, 6, 6, 6)
    assert "the sink lacks record 6" in found.complaint
    assert BATTERY in found.complaint


def test_what_has_no_receipt_does_not_count_as_receipted(bench: Bench) -> None:
    bench.deliver(RECORDS, receipted=False)
    assert counts(bench.audit()) == (RECORDS, RECORDS, RECORDS, 0)
    assert not bench.audit().is_whole


def flipped(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


SPOILS: list[Callable[[Bench], None]] = [
    lambda b: b.spoil("DELETE FROM record WHERE id & 0xFFFFFFFFFF = 4"),
    lambda b: b.spoil("UPDATE record SET raw = ? WHERE id & 0xFFFFFFFFFF = 4", flipped(b.raw[4])),
    lambda b: b.spoil("UPDATE record SET raw = ? WHERE id & 0xFFFFFFFFFF = 4", b.raw[3]),
]


@pytest.mark.parametrize("spoil", SPOILS)
def test_one_record_lost_or_changed_in_the_sink_is_found(bench: Bench, spoil: Callable[[Bench], None]) -> None:
    bench.deliver(RECORDS)
    spoil(bench)
    found = bench.audit()
    assert (found.sealed, found.received, found.receipted) == (RECORDS, RECORDS - 1, RECORDS)
    assert "record 4" in found.complaint


def test_a_record_that_only_the_sink_has_is_found(bench: Bench) -> None:
    bench.deliver(RECORDS)
    columns = "kind, wall_ms, received_ms, hash, raw"
    bench.spoil(f"INSERT INTO record (id, {columns}) SELECT id + 1, {columns} FROM record WHERE id & 15 = 9")
    found = bench.audit()
    assert (counts(found), found.foreign, found.is_whole) == ((RECORDS,) * 4, 1, False)


def test_a_receipt_of_another_sink_covers_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.deliver(RECORDS)
    stranger = key_file.create(tmp_path / "stranger.key")
    (found,) = audit(bench.journal_path, bench.sink_path, bench.gateway.public, stranger.public)
    assert (found.verified, found.receipted) == (RECORDS, 0)
    assert "receipt does not hold" in found.complaint


def test_records_of_another_gateway_are_not_verified(bench: Bench, tmp_path: Path) -> None:
    bench.deliver(RECORDS)
    stranger = key_file.create(tmp_path / "stranger.key")
    (found,) = audit(bench.journal_path, bench.sink_path, stranger.public, bench.sink.public)
    assert (found.received, found.verified) == (RECORDS, 0)
