"""What is taken apart the short way is taken exactly as the long way takes it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from tests.core.bodies import BODIES, WALL_MS

from packseal.core import cbor, columns, cose, readings_cbor, record
from packseal.core.bodies import Body, Telemetry
from packseal.core.chain import Pen
from packseal.core.errors import FormatError
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, Flaw, Instant, Sample

SMALL = st.integers(-3, 3)
NUMBERS = SMALL | st.integers(-(1 << 65), 1 << 65) | st.sampled_from([10**15, 10**15 - 1, -(10**15), 1 << 63])
ITEMS = NUMBERS | st.none() | st.booleans() | st.floats(allow_nan=False) | st.binary(max_size=2)
CHANNELS = st.builds(Channel, st.sampled_from([Quantity.PACK_VOLTAGE_V, Quantity.CELL_VOLTAGE_V]), st.integers(0, 2))


def unfolds(body: Telemetry) -> bool:
    try:
        return bool(body.rows())
    except FormatError:
        return False


def is_sound(body: Telemetry) -> bool:
    return columns.is_sound(body.blob, body.first_mono_ms, body.count, body.span_ms)


def folded(content: object) -> bytes:
    return zstandard.ZstdCompressor().compress(cbor.encode_ordered(content))


@given(
    values=st.lists(st.dictionaries(CHANNELS, st.none() | st.integers(-5, 5)), min_size=1, max_size=5),
    flawed=st.booleans(),
)
def test_what_the_agent_packs_is_sound_unless_it_has_flaws(
    values: list[Mapping[Channel, int | None]], *, flawed: bool
) -> None:
    flaws = {Channel(Quantity.CYCLES): Flaw.OUT_OF_RANGE} if flawed else {}
    samples = [
        Sample(Instant(n * 10**9, n, ClockQuality.NTP), {c: float(v) for c, v in row.items() if v is not None}, flaws)
        for n, row in enumerate(values)
    ]
    body = Telemetry(0, 0, len(samples), 1000 * (len(samples) - 1), columns.pack(samples))
    assert unfolds(body)
    assert is_sound(body) is not flawed
    body.check()


@given(st.data())
def test_what_is_sound_unfolds_whatever_it_is(data: st.DataObject) -> None:
    """Nearly right columns: each part is what it should be or something else."""
    count = data.draw(st.integers(0, 3))
    times = [data.draw(st.sampled_from([0, 1]) | ITEMS) for _ in range(count)]
    column = st.tuples(
        st.sampled_from([1, 8]) | ITEMS,
        st.integers(0, 1) | ITEMS,
        st.sampled_from([1, 2]) | ITEMS,
        st.lists(SMALL | ITEMS, min_size=count, max_size=count),
    ).map(list)
    content = {1: times, 2: data.draw(st.lists(column, max_size=2))}
    if data.draw(st.booleans()):
        content = dict(reversed(content.items()))
    first = times[0] if times and type(times[0]) is int else 0
    body = Telemetry(first, 0, count, data.draw(st.integers(0, 3)), folded(content))
    try:
        sound = is_sound(body)
    except FormatError:
        sound = False
    assert not sound or unfolds(body)


@pytest.mark.parametrize(
    "column",
    [
        [1, 0, 2, [1, 1]],
        [1, 0, 1, [2, 2]],
        [1, 0, 3, [0, 0]],
        [1, 0, 1, [None, None]],
        [1, 0, 1, [10**15, -1]],
        [1, 1 << 64, 1, [1, 1]],
        [999, 0, 1, [1, 1]],
        [1, 0, 1, [True, 1]],
    ],
    ids=["good", "steps", "zeros", "nothing", "too large", "index", "quantity", "truth"],
)
def test_one_wrong_thing_in_a_column_is_seen_either_way(column: list[object]) -> None:
    body = Telemetry(5, 0, 2, 1, folded({1: [5, 1], 2: [column]}))
    assert is_sound(body) is unfolds(body) is (column == [1, 0, 2, [1, 1]])


@given(st.binary(max_size=40), st.binary(max_size=300), st.binary(max_size=70), st.data())
def test_an_envelope_is_split_only_where_it_is_in_its_one_form(
    protected: bytes, payload: bytes, signature: bytes, data: st.DataObject
) -> None:
    parts = [b"\xd2\x84", cbor.byte_string(protected), b"\xa0", cbor.byte_string(payload), cbor.byte_string(signature)]
    raw = b"".join(parts)
    assert cose.split(raw + b"more") == (cose.parse(raw), len(raw))
    place = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:place] + data.draw(st.binary(max_size=2)) + raw[place + 1 :]
    if (found := cose.split(changed)) is not None:
        assert cbor.decode(changed[: found[1]], "an envelope") is not None
        assert cose.parse(changed[: found[1]]) == found[0]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_what_is_encoded_in_order_is_the_deterministic_form(
    body: Body, pen: Pen, at: Callable[[float], Instant]
) -> None:
    raw = pen.write(body, at(1)).raw
    payload = cose.parse(raw).payload
    assert cbor.encode(cbor.decode(payload, "payload")) == payload
    assert record.parse(raw).body == body or not isinstance(body, Snapshot | Telemetry)


READING = st.one_of(
    st.tuples(st.integers(1, 4), st.none(), st.integers(0, 8) | ITEMS),
    st.tuples(st.integers(1, 4), NUMBERS, st.sampled_from([1, 2, 2.0, True]), st.sampled_from([1, 2, 19]), NUMBERS),
    st.tuples(st.integers(1, 4), SMALL, st.just(1), st.just(1), SMALL, ITEMS | st.integers(0, 99)),
    st.tuples(st.integers(1, 4), SMALL, st.just(1), st.just(1), SMALL, ITEMS, st.none() | st.integers(0, 1001)),
).map(list)
PRESENT = st.tuples(st.integers(1, 2) | ITEMS, st.integers(0, 2) | ITEMS, NUMBERS).map(list)


@given(
    readings=st.lists(READING, max_size=3, unique_by=lambda part: part[0]).map(lambda parts: sorted(parts, key=first)),
    present=st.none() | st.lists(PRESENT, max_size=3),
    cells=st.none() | st.just([3700, b"\x7f\x80"]),
    began=st.none() | ITEMS,
    longer=st.booleans(),
)
def test_a_snapshot_is_taken_only_in_its_one_form(
    readings: list[list[object]], present: object, cells: object, began: object, *, longer: bool
) -> None:
    body = {1: readings} | {key: part for key, part in ((2, present), (3, cells), (4, began)) if part is not None}
    start = {0: 1, 1: 1, 2: bytes(16), 3: 1, 4: bytes(32), 5: bytes(8), 6: 1, 7: WALL_MS, 8: 1}
    payload = cbor.encode_ordered({**start, 9: body})
    if longer:  # the same, but for a head that is longer than it need be
        at = payload.rindex(cbor.encode_ordered(body)) + 2
        payload = payload[:at] + bytes([0x98, payload[at] & 0x1F]) + payload[at + 1 :]
    try:
        header, _, found = record.parse_payload(payload)
    except (FormatError, TypeError):
        return
    assert not longer
    assert record.encode_payload(header, found) == payload


def first(parts: list[object]) -> int:
    assert isinstance(parts[0], int)
    return parts[0]


def test_snapshots_without_cells_are_taken_the_short_way(pen: Pen, at: Callable[[float], Instant]) -> None:
    """Else all of the above shows nothing."""
    body = next(body for body in BODIES if isinstance(body, Snapshot))
    raw = pen.write(replace(body, cells_mv=()), at(1)).raw
    value = cbor.decode(cose.parse(raw).payload, "payload")[9]
    assert readings_cbor.encoded_size(value) == len(cbor.encode(value))
