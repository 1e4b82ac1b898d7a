"""Values from registers: types, orders, scale factors, sentinels; and the tables of a Modbus profile."""

import math
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.errors import ConfigError
from packseal.core.sample import Flaw
from packseal_drivers.modbus.lines import WORDS, Register
from packseal_drivers.modbus.values import exponent_of, value_of
from packseal_drivers.profile import load

PACKED = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "u64": "Q", "s64": "q", "float32": "f", "float64": "d"}


def line(**more: object) -> Register:
    return msgspec.convert({"quantity": "pack_current_a", "address": 0, **more}, Register)


def words_of(data: bytes, word_order: str, byte_order: str) -> list[int]:
    words = [int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2)]
    if byte_order == "little":
        words = [(w & 0xFF) << 8 | w >> 8 for w in words]
    return words if word_order == "big" else words[::-1]


ORDER = st.sampled_from(["big", "little"])


@given(st.sampled_from(sorted(WORDS)), ORDER, ORDER, st.binary(min_size=8, max_size=8))
def test_every_type_in_every_order_is_what_struct_says(
    kind: str, word_order: str, byte_order: str, data: bytes
) -> None:
    data = data[: 2 * WORDS[kind]]
    (expected,) = struct.unpack(">" + PACKED[kind], data)
    value = value_of(
        words_of(data, word_order, byte_order), line(type=kind, word_order=word_order, byte_order=byte_order)
    )
    if math.isnan(expected):
        assert value is Flaw.NOT_A_NUMBER
    elif math.isinf(expected):
        assert value is Flaw.OUT_OF_RANGE
    else:
        assert value == float(expected)


@pytest.mark.parametrize(
    ("words", "more", "expected"),
    [
        ([123], {"factor": 0.1}, 12.3),
        ([0xFFFF - 122], {"type": "s16", "factor": -0.1}, 12.3),
        ([2953], {"factor": 0.1, "offset": -273.15}, 22.15),
        ([0x1234], {"bits": 8}, 0x34),
        ([0x1234], {"shift": 8}, 0x12),
        ([0xFE34], {"type": "s16", "shift": 8, "bits": 8}, -2),
        ([0x8005], {"encoding": "sign_magnitude"}, -5),
        ([3], {"encoding": "enumeration", "codes": {"3": 30.0}}, 30.0),
        ([4], {"encoding": "enumeration", "codes": {"3": 30.0}}, Flaw.OUT_OF_RANGE),
        ([0x00FA], {"encoding": "bcd"}, Flaw.NOT_A_NUMBER),
        ([0xFFFF], {"not_available": [0xFFFF]}, Flaw.NOT_AVAILABLE),
        ([0x7FFF], {"type": "s16", "not_available": [0x7FFF]}, Flaw.NOT_AVAILABLE),
        ([0x8000], {"type": "s16", "not_available": [-32768]}, Flaw.NOT_AVAILABLE),
        ([101], {"maximum": 100}, Flaw.OUT_OF_RANGE),
        ([0xFFFF], {"type": "s16", "minimum": 0}, Flaw.OUT_OF_RANGE),
    ],
)  # fmt: skip
def test_by_hand(words: list[int], more: dict[str, object], expected: float | Flaw) -> None:
    value = value_of(words, line(**more))
    assert value is expected if isinstance(expected, Flaw) else value == pytest.approx(expected)


@given(st.integers(0, 0xFFFF))
def test_a_scale_factor_is_a_power_of_ten_or_none(word: int) -> None:
    exponent = exponent_of(word)
    signed = word - 0x1_0000 if word >= 0x8000 else word
    assert exponent == (signed if -10 <= signed <= 10 else None)
    value = value_of([655], line(), exponent)
    if exponent is None:
        assert value is Flaw.NOT_AVAILABLE
    else:
        assert value == pytest.approx(655 * 10.0**exponent)


def test_a_scaled_value_is_the_number_that_a_person_writes() -> None:
    assert value_of([655], line(), -1) == 65.5
    assert value_of([3301], line(), -3) == 3.301


POINT = '[[point]]\nquantity = "cycles"\nname = "N"\n'
HEAD = 'name = "test/wrong"\ntitle = "Wrong"\nsource = "made up"\n'


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ('[[register]]\nquantity = "pack_voltage_v"\naddress = 65535\ntype = "u32"\n', "must stay within 0 and 65535"),
        ('[[register]]\nquantity = "pack_voltage_v"\naddress = -1\n', "must stay within 0 and 65535"),
        ('[[register]]\nquantity = "pack_voltage_v"\naddress = 1\nscale_address = 70000\n', "scale_address must be"),
        ('[[register]]\nquantity = "pack_voltage_v"\naddress = 1\nbits = 17\n', "shift and bits must stay"),
        ('[[register]]\nquantity = "pack_voltage_v"\naddress = 1\ntype = "float32"\nbits = 8\n', "a floating type has"),
        ('[[register]]\nquantity = "pack_voltage_v"\naddress = 1\nnot_available = [65536]\n', "must fit into the 16"),
        ('[[register]]\nquantity = "volts"\naddress = 1\n', "quantity must be one of"),
        ('[[register]]\nquantity = "pack_voltage_v"\ntable = "coils"\naddress = 1\n', "coils"),
        ('[modbus]\nmax_registers = 126\n[[register]]\nquantity = "cycles"\naddress = 1\n', "from 1 to 125"),
        ('[modbus]\nmax_gap = 125\n[[register]]\nquantity = "cycles"\naddress = 1\n', "from 0 to 124"),
        ('[modbus]\npause_s = 9\n[[register]]\nquantity = "cycles"\naddress = 1\n', "from 0 to 5 seconds"),
        ('[[point]]\nquantity = "cycles"\nmodel = 65535\nname = "X"\nat = 2\n', "model must be from 1"),
        ('[[point]]\nquantity = "cycles"\nmodel = 802\nname = "X"\nat = 1\n', "behind the model's ID"),
        ('[[point]]\nquantity = "cycles"\nmodel = 802\nname = "X"\nat = 2\ncount = 3\n', "belongs to a point"),
        (
            '[[point]]\nquantity = "cycles"\nmodel = 805\nname = "X"\nat = 50\nblock = { at = 44, length = 4 }\n',
            "within the first block",
        ),
        (
            f"{POINT}model = 9\nat = 9\nblock = {{ at = 9, length = 4, count_at = 9 }}\n",
            "count_at must be a fixed point",
        ),
        (
            f'[[register]]\nquantity = "pack_voltage_v"\naddress = 1\n{POINT}model = 9\nat = 4\n',
            "each stand alone",
        ),
        (
            '[[register]]\nquantity = "cycles"\naddress = 1\n[[register]]\nquantity = "cycles"\naddress = 2\n',
            "the same quantity at the same index",
        ),
    ],
)  # fmt: skip
def test_a_wrong_table_is_named_with_what_is_allowed(tables: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(HEAD + tables)
    with pytest.raises(ConfigError, match=r"wrong\.toml, line \d+") as caught:
        load("wrong.toml", tmp_path)
    assert said in str(caught.value)
