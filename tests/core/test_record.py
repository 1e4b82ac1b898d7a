"""The record format: round trip, the one canonical form, and that every change is caught."""

from collections.abc import Callable

import cbor2
import pytest

from packseal.core import cbor, columns, cose, record
from packseal.core.bodies import Body, Event, Gap, GapCause, Kind, Lifecycle, LifecycleCode, Telemetry
from packseal.core.chain import Head, Pen, advance, verify_log
from packseal.core.errors import FormatError, PacksealError, VerifyError
from packseal.core.passport import Field, Method, Missing, Originator, Reading, Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Flaw, Instant, Sample
from packseal.keys import file
from packseal.keys.file import FileSigner

START_MS = 1_800_000_000_000
TEN_YEARS_MS = 315_360_000_000
WORKSHOP_FIELDS = [
    Field.STATE_OF_CHARGE,
    Field.STATE_OF_HEALTH_BMS,
    Field.FULL_EQUIVALENT_CYCLES,
    Field.CAPACITY_THROUGHPUT,
    Field.ENERGY_THROUGHPUT,
    Field.TIME_EXTREME_HIGH,
    Field.TIME_EXTREME_LOW,
    Field.DEEP_DISCHARGE_EVENTS,
    Field.OVERCHARGE_EVENTS,
    Field.REMAINING_CAPACITY,
    Field.CAPACITY_FADE,
]


def snapshot(fields: list[Field], cells: int = 16) -> Snapshot:
    readings = [
        Reading(f, 1234.0, None, Originator.DERIVED, Method.TRAPEZOID, START_MS - 700, 12.0, 0.987)
        if f.code % 5
        else Reading(f, missing=Missing.NOT_DECLARED)
        for f in sorted(fields, key=lambda f: f.code)
    ]
    present = {Channel(Quantity.PACK_VOLTAGE_V): 391.2}
    return Snapshot(tuple(readings), present, tuple(3700 + i for i in range(cells)), START_MS - TEN_YEARS_MS)


def window() -> Telemetry:
    channel = Channel(Quantity.PACK_CURRENT_A)
    samples = [
        Sample(
            Instant((10 + i) * 10**9, 0, ClockQuality.NTP),
            {channel: i - 30.25},
            {Channel(Quantity.PACK_VOLTAGE_V): Flaw.NOT_A_NUMBER},
        )
        for i in range(60)
    ]
    return Telemetry(10_000, START_MS, 60, 59_000, columns.pack(samples))


BODIES: list[Body] = [
    snapshot(list(Field)),
    window(),
    Event(EventCode.BUS_OFF, {"count": 3, "channel": "can0"}),
    Gap(GapCause.UNCLEAN_STOP, START_MS, START_MS + 5000),
    Lifecycle(LifecycleCode.CLOCK_STEPPED, {"step_ms": -31_536_000_000}),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda b: type(b).__name__)
def test_a_record_reads_back_as_it_was_written(
    body: Body, pen: Pen, signer: FileSigner, at: Callable[[float], Instant]
) -> None:
    sealed = pen.write(body, at(0))
    entry = record.verify(sealed.raw, signer.public)
    assert entry.body == body
    assert (entry.issuer, entry.subject) == ("urn:packseal:gateway:test", "urn:example:battery:1")
    assert entry.header.sequence == 0
    assert entry.hash == sealed.hash


def test_telemetry_unfolds_to_the_samples(pen: Pen, at: Callable[[float], Instant]) -> None:
    body = record.parse(pen.write(window(), at(0)).raw).body
    assert isinstance(body, Telemetry)
    rows = body.rows()
    assert [r[0] for r in rows] == [10_000 + 1000 * i for i in range(60)]
    assert rows[7][1] == {Channel(Quantity.PACK_CURRENT_A): -23.25}
    assert rows[7][2] == {Channel(Quantity.PACK_VOLTAGE_V): Flaw.NOT_A_NUMBER}


