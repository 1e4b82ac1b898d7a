"""What only looks like our format is refused, and no value that a driver can deliver makes a record that we refuse."""

from collections.abc import Mapping
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from packseal.core import cbor, columns, cose, record
from packseal.core.bodies import Body, Event, Gap, Kind, Lifecycle, LifecycleCode, Telemetry
from packseal.core.chain import Head, Pen, SealedRecord, verify_log
from packseal.core.declared import Declared
from packseal.core.errors import FormatError, VerifyError
from packseal.core.meter import Meter
from packseal.core.passport import Field, Method, Missing, Originator, Reading, Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.record import GENESIS, Header
from packseal.core.sample import ClockQuality, EventCode, Flaw, Instant, Sample
from packseal.core.sealer import Sealer
from packseal.keys.file import FileSigner

WALL_MS = 1_800_000_000_000
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
CHANNELS = st.builds(Channel, st.sampled_from(Quantity), st.integers(0, 3))


def again(body: Body) -> Body:
    """The body after a way through its bytes."""
    header = Header(bytes(16), 0, GENESIS, bytes(8), 1, WALL_MS, ClockQuality.NTP)
    return record.parse_payload(record.encode_payload(header, body))[2]


@given(
    st.lists(st.none() | st.integers(-1000, 6000) | st.integers(3600, 3900), min_size=1, max_size=300).filter(any),
    st.none() | st.integers(0, 2 * WALL_MS),
)
def test_any_cell_voltages_make_a_record_that_reads_back(cells_mv: list[int | None], began_ms: int | None) -> None:
    body = Snapshot((), {}, tuple(cells_mv), began_ms)
    assert again(body) == body


def test_cells_of_which_none_is_known_are_left_out() -> None:
    assert again(Snapshot((), {}, (None, None))) == Snapshot(())


def test_a_dead_cell_costs_a_few_bytes_and_no_other_cell_its_last_digit() -> None:
    def size(cells_mv: list[int]) -> int:
        header = Header(bytes(16), 0, GENESIS, bytes(8), 1, WALL_MS, ClockQuality.NTP)
        return len(record.encode_payload(header, Snapshot((), {}, cells_mv)))

    alive = [3700 + i for i in range(96)]
    assert size([*alive[:40], 0, *alive[41:]]) - size(alive) <= 6


@example({}, 0.0, 67108864.45898438, 0.0)  # times 10**4 and back it is not the same number
@given(st.dictionaries(CHANNELS, ANY_FLOAT), ANY_FLOAT, ANY_FLOAT.filter(lambda u: not u < 0), st.floats(0, 1.01))
def test_any_value_makes_a_snapshot_that_reads_back(
    present: Mapping[Channel, float], value: float, uncertainty: float, coverage: float
) -> None:
    reading = Reading(
        Field.ENERGY_THROUGHPUT, value, None, Originator.BMS, Method.AS_REPORTED, WALL_MS + 5, uncertainty, coverage
    )
    body = again(Snapshot((reading,), present))
    assert isinstance(body, Snapshot)
    for channel, number in body.present.items():
        assert number == pytest.approx(present[channel], abs=0.5 * 10**-channel.quantity.decimals)
    (read,) = body.readings
    if abs(value) < 1e10:
        assert read.value == pytest.approx(value, abs=0.5e-4)
        if uncertainty < 1e10:
            assert read.uncertainty is not None
            assert uncertainty * (1 - 1e-9) - 1e-9 <= read.uncertainty <= uncertainty + 1.1e-4
    elif not abs(value) < 1e12:
        assert read.missing is Missing.FLAWED


def test_a_small_uncertainty_never_becomes_none() -> None:
    for uncertainty, kept in [(0.0, 0.0), (1e-5, 1e-4), (0.0003, 0.0003), (0.00031, 0.0004), (0.6, 0.6)]:
        reading = Reading(
            Field.ENERGY_THROUGHPUT, 1.0, None, Originator.DERIVED, Method.TRAPEZOID, WALL_MS, uncertainty, 1.0
        )
        body = again(Snapshot((reading,), {}))
        assert isinstance(body, Snapshot)
        assert body.readings[0].uncertainty == kept


@given(st.lists(st.dictionaries(CHANNELS, ANY_FLOAT), min_size=1, max_size=5))
def test_any_values_make_telemetry_that_reads_back(values: list[Mapping[Channel, float]]) -> None:
    samples = [Sample(Instant(i * 10**9, 0, ClockQuality.NTP), said) for i, said in enumerate(values)]
    rows = Telemetry(0, 0, len(samples), 1000 * (len(samples) - 1), columns.pack(samples)).rows()
    for sample, (_, read, flaws) in zip(samples, rows, strict=True):
        assert read.keys() | flaws.keys() == sample.values.keys()
        assert set(flaws.values()) <= {Flaw.OUT_OF_RANGE}
        assert all(abs(sample.values[c]) < 1e9 for c in read)


