"""Frames shorter than their definition: what lies wholly inside is read as ever, the rest is not guessed."""

from pathlib import Path
from typing import Any

import cantools.database
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packseal_drivers import profile
from packseal_drivers.decoding import SHORT, UNKNOWN_MULTIPLEXER, Decoders, compile_decoders
from packseal_drivers.decoding.layout import EXTENDED

NAMES = [name for name in profile.names() if profile.load(name).dbc]
COMPILED: dict[str, tuple[Decoders, dict[int, Any]]] = {}
DBC = """VERSION ""
BU_: A
BO_ 1 M: 8 A
 SG_ Big : 7|16@0- (1,0) [0|0] "" A
 SG_ Little : 20|12@1+ (1,0) [0|0] "" A
 SG_ Last : 56|8@1+ (1,0) [0|0] "" A
"""
TOML = """name = "a/b"
title = "t"
source = "a test"
dbc = "a.dbc"
"""
LINE = '[[signal]]\nmessage = "M"\nsignal = "{}"\nquantity = "cell_voltage_v"\nindex = {}\n'


def compiled(name: str) -> tuple[Decoders, dict[int, Any]]:
    if name not in COMPILED:
        file = profile.load(name)
        database: Any = cantools.database.load_string(file.dbc.decode("cp1252"), "dbc", strict=False)
        messages = {m.frame_id | (EXTENDED if m.is_extended_frame else 0): m for m in database.messages}
        COMPILED[name] = compile_decoders(file), messages
    return COMPILED[name]


def told(decoders: Decoders, address: int, data: bytes) -> tuple[int | None, dict[int, Any]]:
    slots: list[Any] = [[] if averaged else None for averaged in decoders.averaged]
    flags: dict[int, Any] = {}
    result = decoders.table[address](data, slots, flags.__setitem__)
    said = {i: v for i, v in enumerate(slots) if v not in (None, [], [None])}
    return result, said | {slot: ("flaw", flaw) for slot, flaw in flags.items()}


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_fields_inside_are_those_of_the_whole_frame_and_no_other(data: st.DataObject) -> None:
    decoders, messages = compiled(data.draw(st.sampled_from(NAMES)))
    address = data.draw(st.sampled_from(sorted(decoders.table)))
    length = messages[address].length
    whole = data.draw(st.binary(min_size=length, max_size=length))
    short = whole[: data.draw(st.integers(0, length - 1))]
    result, said = told(decoders, address, short)
    assert result == SHORT
    _, known = told(decoders, address, whole)
    assert said.items() <= known.items()
    other = told(decoders, address, short + bytes(255 - b for b in whole[len(short) :]))
    if other[0] not in (SHORT, UNKNOWN_MULTIPLEXER) and not messages[address].is_multiplexed():
        assert said.items() <= other[1].items(), "a value depends on bytes that did not come"


@pytest.mark.parametrize(
    ("length", "said"), [(0, {}), (1, {}), (2, {0: -2}), (3, {0: -2}), (4, {0: -2, 1: 0xABC}), (7, {0: -2, 1: 0xABC})]
)
def test_both_byte_orders_are_cut_off_at_their_own_last_byte(
    tmp_path: Path, length: int, said: dict[int, float]
) -> None:
    (tmp_path / "a.dbc").write_text(DBC)
    (tmp_path / "a.toml").write_text(TOML + "".join(LINE.format(s, i) for i, s in enumerate(("Big", "Little", "Last"))))
    decoders = compile_decoders(profile.load("a.toml", tmp_path))
    whole = bytes([0xFF, 0xFE, 0xC0, 0xAB, 0, 0, 0, 9])
    assert told(decoders, 1, whole[:length]) == (SHORT, said)
    assert told(decoders, 1, whole) == (None, {0: -2, 1: 0xABC, 2: 9})
