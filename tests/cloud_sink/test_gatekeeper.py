"""Who is let in: every record by its own signature or, telemetry, by that of the record after it.

Besides, a receipt is not given for what cannot be read later, however well it is signed.
"""

from collections.abc import Iterable, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.cloud_sink.conftest import NOW_MS, pem_of
from tests.cloud_sink.pack import BATTERY, GATEWAY, LOG_ID, START_MS

from packseal.core import columns, cose, exchange, record
from packseal.core.bodies import Kind, Telemetry
from packseal.core.chain import Head, Pen, verify_log
from packseal.core.errors import VerifyError
from packseal.core.exchange import Refusal
from packseal.core.record import Record
from packseal.core.sample import ClockQuality, Instant
from packseal.keys.file import FileSigner
from packseal_sink.database import Database
from packseal_sink.gatekeeper import Gatekeeper
from packseal_sink.ingest import Ingest
from packseal_sink.store import Store

Found = list[tuple[Refusal, int]]


class Wrong:
    """A signer that is broken: it knows its key's name, and signs nothing."""

    def __init__(self, signer: FileSigner) -> None:
        self.algorithm = signer.algorithm
        self.kid = signer.kid

    def sign(self, data: bytes) -> bytes:
        return data[:1] * cose.SIGNATURE_BYTES


def refusals(ingest: Ingest, raws: Sequence[bytes]) -> Found:
    """What one batch of these is refused for."""
    reply = exchange.decode_reply(ingest.handle(exchange.encode_batch(raws)))
    return [(refused.code, refused.sequence) for refused in reply.refused]


def stored(database: Database) -> list[bytes]:
    with database.reading() as connection:
        return [raw for (raw,) in connection.execute("SELECT raw FROM record ORDER BY id")]


def spoilt(raw: bytes) -> bytes:
    """The record with another signature, in good form."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


def telemetry_from(records: Sequence[bytes], after: int) -> int:
    """The first telemetry record from there on."""
    return next(n for n in range(after, len(records)) if record.parse(records[n]).kind is Kind.TELEMETRY)


def sealed_again(before: bytes, raws: Iterable[bytes], signers: Iterable[cose.Signer]) -> list[bytes]:
    """The same bodies after `before`, chained again, each under a signer of its own."""
    made, head = list[bytes](), Head(record.parse(before).header.sequence + 1, record.record_hash(before))
    for raw, signer in zip(raws, signers, strict=True):
        header, _, body = (entry := record.parse(raw)).header, entry.kind, entry.body
        pen = Pen(signer, entry.issuer, entry.subject, header.log_id, header.boot_id, head)
        at = Instant(header.mono_ms * 10**6, header.wall_ms * 10**6, header.quality)
        made.append(pen.write(body, at).raw)
        head = pen.head
    return made


@pytest.mark.parametrize("blob", [b"no zstd frame", columns.pack([])], ids=["no frame", "fewer rows than it says"])
def test_telemetry_that_does_not_unfold_is_refused_and_not_receipted(
    ingest: Ingest, gateway_key: FileSigner, blob: bytes
) -> None:
    pen = Pen(gateway_key, GATEWAY, BATTERY, LOG_ID, bytes(8), Head())
    raw = pen.write(Telemetry(0, START_MS, 1, 0, blob), Instant(0, START_MS * 10**6, ClockQuality.NTP)).raw
    record.verify(raw, gateway_key.public)  # signed well and in form
    reply = exchange.decode_reply(ingest.handle(exchange.encode_batch([raw])))
    assert [(r.code, r.sequence) for r in reply.refused] == [(Refusal.BAD_FORMAT, 0)]
    assert reply.receipts == ()


def test_telemetry_is_taken_on_the_word_of_the_next_record_and_nothing_else_is(
    database: Database, records: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, checked, check = Store(database), list[int](), record.check_signature
    keeper = Gatekeeper(store.gateways, store.version)

    def counted(entry: Record, key: cose.PublicKey) -> None:
        checked.append(entry.header.sequence)
        check(entry, key)

    monkeypatch.setattr(record, "check_signature", counted)
    entries = list(map(record.parse, records))
    followed = {n for n, entry in enumerate(entries[:-1]) if entry.kind is Kind.TELEMETRY}
    assert len(followed) > len(records) / 3
    for chained, expected in ((False, set[int]()), (True, followed)):
        checked.clear()
        assert keeper.admit(records, chained=chained) == entries
        assert sorted(checked) == sorted(set(range(len(records))) - expected)


@pytest.mark.parametrize("after", [0, 10, 20], ids=["near the beginning", "in the middle", "after that"])
@pytest.mark.parametrize("more", [0, 1], ids=["a telemetry record", "the record after it"])
def test_a_wrong_signature_is_found_wherever_it_stands(
    ingest: Ingest, database: Database, records: list[bytes], after: int, more: int
) -> None:
    place = telemetry_from(records, after) + more
    assert refusals(ingest, [*records[:place], spoilt(records[place]), *records[place + 1 : 30]]) == [
        (Refusal.BAD_SIGNATURE, place)
    ]
    assert stored(database) == records[:place]


def test_a_wrong_signature_at_the_end_is_found(ingest: Ingest, database: Database, records: list[bytes]) -> None:
    place = telemetry_from(records, 10)  # nothing follows it in this request
    assert refusals(ingest, [*records[:place], spoilt(records[place])]) == [(Refusal.BAD_SIGNATURE, place)]
    assert stored(database) == records[:place]
    assert refusals(ingest, records[place:30]) == []
    assert stored(database) == records[:30]


def test_a_wrong_signature_at_a_border_is_found(ingest: Ingest, database: Database, records: list[bytes]) -> None:
    """The record after it is not in the same request, or is another log's, or is refused itself."""
    place = telemetry_from(records, 10)
    far = [*records[:place], spoilt(records[place]), *records[place + 2 : 30]]
    assert refusals(ingest, far) == [(Refusal.BAD_SIGNATURE, place)]
    both = [spoilt(records[place]), spoilt(records[place + 1]), *records[place + 2 : 30]]
    assert refusals(ingest, both) == [(Refusal.BAD_SIGNATURE, place)]
    assert stored(database) == records[:place]


