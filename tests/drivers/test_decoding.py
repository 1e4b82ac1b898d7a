"""Generated decoders against cantools on any contents, flaws included."""

import math
import struct
from pathlib import Path
from typing import Any

import cantools.database
import pytest
from cantools.database.can import Message
from cantools.database.errors import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from tests.drivers import everything

from packseal.core.sample import Flaw
from packseal_drivers import profile
from packseal_drivers.decoding import SHORT, UNKNOWN_MULTIPLEXER, Decoders, compile_decoders
from packseal_drivers.decoding.layout import EXTENDED
from packseal_drivers.profile import Mapped, ProfileFile

NAMES = ["everything", *(name for name in profile.names() if profile.load(name).profile.dbc)]


class Case:
    """A profile, its decoders, and cantools' own understanding of its DBC."""

    def __init__(self, file: ProfileFile) -> None:
        self.decoders: Decoders = compile_decoders(file)
        database = cantools.database.load_string(file.dbc.decode("cp1252"), "dbc")
        assert isinstance(database, cantools.database.can.Database)
        self.mapped = list(enumerate(file.profile.mapped()))
        self.messages = {m.frame_id | (EXTENDED if m.is_extended_frame else 0): m for m in database.messages}

    def decode(self, address: int, data: bytes) -> tuple[list[Any], int | None]:
        slots: list[Any] = [[] if a else None for a in self.decoders.averaged]
        trouble = self.decoders.table[address](data, slots, lambda _, flaw: Flaw(flaw))
        return [(s[-1] if s else None) if isinstance(s, list) else s for s in slots], trouble

    def expect(self, address: int, data: bytes) -> list[Any]:
        """Return what cantools and the profile say each slot must hold; raises DecodeError for no such multiplexer."""
        message = self.messages[address]
        scaled = message.decode(data, decode_choices=False)
        raw = message.decode(data, decode_choices=False, scaling=False)
        assert isinstance(scaled, dict)
        assert isinstance(raw, dict)
        mine = [(slot, m) for slot, m in self.mapped if m.message == message.name and m.signal in scaled]
        expected: list[Any] = [None] * len(self.mapped)
        for slot, mapped in mine:
            length = message.get_signal_by_name(mapped.signal).length
            expected[slot] = meaning(mapped, float(scaled[mapped.signal]), raw[mapped.signal], length)  # type: ignore[arg-type]
        return expected


def meaning(mapped: Mapped, physical: float, raw: float, length: int) -> float | Flaw:
    line = mapped.line
    value = physical * line.factor + line.offset
    patterns = {p % 2**length for p in line.not_available}
    if isinstance(raw, int) and raw % 2**length in patterns:
        return Flaw.NOT_AVAILABLE
    if math.isnan(value):
        return Flaw.NOT_A_NUMBER  # a payload that is a pattern does not survive cantools; it is tested on its own
    low = -math.inf if line.minimum is None else line.minimum
    high = math.inf if line.maximum is None else line.maximum
    return value if low <= value <= high and math.isfinite(value) else Flaw.OUT_OF_RANGE


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Case]:
    made = {"everything": Case(everything.write(tmp_path_factory.mktemp("everything")))}
    return made | {name: Case(profile.load(name)) for name in NAMES if name not in made}


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_contents_mean_what_cantools_says(cases: dict[str, Case], name: str, data: st.DataObject) -> None:
    case = cases[name]
    for address, message in case.messages.items():
        payload = data.draw(st.binary(min_size=message.length, max_size=message.length + 8))
        if message.is_multiplexed() and data.draw(st.booleans()):
            payload = bytes([data.draw(st.integers(0, 0x9F)) % 0xA0]) + payload[1:]
        found, trouble = case.decode(address, payload)
        try:
            expected = case.expect(address, payload)
        except DecodeError:
            assert trouble == UNKNOWN_MULTIPLEXER
        else:
            assert trouble is None
            assert found == expected
            assert all(type(x) in (float, Flaw, type(None)) for x in found)


