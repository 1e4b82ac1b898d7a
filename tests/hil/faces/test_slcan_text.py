"""Lines of a serial CAN adapter: those of the reference, garbage, and pieces of any size."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal_hil.faces.pacing import Arbitration, bits, rank
from packseal_hil.faces.slcan_text import MAX_LINE, STATES, Line, SlcanReader, Word, answer_to, parse, text_of
from packseal_hil.rig.protocols import BusFault, CanFrame

EFF = 0x8000_0000
IDS = st.integers(0, 0x7FF) | st.integers(0, 0x1FFF_FFFF).map(lambda i: i | EFF)
FRAMES = st.builds(CanFrame, IDS, st.binary(max_size=8))


def test_the_lines_that_linux_is_known_to_take() -> None:
    assert STATES[BusFault.NONE] == b"sa000000\r"
    assert STATES[BusFault.WARNING] == b"sw096000\r"
    assert STATES[BusFault.PASSIVE] == b"sp128130\r"
    assert STATES[BusFault.OFF] == b"sb000255\r"
    assert text_of(CanFrame(0x123, b"\xaa\x55")) == b"t1232AA55\r"
    assert text_of(CanFrame(EFF | 0x12ABCDEF, b"\xaa\x55")) == b"T12ABCDEF2AA55\r"
    assert text_of(CanFrame(0x456, b"\x11\x22\x33")) == b"t4563112233\r"


@pytest.mark.parametrize(
    ("line", "word", "number", "answer"),
    [
        (b"O", Word.OPEN, 0, b"\r"),
        (b"L", Word.LISTEN, 0, b"\r"),
        (b"C", Word.CLOSE, 0, b"\r"),
        (b"S6", Word.BIT_RATE, 500_000, b"\r"),
        (b"S8", Word.BIT_RATE, 1_000_000, b"\r"),
        (b"S9", Word.WRONG, 0, b"\a"),
        (b"s031C", Word.SETTING, 0, b"\r"),
        (b"F", Word.FLAGS, 0, b"F00\r"),
        (b"V", Word.VERSION, 0, b"V1013\r"),
        (b"r1238", Word.REMOTE, 0, b"z\r"),
        (b"R1234567890", Word.WRONG, 0, b"\a"),
        (b"t1239", Word.WRONG, 0, b"\a"),
        (b"t1232AA", Word.WRONG, 0, b"\a"),
        (b"t8000", Word.WRONG, 0, b"\a"),
        (b"T200000000", Word.WRONG, 0, b"\a"),
        (b"hello", Word.WRONG, 0, b"\a"),
    ],
)
def test_commands(line: bytes, word: Word, number: int, answer: bytes) -> None:
    parsed = parse(line)
    assert parsed == Line(word, None, number)
    assert answer_to(parsed) == answer


@given(st.lists(FRAMES), st.lists(st.integers(0, 400)))
def test_frames_come_back_however_they_are_cut(frames: list[CanFrame], cuts: list[int]) -> None:
    text = b"".join(map(text_of, frames))
    ends = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    reader = SlcanReader()
    found = [line for a, b in itertools.pairwise(ends) for line in reader.feed(text[a:b])]
    assert [line.frame for line in found] == frames
    assert all(answer_to(line) in (b"z\r", b"Z\r") for line in found)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)), FRAMES)
def test_garbage_costs_nothing_but_itself(garbage: bytes, cuts: list[int], frame: CanFrame) -> None:
    text = garbage + b"\r" + text_of(frame)
    ends = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    whole, pieces = SlcanReader(), SlcanReader()
    expected = list(whole.feed(text))
    found = [line for a, b in itertools.pairwise(ends) for line in pieces.feed(text[a:b])]
    assert found == expected
    assert found[-1].frame == frame


def test_a_line_without_end_is_not_kept() -> None:
    reader = SlcanReader()
    for _ in range(1000):
        assert not list(reader.feed(b"t" * 1000))
    assert len(reader._rest) <= MAX_LINE
    assert [line.word for line in reader.feed(b"\rO\r")] == [Word.WRONG, Word.OPEN]


def test_a_time_stamp_behind_a_frame_is_left_out() -> None:
    assert parse(b"t1232AA551234").frame == CanFrame(0x123, b"\xaa\x55")


def test_slcan_has_no_can_fd() -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        text_of(CanFrame(1, bytes(12)))


def test_bits_of_the_longest_frames() -> None:
    assert bits(CanFrame(1, bytes(8))) == 135  # Davis et al., table 1
    assert bits(CanFrame(EFF | 1, bytes(8))) == 160
    assert bits(CanFrame(1, b"")) == 55


@given(st.lists(st.integers(0, 0x7FF), min_size=1), st.integers(0, 0x1FFF_FFFF))
def test_the_lowest_id_wins(ids: list[int], wide: int) -> None:
    bus = Arbitration()
    for number, address in enumerate(ids):
        bus.put(str(number), [CanFrame(address, b"")])
    assert [bus.pop() for _ in ids] == [CanFrame(i, b"") for i in sorted(ids)]
    assert bus.pop() is None
    standard = CanFrame(wide >> 18, b"")
    assert rank(standard) < rank(CanFrame(EFF | wide, b""))
    assert rank(CanFrame(EFF | wide, b"")) < rank(CanFrame((wide >> 18) + 1, b""))


def test_frames_of_one_node_keep_their_order() -> None:
    bus = Arbitration()
    bus.put("battery", [CanFrame(0x700, b""), CanFrame(0x100, b"")])
    bus.put("second", [CanFrame(0x300, b"")])
    order = [f.address for f in iter(bus.pop, None)]
    assert order == [0x300, 0x700, 0x100]