def test_a_workshop_snapshot_fits_the_smallest_tag(pen: Pen, at: Callable[[float], Instant]) -> None:
    assert len(pen.write(snapshot(WORKSHOP_FIELDS), at(0)).raw) <= 503


@pytest.mark.parametrize("body", BODIES, ids=lambda b: type(b).__name__)
def test_every_flipped_bit_is_caught(body: Body, pen: Pen, signer: FileSigner, at: Callable[[float], Instant]) -> None:
    raw = pen.write(body, at(0)).raw
    for position in range(len(raw)):
        flipped = bytearray(raw)
        flipped[position] ^= 1 << (position % 8)
        with pytest.raises(PacksealError):
            record.verify(bytes(flipped), signer.public)


def resealed(raw: bytes, change: Callable[[dict[int, object]], None], signer: FileSigner) -> bytes:
    """A record with one thing in its payload changed, signed again by the rightful key."""
    message = cose.parse(raw)
    payload = dict(cbor2.loads(message.payload))
    change(payload)
    return cose.Envelope(signer, "urn:packseal:gateway:test", "urn:example:battery:1").seal(cbor.encode(payload))


@pytest.mark.parametrize(
    ("key", "value"),
    [(0, 2), (1, 9), (2, b"short"), (3, -1), (4, b""), (5, bytes(9)), (6, 1.5), (7, "now"), (8, 7), (9, {}), (10, 0)],
)
def test_a_wrong_payload_is_refused_though_signed(
    key: int, value: object, pen: Pen, signer: FileSigner, at: Callable[[float], Instant]
) -> None:
    raw = pen.write(BODIES[2], at(0)).raw
    assert record.verify(resealed(raw, lambda _: None, signer), signer.public).kind is Kind.EVENT
    with pytest.raises(FormatError):
        record.verify(resealed(raw, lambda p: p.__setitem__(key, value), signer), signer.public)


def test_a_form_that_is_not_canonical_is_refused(pen: Pen, at: Callable[[float], Instant]) -> None:
    raw = pen.write(BODIES[2], at(0)).raw
    with pytest.raises(FormatError):
        record.parse(raw + b"\x00")
    with pytest.raises(FormatError):
        record.parse(b"\xd8\x12" + raw[1:])  # tag 18 in two bytes
    message = cose.parse(raw)
    loose = cbor2.dumps(cbor2.CBORTag(18, [message.protected, {99: 1}, message.payload, message.signature]))
    with pytest.raises(FormatError, match="unprotected"):
        record.parse(loose)


def test_a_float_or_a_deep_nest_is_refused() -> None:
    with pytest.raises(FormatError):
        cbor.decode(b"\x81" * 50 + b"\x00", "nest")
    assert cbor.decode(cbor.encode([1, "a", b"b", None, True, {1: -1}]), "plain") is not None


def test_the_chain_shows_what_is_missing_or_exchanged(
    pen: Pen, signer: FileSigner, at: Callable[[float], Instant]
) -> None:
    raws = [pen.write(body, at(i)).raw for i, body in enumerate(BODIES)]
    assert verify_log(raws, lambda _: signer.public).next_sequence == len(BODIES)
    with pytest.raises(VerifyError, match="stands where 2 must follow"):
        verify_log([*raws[:2], *raws[3:]], lambda _: signer.public)
    other = Pen(
        signer, "urn:packseal:gateway:test", "urn:example:battery:1", bytes(range(16)), bytes(8), Head(2, bytes(32))
    )
    with pytest.raises(VerifyError, match="chain is broken"):
        verify_log([*raws[:2], other.write(BODIES[3], at(9)).raw], lambda _: signer.public)
    with pytest.raises(VerifyError):
        advance(Head(), record.parse(raws[1]))


def test_another_key_is_refused(
    pen: Pen, at: Callable[[float], Instant], signer: FileSigner, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = file.create(tmp_path_factory.mktemp("stranger") / "k.pem", signer.algorithm)
    with pytest.raises(VerifyError, match="signed by key"):
        record.verify(pen.write(BODIES[3], at(0)).raw, stranger.public)
