"""Encodings turned round, and bytes put together."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal_drivers.decoding.encodings import ENCODINGS
from packseal_drivers.decoding.layout import Bits
from packseal_hil.faces.encodings import INVERSES, nearest_code
from packseal_hil.faces.patterns import assemble


def test_every_encoding_has_its_inverse() -> None:
    assert set(INVERSES) == set(ENCODINGS)


@given(st.sampled_from(sorted(ENCODINGS)), st.integers(0, 2**32 - 1), st.sampled_from([16, 32]))
def test_every_number_that_can_be_said_comes_back(name: str, raw: int, bits: int) -> None:
    bits = 16 if name == "medfloat16" else bits
    number = ENCODINGS[name](raw & ((1 << bits) - 1), bits)
    if isnan(number) or abs(number) == float("inf"):
        return
    assert ENCODINGS[name](INVERSES[name](number, bits), bits) == number


@given(st.sampled_from(sorted(ENCODINGS)), st.floats(-1e12, 1e12))
def test_what_cannot_be_said_stays_within_the_field(name: str, number: float) -> None:
    assert 0 <= INVERSES[name](number, 16) < 1 << 16


def test_the_nearest_code() -> None:
    assert nearest_code(24.0, {"0": 12, "1": 24, "7": 48}) == 1
    assert nearest_code(-3.0, {"0": 12, "1": 24, "7": 48}) == 0
    assert nearest_code(40.0, {"0": 12, "1": 24, "7": 48}) == 7


@pytest.mark.parametrize("length", [3, 8, 24])
def test_both_byte_orders_in_one_message(length: int) -> None:
    little = Bits(0, 16, big_endian=False, signed=False, is_float=False, scale=1, offset=0)
    big = Bits(0, 8, big_endian=True, signed=False, is_float=False, scale=1, offset=0)
    data = assemble(length, [(little, 0x1234), (big, 0xAB)])
    assert data == b"\x34\x12" + bytes(length - 3) + b"\xab"
