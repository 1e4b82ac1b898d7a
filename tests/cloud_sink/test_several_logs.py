"""One battery over several logs: which continues which, what proves it, and what speaks of a copied key."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.cloud_sink.holed import Writer
from tests.cloud_sink.pack import BATTERY, GATEWAY, LOG_ID, START_MS, Pack
from tests.cloud_sink.test_ingest import ask, codes, enrol_beside, send

from packseal.core import record
from packseal.core.bodies import Lifecycle, LifecycleCode
from packseal.core.chain import Head
from packseal.core.exchange import LogEnd, Refusal
from packseal.core.passport import Field
from packseal.keys.file import FileSigner
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.reader import Reader

SECOND = b"2" * 16


def successor(key: FileSigner, sequence: int | None, digest: bytes, log: bytes = LOG_ID) -> bytes:
    """Return the first record of a log that says that it continues another."""
    writer = Writer(key, SECOND)
    writer.second = 100_000
    facts: dict[str, int | str | bytes] = {"reason": "log forked", "previous_log": log}
    facts |= {} if sequence is None else {"previous_sequence": sequence, "previous_hash": digest}
    return writer.write(Lifecycle(LifecycleCode.LOG_BEGUN, facts))


@pytest.mark.parametrize(
    ("sequence", "log", "proof"),
    [
        (9, LOG_ID, "stored"),
        (8, LOG_ID, "contradicts"),
        (50, LOG_ID, "ahead"),
        (9, b"9" * 16, "unknown"),
        (None, LOG_ID, "nothing"),
    ],
    ids=["stored", "contradicts", "ahead", "unknown", "nothing"],
)
def test_what_a_log_says_of_the_one_before_it_is_checked(
    ingest: Ingest,
    reader: Reader,
    records: list[bytes],
    gateway_key: FileSigner,
    sequence: int | None,
    log: bytes,
    proof: str,
) -> None:
    send(ingest, *records[:10])
    send(ingest, successor(gateway_key, sequence, record.record_hash(records[9]), log))
    newest, older = reader.battery(BATTERY).logs
    assert newest.continues is not None
    assert (newest.log_id, newest.continues.proof, newest.continues.sequence) == (SECOND.hex(), proof, sequence)
    assert (older.log_id, older.continues) == (LOG_ID.hex(), None)


def test_a_log_may_continue_a_branch_that_was_refused(
    ingest: Ingest, reader: Reader, records: list[bytes], gateway_key: FileSigner
) -> None:
    send(ingest, *records[:20])
    branch = Writer(gateway_key, boot=b"B" * 8, head=Head(15, record.record_hash(records[14])))
    raws = [branch.event() for _ in range(3)]
    assert codes(send(ingest, *raws)) == [Refusal.FORK]
    end = LogEnd(LOG_ID, 18, record.record_hash(raws[2]))
    send(ingest, successor(gateway_key, 17, end.hash))
    assert proof_of(reader) == "branch"
    assert codes(ask(ingest, end)) == [Refusal.FORK]
    assert proof_of(reader) == "refused"
    texts = [sign.text for sign in reader.battery(BATTERY).signs]
    assert any("two histories of log 000102030405" in text and "from record 15 on" in text for text in texts)
    assert [sign.code for sign in reader.gateways().gateways[0].signs] == ["fork"]


def proof_of(reader: Reader) -> str:
    said = reader.battery(BATTERY).newest.continues
    return "" if said is None else said.proof


def test_a_continued_log_is_older_whenever_it_was_heard_and_the_history_is_one(
    ingest: Ingest, database: Database, reader: Reader, records: list[bytes], gateway_key: FileSigner
) -> None:
    send(ingest, *records[:60])
    send(ingest, successor(gateway_key, 59, record.record_hash(records[59])))
    assert reader.battery(BATTERY).present_log == LOG_ID.hex()  # the new one has no snapshot yet
    later = Pack(gateway_key, log_id=SECOND, start_ms=START_MS + 7_200_000)
    head = Head(1, record.record_hash(successor(gateway_key, 59, record.record_hash(records[59]))))
    later.sealer._pen.head = head
    send(ingest, *later.drive(200))
    send(ingest, *records[60:])
    with database.transaction() as connection:
        connection.execute("UPDATE log SET last_received_ms = last_received_ms + 1 WHERE log_id = ?", (LOG_ID,))
    battery = reader.battery(BATTERY)
    assert [log.log_id for log in battery.logs] == [SECOND.hex(), LOG_ID.hex()]
    assert reader.snapshot(BATTERY).log_id == SECOND.hex()
    history = reader.history(BATTERY, Field.STATE_OF_CHARGE, 500)
    assert history.logs == [LOG_ID.hex(), SECOND.hex()]
    assert {point.log for point in history.points} == {0, 1}
    assert [point.wall_ms for point in history.points] == sorted(point.wall_ms for point in history.points)
    assert history.stored == len(history.points)
    hour = reader.history(BATTERY, Field.STATE_OF_CHARGE, 500, 3_600_000)
    assert {point.log for point in hour.points} == {1}
    assert {entry.log_id for entry in reader.notable(BATTERY)} == {SECOND.hex(), LOG_ID.hex()}
    assert battery.records == reader.tallies().verified > len(records) + 1


def test_an_elder_log_that_goes_on_is_a_sign_of_a_second_device(
    ingest: Ingest, database: Database, reader: Reader, gateway_key: FileSigner
) -> None:
    elder, younger = Writer(gateway_key), Writer(gateway_key, SECOND)
    send(ingest, *(elder.event() for _ in range(5)))
    younger.second = 50
    send(ingest, younger.event())
    send(ingest, *(elder.event() for _ in range(5)))  # a backlog from before the younger began is no sign
    with database.transaction() as connection:
        connection.execute("UPDATE log SET last_received_ms = last_received_ms + 10")
    assert reader.battery(BATTERY).signs == ()
    elder.second = 60
    send(ingest, elder.event())
    with database.transaction() as connection:
        connection.execute("UPDATE log SET last_received_ms = last_received_ms + 10")
    assert [sign.code for sign in reader.battery(BATTERY).signs] == ["two_logs"]


def test_two_boots_among_each_other_are_a_sign(ingest: Ingest, reader: Reader, gateway_key: FileSigner) -> None:
    writer = Writer(gateway_key, boot=b"A" * 8)
    raws = [writer.event() for _ in range(3)]
    other = Writer(gateway_key, boot=b"B" * 8, head=writer.head)
    raws += [other.event() for _ in range(3)]
    send(ingest, *raws)
    assert reader.battery(BATTERY).signs == ()
    again = Writer(gateway_key, boot=b"A" * 8, head=other.head)
    send(ingest, again.event())
    (sign,) = reader.battery(BATTERY).signs
    assert (sign.code, sign.kid) == ("two_boots", gateway_key.kid.hex())
    assert "two devices write this log" in sign.text


def test_a_restored_card_is_shown(ingest: Ingest, reader: Reader, records: list[bytes]) -> None:
    send(ingest, *records[:20])
    reply = ask(ingest, LogEnd(LOG_ID, 12, record.record_hash(records[11])))
    assert codes(reply) == [Refusal.ROLLBACK]
    assert len(reply.receipts) == 2
    (sign,) = reader.battery(BATTERY).signs
    assert sign.code == "rollback"
    assert "its card was restored from an older copy" in sign.text


def test_another_gateways_log_of_the_same_battery_is_no_sign(
    ingest: Ingest, database: Database, reader: Reader, records: list[bytes]
) -> None:
    stranger = FileSigner(Ed25519PrivateKey.generate())
    enrol_beside(database, stranger, "urn:example:gateway:2")
    send(ingest, *Pack(stranger, log_id=SECOND, gateway="urn:example:gateway:2").begin())
    send(ingest, *records)
    assert len(reader.battery(BATTERY).logs) == 2
    assert reader.battery(BATTERY).signs == ()
    assert GATEWAY in {log.gateway for log in reader.battery(BATTERY).logs}


def test_a_log_that_another_key_writes_too_is_a_sign_for_that_key(
    ingest: Ingest, database: Database, reader: Reader, records: list[bytes]
) -> None:
    stranger = FileSigner(Ed25519PrivateKey.generate())
    enrol_beside(database, stranger, "urn:example:gateway:2")
    send(ingest, *records[:3])
    assert codes(send(ingest, *Pack(stranger, gateway="urn:example:gateway:2").begin())) == [Refusal.FORK]
    (sign,) = reader.battery(BATTERY).signs
    assert (sign.code, sign.kid) == ("foreign", stranger.kid.hex())
