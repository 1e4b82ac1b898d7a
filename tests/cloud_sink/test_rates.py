"""One gateway's share: a flood is told to wait and for how long; others go on; nobody uses up another's share."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.cloud_sink.conftest import NOW_MS, SINK, pem_of
from tests.cloud_sink.pack import Pack, hour

from packseal.core import exchange
from packseal.core.exchange import Refusal, Reply
from packseal.keys.file import FileSigner
from packseal_sink import rates as rates_module
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.rates import BURST_S, Rates
from packseal_sink.store import Store

KID, OTHER = b"k" * 32, b"o" * 32


class Clock:
    """Seconds that the test moves."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_minutes_worth_may_come_at_once_and_flows_back_at_the_rate() -> None:
    clock = Clock()
    rates = Rates(100, 0, clock)
    rates.spend(KID, round(BURST_S * 100))
    assert rates.wait_s(KID) == 0
    rates.spend(KID, 1000)
    assert rates.wait_s(KID) == 10
    assert rates.wait_s(OTHER) == 0
    clock.now_s += 5
    assert rates.wait_s(KID) == 5
    clock.now_s += 5
    assert rates.wait_s(KID) == 0
    assert rates.slowed == 2


def test_requests_count_too_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates_module, "KEYS_KEPT", 3)
    rates = Rates(0, 1, Clock())
    for _ in range(70):
        rates.spend(KID, 1)
    assert rates.wait_s(KID) == 10
    for number in range(100):
        rates.spend(bytes([number]) * 32, 1)
    assert len(rates._spent) == 3


def answer(ingest: Ingest, request: bytes) -> Reply:
    return exchange.decode_reply(ingest.handle(request))


def test_a_flood_of_one_gateway_leaves_the_others_alone(
    database: Database, sink_key: FileSigner, records: list[bytes]
) -> None:
    clock = Clock()
    other_key = FileSigner(Ed25519PrivateKey.generate())
    Store(database).add_gateway(pem_of(other_key), "urn:example:gateway:other", "", NOW_MS)
    share = sum(map(len, records)) / BURST_S / 2
    ingest = Ingest(Store(database), sink_key, SINK, lambda: NOW_MS, rates=Rates(share, 0, clock))
    assert answer(ingest, exchange.encode_batch(records)).receipts
    (told,) = answer(ingest, exchange.encode_batch(records)).refused
    assert (told.code, told.text) == (
        Refusal.BUSY,
        f"this gateway sends more than the sink takes of one: try again in {BURST_S:.0f} s",
    )
    forged = bytearray(records[0])
    forged[-1] ^= 1
    assert [r.code for r in answer(ingest, exchange.encode_batch([bytes(forged)])).refused] == [Refusal.BUSY]
    (stranger,) = answer(ingest, exchange.encode_batch([record_of(other_key)])).refused
    assert stranger.code is not Refusal.BUSY
    assert ingest.condition.slowed == 2
    clock.now_s += BURST_S + 1
    assert not answer(ingest, exchange.encode_batch(records[:5])).refused


def record_of(key: FileSigner) -> bytes:
    """A record with the id of another gateway than this key's."""
    return next(iter(hour(Pack(key))))


def test_bytes_that_are_not_signed_use_up_nobodys_share(
    database: Database, sink_key: FileSigner, records: list[bytes]
) -> None:
    ingest = Ingest(Store(database), sink_key, SINK, lambda: NOW_MS, rates=Rates(0, 1, Clock()))
    forged = bytearray(records[0])
    forged[-1] ^= 1
    for _ in range(100):
        answer(ingest, exchange.encode_batch([bytes(forged)]))
    assert not answer(ingest, exchange.encode_batch(records[:5])).refused