def test_a_truth_value_is_written_as_a_number() -> None:
    assert again(Event(EventCode.BUS_OFF, {"first": True})) == Event(EventCode.BUS_OFF, {"first": 1})


@pytest.mark.parametrize("number", [1 << 63, -(1 << 70)])
def test_an_attribute_beyond_64_bits_is_refused(number: int) -> None:
    with pytest.raises(FormatError, match="64-bit"):
        again(Event(EventCode.BUS_OFF, {"count": number}))


@pytest.mark.parametrize(
    "protected",
    [
        {1: -8.0, 4: bytes(32), 15: {1: "urn:a", 2: "urn:b"}},
        {1.0: -8, 4: bytes(32), 15: {1: "urn:a", 2: "urn:b"}},
        {True: -8, 4: bytes(32), 15: {1: "urn:a", 2: "urn:b"}},
        {1: [-8], 4: bytes(32), 15: {1: "urn:a", 2: "urn:b"}},
    ],
    ids=["float algorithm", "float key", "boolean key", "array for an algorithm"],
)
def test_what_python_takes_for_the_same_number_is_refused(protected: object) -> None:
    header = Header(bytes(16), 0, GENESIS, bytes(8), 1, WALL_MS, ClockQuality.NTP)
    payload = record.encode_payload(header, Lifecycle(LifecycleCode.LOG_BEGUN))
    parts: tuple[object, ...] = (cbor.encode(protected), {}, payload, bytes(64))
    with pytest.raises(FormatError):
        record.parse(b"\xd2" + cbor.encode(parts))


def test_the_first_record_names_no_predecessor() -> None:
    header = Header(bytes(16), 0, bytes(31) + b"\x01", bytes(8), 1, WALL_MS, ClockQuality.NTP)
    with pytest.raises(FormatError, match="first record"):
        record.parse_payload(record.encode_payload(header, Lifecycle(LifecycleCode.LOG_BEGUN)))


def test_a_log_speaks_of_one_battery(signer: FileSigner) -> None:
    at = Instant(0, 0, ClockQuality.NTP)
    first = Pen(signer, "urn:a", "urn:b", bytes(16), bytes(8), Head())
    raw = first.write(Lifecycle(LifecycleCode.LOG_BEGUN), at).raw
    other = Pen(signer, "urn:a", "urn:other", bytes(16), bytes(8), first.head)
    with pytest.raises(VerifyError, match="another log, gateway or battery"):
        verify_log([raw, other.write(Lifecycle(LifecycleCode.AGENT_STARTED), at).raw], lambda _: signer.public)


def test_an_ecdsa_signature_takes_its_smaller_form() -> None:
    envelope = cose.Envelope(FileSigner(ec.generate_private_key(ec.SECP256R1())), "urn:a", "urn:b")
    for number in range(8):  # half of all signatures would be the larger one
        s = int.from_bytes(envelope.seal(bytes([number]))[-32:], "big")
        assert 0 < s <= cose.P256_ORDER // 2


def test_the_fullest_window_is_a_record_that_we_take(signer: FileSigner) -> None:
    cells = [Channel(Quantity.CELL_VOLTAGE_V, i) for i in range(200)]
    random = Random(1)
    pen = Pen(signer, "urn:a", "urn:b", bytes(16), bytes(8), Head())
    sealer = Sealer(pen, Meter(Declared(), frozenset({Quantity.CELL_VOLTAGE_V})), 600, None)
    sealed: list[SealedRecord] = []
    for i in range(501):
        values = {c: random.uniform(-9e8, 9e8) for c in cells}  # nothing that compresses
        sealed += [r for s in sealer.feed(Sample(Instant(i * 10**9, 0, ClockQuality.NTP), values)) for r in s.records]
    window = next(record.parse(r.raw) for r in sealed if r.kind is Kind.TELEMETRY)
    assert isinstance(window.body, Telemetry)
    assert (window.body.count, len(window.body.rows()[0][1])) == (500, 200)
    assert 500_000 < len(window.raw) < record.MAX_RECORD_BYTES


def test_a_gap_before_the_clock_was_set_begins_at_zero(signer: FileSigner) -> None:
    pen = Pen(signer, "urn:a", "urn:b", bytes(16), bytes(8), Head())
    sealer = Sealer(pen, Meter(Declared(), frozenset({Quantity.PACK_VOLTAGE_V})), 60, None)
    sealer.feed(Sample(Instant(0, 0, ClockQuality.UNSYNCHRONISED), {Channel(Quantity.PACK_VOLTAGE_V): 400.0}))
    late = Sample(Instant(10**12, 5 * 10**9, ClockQuality.UNSYNCHRONISED), {Channel(Quantity.PACK_VOLTAGE_V): 400.0})
    gaps = [b for s in sealer.feed(late) for r in s.records if isinstance(b := record.parse(r.raw).body, Gap)]
    assert [(g.from_wall_ms, g.to_wall_ms) for g in gaps] == [(0, 5000)]
