"""Identify: ids that must be there, ids that must not, and names in frames; bounded whatever comes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.errors import ConfigError
from packseal.core.sample import Frame
from packseal.core.toml_error import decode_toml
from packseal_drivers.identify import MAX_DATA, MAX_IDS, Seen, best, match
from packseal_drivers.profile import Profile, load

TEXT = """
name = "maker/model"
title = "A pack"
source = "a test"
dbc = "a.dbc"
[[signal]]
message = "M"
signal = "S"
quantity = "pack_voltage_v"
[identify]
ids = [0x351, 0x35E]
without = [0x380]
"""
NAME = """
[[identify.content]]
id = 0x35E
bytes = "50 59 4C 4F 4E"
"""
OTHER_NAME = """
[[identify.content]]
id = 0x35E
bytes = "424D53"
"""


def profile_of(text: str) -> Profile:
    return decode_toml(text.encode(), Profile, "a test")


def seen(**data: bytes) -> Seen:
    return Seen(Frame(int(name[1:], 16), what, 0) for name, what in data.items())


def test_every_id_must_be_seen_and_no_unwanted_one() -> None:
    profile = profile_of(TEXT)
    assert match(profile, seen(x351=b"", x35E=b"")).fits
    assert match(profile, seen(x351=b"")).missing == (0x35E,)
    found = match(profile, seen(x351=b"", x35E=b"", x380=b""))
    assert not found.fits
    assert found.unwanted == (0x380,)


def test_a_name_tells_relatives_apart_and_the_one_with_more_proof_comes_first() -> None:
    plain, named = profile_of(TEXT.replace("maker/model", "a/plain")), profile_of(TEXT + NAME)
    pylon, other = seen(x351=b"", x35E=b"PYLON   "), seen(x351=b"", x35E=b"BYD")
    assert best([plain, named], pylon) == [named, plain]
    assert best([plain, named], other) == [plain]
    assert [c.id for c in match(named, other).content] == [0x35E]


@pytest.mark.parametrize("name", [b"PYLON", b"BMS\0\0\0\0\0"])
def test_several_contents_at_one_place_are_alternatives(name: bytes) -> None:
    profile = profile_of(TEXT + NAME + OTHER_NAME)
    assert match(profile, seen(x351=b"", x35E=name)).fits
    assert not match(profile, seen(x351=b"", x35E=b"PYLO")).fits


def test_contents_at_different_places_must_all_be_there() -> None:
    profile = profile_of(TEXT + NAME + OTHER_NAME.replace("bytes", "at = 5\nbytes"))
    assert match(profile, seen(x351=b"", x35E=b"PYLONBMS")).fits
    assert not match(profile, seen(x351=b"", x35E=b"PYLON")).fits


def test_a_profile_without_identify_fits_nothing() -> None:
    assert not match(profile_of(TEXT.split("[identify]", maxsplit=1)[0]), seen(x351=b"", x35E=b"")).fits


@pytest.mark.parametrize("wrong", ['"no hex"', '""', '"00"\nat = 64', '"00"\nat = -1'])
def test_content_that_cannot_be_is_refused_with_its_line(wrong: str) -> None:
    with pytest.raises(ConfigError, match="line 1"):
        profile_of(TEXT + f"[[identify.content]]\nid = 1\nbytes = {wrong}\n")


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=64))))
def test_whatever_is_seen_no_frame_that_came_is_denied(frames: list[tuple[int, bytes]]) -> None:
    found = Seen(Frame(address, data, 0) for address, data in frames)
    assert found.ids == {address for address, _ in frames}
    assert not match(profile_of(TEXT + NAME), found).fits or {0x351, 0x35E} <= found.ids


def test_noise_does_not_fill_the_memory() -> None:
    found = Seen()
    for i in range(2 * MAX_IDS):
        found.add(Frame(i, b"", 0))
        found.add(Frame(0, i.to_bytes(4, "big"), 0))
    kept: dict[int, Any] = dict(found.data)
    assert len(kept) == MAX_IDS
    assert len(list(kept[0])) == MAX_DATA


@pytest.mark.parametrize(("name", "maker"), [("rec/bms", b"REC-BMS\0"), ("pylontech/can", b"PYLON\0\0\0")])
def test_the_same_ids_with_another_makers_name_are_not_taken_for_this_one(name: str, maker: bytes) -> None:
    profile = load(name).profile
    assert profile.identify
    for text, fits in ((maker, True), (b"BYD\0\0\0\0\0", False), (b"", False)):
        frames = [Frame(i, text if i == 0x35E else bytes(8), 0) for i in profile.identify.ids]
        assert match(profile, Seen(frames)).fits is fits
