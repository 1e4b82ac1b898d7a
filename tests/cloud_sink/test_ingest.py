"""What ends up stored, whatever the order, repetition and damage of what is sent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cloud_sink.conftest import NOW_MS, SINK, pem_of
from tests.cloud_sink.pack import BATTERY, GATEWAY, LOG_ID, Pack

from packseal.core import cose, exchange, record
from packseal.core.exchange import LogEnd, Refusal, Refused, Reply
from packseal.keys.file import FileSigner
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.reader import Reader
from packseal_sink.store import Store
from packseal_sink.waiting import WaitingRoom

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
COUNT = 24


def send(ingest: Ingest, *raws: bytes) -> Reply:
    return exchange.decode_reply(ingest.handle(exchange.encode_batch(raws)))


def ask(ingest: Ingest, end: LogEnd) -> Reply:
    return exchange.decode_reply(ingest.handle(exchange.encode_position([end])))


def enrol_beside(database: Database, signer: FileSigner, issuer: str) -> None:
    """Enrol a gateway over another connection, as `packseal-sink gateway add` does beside a running sink."""
    other = Database(database.path, write=True)
    Store(other).add_gateway(pem_of(signer), issuer, "", NOW_MS)
    other.close()


def stored(database: Database) -> list[bytes]:
    with database.reading() as connection:
        return [raw for (raw,) in connection.execute("SELECT raw FROM record ORDER BY id")]


def codes(reply: Reply) -> list[Refusal]:
    return [refused.code for refused in reply.refused]


@contextmanager
def fresh_sink(
    gateway: FileSigner, sink: FileSigner, room: WaitingRoom | None = None
) -> Iterator[tuple[Ingest, Database]]:
    with TemporaryDirectory() as folder:
        database = Database(Path(folder) / "sink.db", write=True)
        try:
            store = Store(database)
            store.add_gateway(pem_of(gateway), GATEWAY, "", NOW_MS)
            yield Ingest(store, sink, SINK, lambda: NOW_MS, room), database
        finally:
            database.close()


def test_a_batch_is_stored_and_receipted(
    ingest: Ingest, database: Database, records: list[bytes], sink_key: FileSigner
) -> None:
    reply = send(ingest, *records)
    assert reply.refused == ()
    (receipt,) = [exchange.verify_receipt(raw, sink_key.public) for raw in reply.receipts]
    assert (receipt.log_id, receipt.sequence) == (LOG_ID, len(records) - 1)
    assert receipt.hash == record.record_hash(records[-1])
    assert (receipt.issuer, receipt.wall_ms) == (SINK, NOW_MS)
    assert stored(database) == records


@QUICK
@given(data=st.data())
def test_any_order_repetition_and_batching_gives_the_same_end(
    records: list[bytes], gateway_key: FileSigner, sink_key: FileSigner, data: st.DataObject
) -> None:
    sent = records[:COUNT]
    repeated = data.draw(st.lists(st.sampled_from(sent), max_size=10))
    shuffled = data.draw(st.permutations(sent + repeated))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(shuffled) - 1), max_size=5)))
    with fresh_sink(gateway_key, sink_key) as (ingest, database):
        replies = [send(ingest, *shuffled[a:b]) for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
        assert stored(database) == sent
        assert [code for reply in replies for code in codes(reply)] == []
        assert exchange.verify_receipt(replies[-1].receipts[0], sink_key.public).sequence == COUNT - 1
        with database.reading() as connection:
            counted = connection.execute("SELECT sum(count) FROM tally WHERE what = 'duplicates'").fetchone()[0]
        assert (counted or 0) == len(repeated)


@QUICK
@given(data=st.data())
def test_forks_and_rollbacks_never_change_what_is_stored(
    records: list[bytes], gateway_key: FileSigner, sink_key: FileSigner, data: st.DataObject
) -> None:
    other = Pack(gateway_key, start_ms=NOW_MS)
    forged = other.begin() + other.drive(700)
    length = data.draw(st.integers(1, COUNT))
    noise = data.draw(st.lists(st.sampled_from(forged[:COUNT]), min_size=1, max_size=8))
    with fresh_sink(gateway_key, sink_key) as (ingest, database):
        send(ingest, *records[:length])
        for raw in noise:
            reply = send(ingest, raw)
            assert set(codes(reply)) <= {Refusal.FORK, Refusal.BROKEN_CHAIN}
            assert stored(database) == records[:length]
        shorter = data.draw(st.integers(0, length - 1))
        last = record.record_hash(records[shorter - 1]) if shorter else record.GENESIS
        assert codes(ask(ingest, LogEnd(LOG_ID, shorter, last))) == [Refusal.ROLLBACK]
        send(ingest, *records[length:COUNT])
        assert stored(database) == records[:COUNT]


def test_a_forked_position_is_told(ingest: Ingest, records: list[bytes]) -> None:
    send(ingest, *records)
    reply = ask(ingest, LogEnd(LOG_ID, 10, bytes(32)))
    assert codes(reply) == [Refusal.FORK]
    assert len(reply.receipts) == 1
    assert codes(ask(ingest, LogEnd(LOG_ID, len(records), record.record_hash(records[-1])))) == []


def places(raw: bytes) -> dict[str, int]:
    """Return one byte in the middle of each part of a record."""
    protected, _, payload, signature = cbor2.loads(raw).value
    found = {}
    for name, part in (("protected", protected), ("signature", signature)):
        found[name] = raw.index(part) + len(part) // 2
    for key, value in cbor2.loads(payload).items():
        encoded = cbor2.dumps(key, canonical=True) + cbor2.dumps(value, canonical=True)
        found[f"payload.{key}"] = raw.index(encoded, raw.index(payload)) + len(encoded) - 1
    return found


@pytest.mark.parametrize("part", ["protected", "signature", *(f"payload.{key}" for key in range(10))])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_flipped_bit_in_any_field_is_refused_and_the_right_record_still_fits(
    ingest: Ingest, database: Database, records: list[bytes], part: str, index: int
) -> None:
    send(ingest, *records[:index])
    for bit in range(8):
        spoilt = bytearray(records[index])
        spoilt[places(records[index])[part]] ^= 1 << bit
        reply = send(ingest, bytes(spoilt))
        assert len(reply.refused) == 1
        assert set(codes(reply)) <= {Refusal.BAD_FORMAT, Refusal.BAD_SIGNATURE, Refusal.UNKNOWN_GATEWAY}
        assert stored(database) == records[:index]
    send(ingest, records[index])
    assert stored(database) == records[: index + 1]


def test_a_broken_chain_is_refused(
    ingest: Ingest, database: Database, records: list[bytes], gateway_key: FileSigner
) -> None:
    other = Pack(gateway_key, start_ms=NOW_MS)
    forged = other.begin() + other.drive(130)
    send(ingest, *records[:2])
    assert codes(send(ingest, forged[2])) == [Refusal.BROKEN_CHAIN]
    assert stored(database) == records[:2]


def test_an_unknown_gateway_is_refused_counted_and_known_once_enrolled(
    ingest: Ingest, database: Database, reader: Reader
) -> None:
    stranger = FileSigner(Ed25519PrivateKey.generate())
    pack = Pack(stranger, gateway="urn:example:gateway:2", log_id=b"2" * 16)
    first = pack.begin()
    assert codes(send(ingest, *first)) == [Refusal.UNKNOWN_GATEWAY]
    assert stored(database) == []
    assert reader.gateways().unknown_refused == {"unknown_gateway": 1}
    enrol_beside(database, stranger, "urn:example:gateway:2")
    assert codes(send(ingest, *first)) == []
    assert stored(database) == first


def test_a_key_speaks_only_for_the_gateway_it_is_enrolled_for(ingest: Ingest, gateway_key: FileSigner) -> None:
    reply = send(ingest, *Pack(gateway_key, gateway="urn:example:gateway:other").begin())
    assert codes(reply) == [Refusal.UNKNOWN_GATEWAY]
    assert "enrolled for urn:example:gateway:1" in reply.refused[0].text


def test_a_log_belongs_to_the_key_and_battery_that_began_it(
    ingest: Ingest, database: Database, records: list[bytes]
) -> None:
    stranger = FileSigner(Ed25519PrivateKey.generate())
    enrol_beside(database, stranger, "urn:example:gateway:2")
    send(ingest, records[0])
    assert codes(send(ingest, *Pack(stranger, gateway="urn:example:gateway:2").begin())) == [Refusal.FORK]
    assert stored(database) == records[:1]


def test_a_restart_continues_where_the_database_is(
    open_ingest: Callable[[], Ingest], database: Database, records: list[bytes]
) -> None:
    send(open_ingest(), *records[:40])
    restarted = open_ingest()
    assert codes(send(restarted, *records[30:])) == []
    assert stored(database) == records


def test_a_waiting_room_that_is_full_asks_to_send_from_the_position(
    records: list[bytes], gateway_key: FileSigner, sink_key: FileSigner
) -> None:
    with fresh_sink(gateway_key, sink_key, WaitingRoom(max_records=3)) as (ingest, database):
        assert codes(send(ingest, *records[5:10])) == [Refusal.AHEAD]
        assert stored(database) == []
        assert codes(send(ingest, *records)) == []
        assert stored(database) == records


def test_a_full_store_is_busy_and_takes_up_again(ingest: Ingest, database: Database, records: list[bytes]) -> None:
    send(ingest, *records[:10])
    pages = database.connection.execute("PRAGMA page_count").fetchone()[0]
    database.connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own SQLITE_FULL
    reply = send(ingest, *records[10:])
    assert reply.refused == (Refused(LOG_ID, Refusal.BUSY, 10, ingest.condition.trouble),)
    assert "disk is full" in ingest.condition.trouble
    assert reply.receipts == ()
    assert stored(database) == records[:10]
    database.connection.execute("PRAGMA max_page_count = 1000000")
    assert codes(send(ingest, *records[10:])) == []
    assert stored(database) == records
    assert ingest.condition.trouble == ""
    assert ingest.condition.busy == 1


@QUICK
@given(st.binary(max_size=200))
def test_no_bytes_at_all_bring_it_down(ingest: Ingest, data: bytes) -> None:
    assert codes(exchange.decode_reply(ingest.handle(data))) == [Refusal.BAD_FORMAT]


@QUICK
@given(st.lists(st.recursive(st.integers() | st.binary(max_size=20) | st.text(max_size=5), st.lists), max_size=5))
def test_no_batch_of_other_things_brings_it_down(ingest: Ingest, items: list[object]) -> None:
    reply = send(ingest, *(cbor2.dumps(item, canonical=True) for item in items))
    assert set(codes(reply)) <= {Refusal.BAD_FORMAT}


def test_what_was_refused_is_counted_for_the_battery_and_told(
    ingest: Ingest, reader: Reader, records: list[bytes], gateway_key: FileSigner
) -> None:
    send(ingest, *records)
    send(ingest, *Pack(gateway_key, start_ms=NOW_MS).begin())
    ask(ingest, LogEnd(LOG_ID, 3, record.record_hash(records[2])))
    spoilt = records[5][:-1] + bytes([records[5][-1] ^ 1])
    send(ingest, spoilt)
    assert reader.battery(BATTERY).refused == {"fork": 1, "rollback": 1, "bad_signature": 1}
    assert [entry.code for entry in reader.refusals(BATTERY)] == ["bad_signature", "rollback", "fork"]
    assert reader.gateways().gateways[0].refused == {"fork": 1, "rollback": 1, "bad_signature": 1}


def test_receipts_name_the_batterys_log(ingest: Ingest, records: list[bytes]) -> None:
    protected = cbor2.loads(cose.parse(send(ingest, *records[:1]).receipts[0]).protected)
    assert protected[15] == {1: SINK, 2: BATTERY}


def test_a_removed_gateway_is_refused_at_once_and_may_come_back(
    ingest: Ingest, database: Database, reader: Reader, records: list[bytes], gateway_key: FileSigner
) -> None:
    send(ingest, *records[:10])
    other = Database(database.path, write=True)
    Store(other).remove_gateway(gateway_key.kid.hex()[:8], NOW_MS)
    assert codes(send(ingest, *records[10:])) == [Refusal.UNKNOWN_GATEWAY]
    assert stored(database) == records[:10]
    assert reader.battery(BATTERY).refused == {"unknown_gateway": 1}
    assert reader.gateways().gateways[0].removed is not None
    assert reader.snapshot(BATTERY).verification.state == "verified"
    Store(other).add_gateway(pem_of(gateway_key), GATEWAY, "back", NOW_MS)
    other.close()
    assert codes(send(ingest, *records[10:])) == []
    assert stored(database) == records


SCALARS = st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=8) | st.booleans() | st.none()
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.integers(0, 12) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=12,
)


@settings(QUICK, max_examples=300)
@given(data=st.data())
def test_no_signed_nonsense_of_an_enrolled_gateway_brings_it_down(
    records: list[bytes], gateway_key: FileSigner, sink_key: FileSigner, data: st.DataObject
) -> None:
    payload = cbor2.loads(cose.parse(data.draw(st.sampled_from(records[:4] + records[50:54]))).payload)
    body = data.draw(st.booleans())
    place = payload[9] if body else payload
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(TREES)
    sealed = cose.Envelope(gateway_key, GATEWAY, BATTERY).seal(cbor2.dumps(payload, canonical=True))
    with fresh_sink(gateway_key, sink_key) as (ingest, database):
        send(ingest, sealed)
        with database.reading() as connection:
            assert connection.execute("SELECT count(*) FROM record").fetchone()[0] <= 1
