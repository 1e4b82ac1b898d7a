"""Answers: short or spoilt ones give what they hold whole, and no value beyond the profile's limits."""

import math
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.drivers.long_answers import ANSWER, MADE, VALUES

from packseal.core.sample import Flaw, Frame
from packseal_drivers import profile, recordings
from packseal_drivers.answers import answered
from packseal_drivers.decoding import SHORT, Decoders, compile_decoders
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.offline import Offline, Totals, sample_of
from packseal_drivers.profile import ProfileFile

RECORDINGS = Path(__file__).parents[1] / "recordings"
ASKING = [name for name in profile.names() if profile.load(name).profile.request]

TEXT = """
name = "test/pack"
title = "A test"
source = "a test"
[[request]]
name = "all"
protocol = "uds"
to = 0x7E4
answer = 0x7EC
ask = "22 01 01"
"""


@pytest.fixture(scope="module")
def decoders() -> dict[str, tuple[ProfileFile, Decoders]]:
    return {name: (file, compile_decoders(file)) for name in ASKING for file in [profile.load(name)]}


@pytest.mark.parametrize("name", ASKING)
@given(data=st.data())
def test_a_short_answer_gives_just_what_it_holds_whole(
    name: str, decoders: dict[str, tuple[ProfileFile, Decoders]], data: st.DataObject
) -> None:
    file, made = decoders[name]
    number = data.draw(st.integers(0, len(file.profile.request) - 1))
    places = {slot: a for slot, a in enumerate(file.profile.asked()) if a.table == number}
    length = max(a.at + a.line.length for a in places.values())
    whole = data.draw(st.binary(min_size=length, max_size=length))
    cut = data.draw(st.integers(0, length - 1))

    def said(payload: bytes) -> tuple[dict[int, object], int | None]:
        slots: list[object] = [None] * len(made.channels)
        result = made.answers[number](payload, slots, lambda _, flaw: Flaw(flaw))
        return {slot: value for slot, value in enumerate(slots) if value is not None}, result

    everything, result = said(whole)
    assert result is None
    assert everything.keys() == places.keys()
    some, result = said(whole[:cut])
    assert result == SHORT
    assert some == {slot: everything[slot] for slot, a in places.items() if a.at + a.line.length <= cut}
    assert said(whole + b"\xaa\xaa") == (everything, None)


def test_fields_of_any_kind_end_where_they_end(tmp_path: Path) -> None:
    fields = """
[[request.field]]
quantity = "pack_voltage_v"
at = 5
length = 2
order = "little"
bits = 12
[[request.field]]
quantity = "pack_current_a"
at = 3
length = 4
floating = true
order = "little"
[[request.field]]
quantity = "cycles"
at = 7
length = 2
encoding = "bcd"
"""
    path = tmp_path / "pack.toml"
    path.write_text(TEXT + fields)
    decode = compile_decoders(profile.load(str(path))).answers[0]
    whole = bytes.fromhex("620101 00 00 48 41 1234")  # 12.5 as a float; 0x148 = 328 of the same bytes; 1234

    def slots(payload: bytes) -> list[object]:
        made: list[object] = [None] * 3
        decode(payload, made, lambda _, flaw: Flaw(flaw))
        return made

    assert slots(whole) == [328, 12.5, 1234]
    assert slots(whole[:8]) == [328, 12.5, None]
    assert slots(whole[:6]) == [None, None, None]


@pytest.mark.parametrize("name", ASKING)
@settings(max_examples=30)
@given(seed=st.integers(0, 1 << 32))
def test_spoilt_recordings_never_give_a_value_beyond_the_profiles_limits(
    name: str, decoders: dict[str, tuple[ProfileFile, Decoders]], seed: int
) -> None:
    file, made = decoders[name]
    recorded = list(recordings.read(RECORDINGS / name.replace("/", "_") / "frames.log"))
    limits = {a.channel: (a.line.minimum, a.line.maximum) for a in file.profile.asked()}
    offline = Offline(file.profile, made, 0)
    spoilt = list(spoil(recorded, Random(seed)))
    for sample in offline.samples(spoilt):
        for channel, value in sample.values.items():
            low, high = limits[channel]
            assert (-math.inf if low is None else low) <= value <= (math.inf if high is None else high)
        assert not sample.values.keys() & sample.flaws.keys()
    assert offline.totals.frames == len(spoilt)


def spoil(frames: list[Frame], chance: Random) -> Iterator[Frame]:
    """Yield frames of which some are lost, doubled, cut, longer, or have other bits; times stay in order."""
    for frame in frames:
        data, kind = bytearray(frame.data), chance.randrange(30)
        if kind == 0:
            continue
        if kind == 1 and data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if kind == 2:
            del data[chance.randrange(len(data) + 1) :]
        if kind == 3:
            data += chance.randbytes(chance.randrange(56))
        made = frame._replace(data=bytes(data))
        yield made
        if kind == 4:
            yield made


def test_answers_are_found_by_how_they_begin() -> None:
    assert [r.name for _, r in answered(VALUES.profile, ANSWER)] == ["health"]
    assert answered(VALUES.profile, b"\x62\x01") == []
    totals = Totals()
    sample = sample_of(VALUES.profile, MADE, [ANSWER, ANSWER[:20]], totals)
    assert sample is not None
    assert (totals.answers.whole, totals.link.short) == (2, 1)
    assert sample_of(VALUES.profile, MADE, [ANSWER[:20]], Totals()) is None
    assert sorted(MADE.answers) == list(range(len(VALUES.profile.request)))
    assert min(MADE.table, default=0) < ANSWERS