def heads(message: Message) -> list[bytes]:
    """Every first byte and, for a multiplexer of two bytes, every one of its values that chooses something."""
    wide = any(s.is_multiplexer and s.start == 0 and s.length == 16 for s in message.signals)
    chosen = {i for s in message.signals for i in s.multiplexer_ids or ()} if wide else set()
    return [bytes([first]) for first in range(256)] + [i.to_bytes(2, "little") for i in sorted(chosen)]


def payloads(message: Message, fill: int) -> list[bytes]:
    """Payloads of one byte but for their heads, and but for a multiplexer that is a byte further behind."""
    made = [head + bytes([fill]) * (message.length - len(head)) for head in heads(message)]
    for at in {s.start // 8 for s in message.signals if s.is_multiplexer and s.length == 8 and s.start >= 8}:
        chosen = {i for s in message.signals for i in s.multiplexer_ids or ()}
        blank = bytes([fill]) * message.length
        made += [blank[:at] + bytes([i]) + blank[at + 1 :] for i in sorted(chosen)]
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_mapped_signal_is_met_with_both_signs_and_both_ends(cases: dict[str, Case], name: str) -> None:
    case = cases[name]
    met: set[int] = set()
    for address, message in case.messages.items():
        for fill in (0x00, 0xFF, 0x7F, 0x80, 0x01):
            for payload in payloads(message, fill):
                found, trouble = case.decode(address, payload)
                if trouble is None:
                    assert found == case.expect(address, payload)
                    met |= {i for i, x in enumerate(found) if x is not None}
    assert met == set(range(len(case.mapped)))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_bytes_raise_nothing_and_give_nothing_out_of_range(
    cases: dict[str, Case], name: str, data: st.DataObject
) -> None:
    case = cases[name]
    for address, message in case.messages.items():
        payload = data.draw(st.binary(max_size=80))
        found, trouble = case.decode(address, payload)
        assert (trouble == SHORT) == (len(payload) < message.length)
        for slot, mapped in case.mapped:
            value, line = found[slot], mapped.line
            if isinstance(value, float):
                assert math.isfinite(value)
                assert line.minimum is None or value >= line.minimum
                assert line.maximum is None or value <= line.maximum


@given(st.floats(width=32))
@example(math.nan)
@example(math.inf)
@example(-math.inf)
@example(1e6)
@example(-1e6)
def test_floats_are_flagged_by_what_is_wrong_with_them(cases: dict[str, Case], value: float) -> None:
    found, _ = cases["everything"].decode(0x200, struct.pack("<f", value) + bytes(20))
    good = -1e6 <= value <= 1e6
    assert found[4] == (value if good else Flaw.NOT_A_NUMBER if math.isnan(value) else Flaw.OUT_OF_RANGE)


def test_a_bit_pattern_of_a_float_can_mean_not_available(cases: dict[str, Case]) -> None:
    found, _ = cases["everything"].decode(0x200, (0x7FC00001).to_bytes(4, "little") + bytes(20))
    assert found[4] is Flaw.NOT_AVAILABLE


def test_signals_that_overlap_are_each_read_by_their_own_bits(tmp_path: Path) -> None:
    dbc = 'BU_: X\nBO_ 1 A: 8 X\n SG_ B : 0|16@1- (1,0) [0|0] "" X\n SG_ C : 8|16@1+ (1,0) [0|0] "" X\n'
    (tmp_path / "o.dbc").write_text(dbc)
    text = everything.HEAD.replace("everything.dbc", "o.dbc")
    for signal, quantity in (("B", "pack_current_a"), ("C", "pack_voltage_v")):
        text += f'[[signal]]\nmessage = "A"\nsignal = "{signal}"\nquantity = "{quantity}"\n'
    (tmp_path / "o.toml").write_text(text)
    slots: list[Any] = [None, None]
    compile_decoders(profile.load("o.toml", tmp_path)).table[1](b"\x01\x80\x02" + bytes(5), slots, lambda *_: None)
    assert slots == [-0x7FFF, 0x280]
