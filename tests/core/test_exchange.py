"""What a sink is asked is bounded before it is believed."""

import cbor2
import pytest
import zstandard

from packseal.core import exchange
from packseal.core.errors import FormatError


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
