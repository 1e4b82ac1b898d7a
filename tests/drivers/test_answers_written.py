"""An answer is read however it is written, and what is no answer is told in one clear error."""

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.drivers.long_answers import ANSWER, cut

from packseal.core.errors import InputError
from packseal_drivers.framing.written import payloads


def elm(payload: bytes) -> str:
    """Return what an ELM327 prints of a long answer without headers."""
    parts = [frame[2:] if i == 0 else frame[1:] for i, frame in enumerate(cut(payload))]
    lines = [f"{i % 16:X}: {part.hex(' ').upper()}" for i, part in enumerate(parts)]
    return "\r".join([f"{len(payload):03X}", *lines, ">"])


WAYS: dict[str, Callable[[bytes], str]] = {
    "payload": lambda p: p.hex(),
    "payload with spaces": lambda p: p.hex(" "),
    "frames, a word each": lambda p: " ".join(f.hex() for f in cut(p)),
    "frames with commas": lambda p: ",".join(f.hex() for f in cut(p)),
    "bytes of frames": lambda p: b"".join(cut(p)).hex(" "),
    "lines with ids": lambda p: "\n".join(f"7EC{f.hex()}" for f in cut(p)),
    "lines with ids and spaces": lambda p: "\r\n".join(f"7EC {f.hex(' ')}" for f in cut(p)) + "\r\n>",
    "one line with ids": lambda p: " ".join(f"7EC {f.hex(' ')}" for f in cut(p)),
    "long ids": lambda p: "\n".join(f"18DAF1DB{f.hex()}" for f in cut(p)),
    "long ids and spaces": lambda p: "\n".join(f"18 DA F1 DB {f.hex(' ')}" for f in cut(p)),
    "candump": lambda p: "\n".join(f"7EC#{f.hex().upper()}" for f in cut(p)),
    "ELM327": elm,
    "while searching": lambda p: f"SEARCHING...\r{elm(p)}",
}


@pytest.mark.parametrize("way", WAYS)
@given(payload=st.binary(min_size=8, max_size=300).map(lambda b: b"\x62" + b))
def test_an_answer_is_read_however_it_is_written(way: str, payload: bytes) -> None:
    assert payloads(WAYS[way](payload), {0x18DA_F1DB}) == [payload]


def test_two_control_units_and_two_answers_are_kept_apart() -> None:
    mixed = [line for a, b in zip(cut(ANSWER), cut(ANSWER), strict=True) for line in (f"7EC{a.hex()}", f"7ED{b.hex()}")]
    assert payloads("\n".join(mixed)) == [ANSWER, ANSWER]
    assert payloads("41 5B CC, 03 41 5B 80") == [b"\x41\x5b\xcc", b"\x41\x5b\x80"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no answer in it"),
        ("NO DATA", "what an adapter says"),
        ("62 01 0", "half a byte"),
        ("hello", "not hexadecimal"),
        ("10 2E 62 01 05 00 3F FF", "breaks off"),
        ("102E620105003FFF 2290000000000000", "does not fit (sequence)"),
        ("02E\r0: 62 01 05 00 3F FF", "6 of 46 bytes"),
        ("0: 62 01 05 00 3F FF\r2: 90 00 00 00 00 00 00", "line 1: of the answer"),
    ],
)
def test_what_is_no_answer_is_told(text: str, said: str) -> None:
    with pytest.raises(InputError) as told:
        payloads(text)
    assert said in str(told.value)


@given(st.text(alphabet=st.sampled_from("0123456789ABCDEFabcdef #:,>\r\nNOXzé"), max_size=200))
@example("0:")
@example("18DAF1DB")
@example("18 DA F1 DB")
def test_any_text_gives_payloads_or_one_clear_error(text: str) -> None:
    try:
        found = payloads(text, {0x18DA_F1DB})
    except InputError:
        return
    assert found
    assert all(found)
