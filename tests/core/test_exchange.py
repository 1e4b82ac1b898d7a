"""What a sink is asked is bounded before it is believed."""

import cbor2
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from packseal.core import exchange
from packseal.core.errors import FormatError
from packseal.core.exchange import Batch, Early, LogEnd, Position, Reply, Whole

LOG = bytes(16)
numbers = st.integers(0, 2**64 - 1)
stretches = st.lists(numbers, min_size=2, max_size=2, unique=True).map(sorted)
logs = st.binary(min_size=16, max_size=16)
wholes = st.lists(st.builds(lambda log, pair: Whole(log, *pair), logs, stretches), max_size=3)
ranges = st.lists(numbers, min_size=2, max_size=8, unique=True).map(
    lambda found: list(zip(*[iter(sorted(found))] * 2, strict=False))
)


def batch(content: bytes) -> bytes:
    return cbor2.dumps({0: 1, 1: 1, 2: zstandard.ZstdCompressor(level=19).compress(content)}, canonical=True)


def test_a_batch_of_many_tiny_items_is_cut_short() -> None:
    with pytest.raises(FormatError, match="more than 10000 records"):
        exchange.decode_request(batch(b"\x00" * (8 << 20)))


def test_a_batch_that_unfolds_to_more_than_the_limit_is_refused_unread() -> None:
    with pytest.raises(FormatError, match="more than 8388608 bytes"):
        exchange.decode_request(batch(b"\x00" * ((8 << 20) + 1)))


def test_a_batch_of_unknown_size_is_bounded_while_it_unfolds() -> None:
    packer = zstandard.ZstdCompressor(level=19, write_content_size=False).compressobj()
    blob = packer.compress(b"\x00" * (9 << 20)) + packer.flush()
    with pytest.raises(FormatError):
        exchange.decode_request(cbor2.dumps({0: 1, 1: 1, 2: blob}, canonical=True))


@given(st.lists(st.integers(0, 99).map(cbor2.dumps), max_size=3), wholes)
def test_batches_and_early_requests_come_out_as_they_went_in(records: list[bytes], whole: list[Whole]) -> None:
    assert exchange.decode_request(exchange.encode_batch(records, whole)) == Batch(records, whole)
    assert exchange.decode_request(exchange.encode_early(records, whole)) == Early(records, whole)


def test_a_position_query_comes_out_as_it_went_in() -> None:
    ends = [LogEnd(LOG, 7, bytes(32))]
    assert exchange.decode_request(exchange.encode_position(ends)) == Position(ends)
    assert exchange.decode_request(exchange.encode_position([])) == Position([])


@given(st.dictionaries(logs, ranges, max_size=3))
def test_held_ranges_come_out_as_they_went_in(held: dict[bytes, list[tuple[int, int]]]) -> None:
    assert exchange.decode_reply(exchange.encode_reply(Reply(held=held))).held == held


def test_what_says_nothing_more_has_the_bytes_it_always_had() -> None:
    assert exchange.encode_batch([b"\x00"]).startswith(b"\xa3")
    assert exchange.encode_reply(Reply()) == bytes.fromhex("a3000101800280")


def test_only_the_lowest_of_too_many_held_ranges_are_told() -> None:
    many = [(2 * n, 2 * n + 1) for n in range(exchange.MAX_HELD_RANGES + 1)]
    told = exchange.decode_reply(exchange.encode_reply(Reply(held={LOG: many}))).held
    assert told == {LOG: many[:-1]}


@pytest.mark.parametrize(
    "more",
    [[], [[LOG, 3, 3]], [[LOG, 4, 3]], [[LOG, 3]], [[LOG[:15], 3, 4]], [[LOG, -1, 4]], [[LOG, True, 4]], 7],
    ids=str,
)
def test_a_whole_stretch_that_is_none_is_refused(more: object) -> None:
    blob = zstandard.compress(b"\x00")
    for kind in (1, 3):
        with pytest.raises(FormatError):
            exchange.decode_request(cbor2.dumps({0: 1, 1: kind, 2: blob, 3: more}, canonical=True))


@pytest.mark.parametrize(
    "more",
    [
        [],
        [[LOG, []]],
        [[LOG, [1]]],
        [[LOG, [1, 1]]],
        [[LOG, [2, 1]]],
        [[LOG, [1, 3, 3, 4]]],
        [[LOG, [4, 5, 1, 2]]],
        [[LOG, [1, 2]], [LOG, [3, 4]]],
        [[LOG, [1, 2, 3]]],
        [[LOG, list(range(2 * exchange.MAX_HELD_RANGES + 2))]],
        {},
    ],
    ids=lambda more: str(more)[:40],
)
def test_held_ranges_that_are_none_are_refused(more: object) -> None:
    with pytest.raises(FormatError):
        exchange.decode_reply(cbor2.dumps({0: 1, 1: [], 2: [], 3: more}, canonical=True))


@pytest.mark.parametrize(
    "request_",
    [
        {0: 1, 1: 4, 2: b""},
        {0: 2, 1: 1, 2: b""},
        {0: True, 1: 2, 2: []},
        {0: 1, 1: True, 2: b""},
        {0: 1, 1: 2, 2: [], 3: [[LOG, 0, 1]]},
    ],
    ids=str,
)
def test_a_request_of_no_known_form_is_refused(request_: object) -> None:
    with pytest.raises(FormatError):
        exchange.decode_request(cbor2.dumps(request_, canonical=True))
