"""What a stranger could forge without a key is refused, and so is what would be too long for a reader."""

from pathlib import Path

import pytest

from packseal.core import chain, columns, cose, exchange, record
from packseal.core.bodies import Event, Lifecycle, LifecycleCode, Telemetry
from packseal.core.chain import Head, Pen
from packseal.core.cose import Algorithm
from packseal.core.errors import FormatError, InputError
from packseal.core.record import GENESIS, Header
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.keys import file
from packseal.keys.file import FileSigner

AT = Instant(10**9, 1_800_000_000 * 10**9, ClockQuality.NTP)
HEADER = Header(bytes(16), 0, GENESIS, bytes(8), 1, 1_800_000_000_000, ClockQuality.NTP)


@pytest.fixture
def p256(tmp_path: Path) -> FileSigner:
    return file.create(tmp_path / "p256.pem", Algorithm.ES256)


def twin(raw: bytes) -> bytes:
    """The same COSE_Sign1 with the other form of its ES256 signature, made without the key."""
    return raw[:-32] + (cose.P256_ORDER - int.from_bytes(raw[-32:], "big")).to_bytes(32, "big")


def test_nobody_can_make_a_fork_of_an_honest_record(p256: FileSigner) -> None:
    raw = Pen(p256, "urn:a", "urn:b", bytes(16), bytes(8), Head()).write(Lifecycle(LifecycleCode.LOG_BEGUN), AT).raw
    other = twin(raw)
    cose.verify(cose.parse(other), p256.public)  # to ECDSA it is as good as the first
    assert record.record_hash(other) != record.record_hash(raw)
    with pytest.raises(FormatError, match="smaller s"):
        record.parse(other)
    with pytest.raises(FormatError, match="smaller s"):
        chain.verify_log([other], lambda _: p256.public)


def test_nobody_can_make_a_second_form_of_a_receipt(p256: FileSigner) -> None:
    raw = exchange.write_receipt(cose.Envelope(p256, "urn:sink", "urn:b"), (bytes(16), 7, bytes(32)), 1)
    assert exchange.verify_receipt(raw, p256.public).sequence == 7
    with pytest.raises(FormatError, match="smaller s"):
        exchange.verify_receipt(twin(raw), p256.public)


@pytest.mark.parametrize(("issuer", "subject"), [("urn:" + "a" * 252, "urn:b"), ("urn:a", "urn:" + "ä" * 126)])
def test_an_id_of_256_bytes_is_not_written(issuer: str, subject: str, signer: FileSigner) -> None:
    with pytest.raises(InputError, match="longer than 255 bytes"):
        Pen(signer, issuer, subject, bytes(16), bytes(8), Head())
    Pen(signer, issuer[:-1], subject[:-1], bytes(16), bytes(8), Head())


@pytest.mark.parametrize(
    "attributes", [{"a" * 65: 1}, {"ä" * 33: 1}, {"profile": "x" * 1025}, {"text": "ä" * 513}, {"digest": bytes(1025)}]
)
def test_an_attribute_that_is_too_long_is_not_written(attributes: dict[str, int | str | bytes]) -> None:
    with pytest.raises(InputError, match="is longer than"):
        record.encode_payload(HEADER, Event(EventCode.BUS_OFF, attributes))


def test_the_longest_attributes_read_back() -> None:
    body = Event(EventCode.BUS_OFF, {"ä" * 32: 1, "text": "ä" * 512, "digest": bytes(1024)})
    assert record.parse_payload(record.encode_payload(HEADER, body))[2] == body


def test_a_window_of_over_100_000_samples_is_not_written() -> None:
    with pytest.raises(ValueError, match="limit is 100000"):
        record.encode_payload(HEADER, Telemetry(0, 0, 100_001, 0, b""))


def test_contents_that_do_not_unfold_are_found(signer: FileSigner) -> None:
    pen = Pen(signer, "urn:a", "urn:b", bytes(16), bytes(8), Head())
    empty = columns.pack([])
    for body in (Telemetry(0, 0, 1, 0, empty), Telemetry(0, 0, 0, 0, b"no frame")):
        entry = record.verify(pen.write(body, AT).raw, signer.public)
        with pytest.raises(FormatError, match="telemetry columns"):
            record.check_contents(entry)
    record.check_contents(record.verify(pen.write(Event(EventCode.BUS_OFF), AT).raw, signer.public))