@pytest.mark.parametrize("enrolled", [False, True], ids=["of a stranger", "of another gateway"])
def test_a_foreign_key_in_the_middle_is_found(
    ingest: Ingest, database: Database, gateway_key: FileSigner, records: list[bytes], *, enrolled: bool
) -> None:
    """Even where the owner's next record names the foreign record's hash: a log has one key."""
    other = FileSigner(Ed25519PrivateKey.generate())
    if enrolled:
        beside = Database(database.path, write=True)
        Store(beside).add_gateway(pem_of(other), GATEWAY, "", NOW_MS)
        beside.close()
    place = telemetry_from(records, 10)
    mixed = sealed_again(records[place - 1], records[place : place + 2], [other, gateway_key])
    code = Refusal.FORK if enrolled else Refusal.UNKNOWN_GATEWAY
    assert refusals(ingest, [*records[:place], *mixed]) == [(code, place)]
    assert stored(database) == records[:place]


def test_a_revoked_key_is_refused_whatever_follows(ingest: Ingest, database: Database, records: list[bytes]) -> None:
    assert refusals(ingest, records[:10]) == []
    beside = Database(database.path, write=True)  # as `packseal-sink gateway remove` does beside a running sink
    Store(beside).remove_gateway(record.parse(records[0]).kid.hex(), NOW_MS)
    beside.close()
    assert refusals(ingest, records[10:30]) == [(Refusal.UNKNOWN_GATEWAY, 10)]
    assert stored(database) == records[:10]


@pytest.mark.parametrize("kind", [Kind.SNAPSHOT, Kind.EVENT, Kind.GAP], ids=lambda kind: kind.name)
def test_what_is_shown_alone_is_never_taken_on_the_word_of_another(
    ingest: Ingest, database: Database, gateway_key: FileSigner, records: list[bytes], kind: Kind
) -> None:
    place = next(n for n, raw in enumerate(records) if n and record.parse(raw).kind is kind)
    made = sealed_again(records[place - 1], records[place : place + 2], [Wrong(gateway_key), gateway_key])
    assert refusals(ingest, [*records[:place], *made]) == [(Refusal.BAD_SIGNATURE, place)]
    assert stored(database) == records[:place]


def test_who_signs_the_next_record_stands_for_telemetry_that_its_own_signer_spoilt(
    ingest: Ingest, database: Database, gateway_key: FileSigner, records: list[bytes]
) -> None:
    """What only the key's holder can make is stored in a batch, and found by who checks each signature."""
    place = telemetry_from(records, 10)
    made = sealed_again(records[place - 1], records[place : place + 2], [Wrong(gateway_key), gateway_key])
    early = exchange.decode_reply(ingest.handle(exchange.encode_early(made)))
    assert [(r.code, r.sequence) for r in early.refused] == [(Refusal.BAD_SIGNATURE, place)]
    assert refusals(ingest, [*records[:place], *made]) == []
    assert stored(database) == [*records[:place], *made]
    with pytest.raises(VerifyError, match="signature"):
        verify_log(stored(database), lambda _: gateway_key.public)
