"""Frames of the demo, read again by the agent's own decoders."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Flaw
from packseal.demo.frames import Framing
from packseal.demo.pack import SimulatedPack
from packseal_drivers import profile as profiles
from packseal_drivers.decoding import Decoders, compile_decoders

REPLAY, LIVE = "bmw/i3_replay", "packseal/reference96"
FRAMINGS = {name: Framing(name) for name in (REPLAY, LIVE)}
DECODERS = {name: compile_decoders(profiles.load(name)) for name in (REPLAY, LIVE)}
RANGES = {
    Channel(Quantity.PACK_VOLTAGE_V): (0, 1500),
    Channel(Quantity.PACK_CURRENT_A): (-3000, 3000),
    Channel(Quantity.TEMPERATURE_C): (-60, 150),
    Channel(Quantity.STATE_OF_CHARGE_PCT): (0, 100),
}

PROFILE = """
name = "maker/pack"
title = "A pack"
source = "made up"
dbc = "pack.dbc"
[[signal]]
message = "P"
signal = "S"
quantity = "state_of_charge_pct"
not_available = [0, 255, 7]
"""


def read(decoders: Decoders, frames: list[tuple[int, bytes]]) -> tuple[dict[Channel, float], dict[Channel, Flaw]]:
    slots: list[Any] = [[] if averaged else None for averaged in decoders.averaged]
    flaws: dict[Channel, Flaw] = {}
    for address, data in frames:
        trouble = decoders.table[address](
            data, slots, lambda slot, flaw: flaws.__setitem__(decoders.channels[slot], Flaw(flaw))
        )
        assert trouble is None
    said = {}
    for channel, slot in zip(decoders.channels, slots, strict=True):
        value = slot[0] if isinstance(slot, list) and slot else slot
        if isinstance(value, float | int):
            said[channel] = float(value)
    return said, flaws


@given(st.tuples(*(st.one_of(st.none(), st.floats(*limits)) for limits in RANGES.values())))
def test_a_row_comes_back_to_a_tenth_of_a_thousandth(row: tuple[float | None, ...]) -> None:
    values = dict(zip(RANGES, row, strict=True))
    said, flaws = read(DECODERS[REPLAY], FRAMINGS[REPLAY].frames(values))
    assert said == {c: pytest.approx(v, abs=0.00006) for c, v in values.items() if v is not None}
    assert flaws == {c: Flaw.NOT_AVAILABLE for c, v in values.items() if v is None}


@given(st.floats(1501, 1e300) | st.floats(-1e300, -1))
def test_a_value_that_cannot_be_is_out_of_range_and_never_not_available(volts: float) -> None:
    values = {Channel(Quantity.PACK_VOLTAGE_V): volts}
    _, flaws = read(DECODERS[REPLAY], FRAMINGS[REPLAY].frames(values))
    assert flaws[Channel(Quantity.PACK_VOLTAGE_V)] is Flaw.OUT_OF_RANGE


def test_a_frame_of_which_nothing_is_known_is_not_sent() -> None:
    frames = FRAMINGS[REPLAY].frames({Channel(Quantity.PACK_VOLTAGE_V): 1, Channel(Quantity.PACK_CURRENT_A): -2})
    assert len(frames) == 1


@pytest.mark.parametrize("t_s", [0, 5, 30, 80, 119.9, 1000])
def test_every_channel_of_the_reference_pack_is_said(t_s: float) -> None:
    values = SimulatedPack().values(t_s)
    frames = FRAMINGS[LIVE].frames(values)
    said, flaws = read(DECODERS[LIVE], frames)
    assert not flaws
    assert set(said) == set(DECODERS[LIVE].channels)
    for channel, value in said.items():
        coarse = channel.quantity in {Quantity.TEMPERATURE_C, Quantity.STATE_OF_HEALTH_PCT}
        assert value == pytest.approx(values[channel], abs=0.51 if coarse else 0.051), channel
    assert len(frames) == len(set(frames))


@pytest.mark.parametrize(("value", "read_as"), [(0.0, 1.0), (-5.0, 1.0), (255.0, 254.0), (7.0, 8.0)])
def test_a_value_that_is_said_never_looks_like_one_that_is_not(tmp_path: Path, value: float, read_as: float) -> None:
    (tmp_path / "pack.dbc").write_text('BO_ 256 P: 8 B\n SG_ S : 0|8@1+ (1,0) [0|255] "" B\n')
    (tmp_path / "pack.toml").write_text(PROFILE)
    name = str(tmp_path / "pack.toml")
    channel = Channel(Quantity.STATE_OF_CHARGE_PCT)
    said, flaws = read(compile_decoders(profiles.load(name)), Framing(name).frames({channel: value}))
    assert said == {channel: read_as}
    assert not flaws
