"""SunSpec: the models of a device are found, lying ones included, and a bank means what it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.sunspec_devices import COMMON, MARK, PROFILES, SENTINEL, bank, device, model, sampled, walked

from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Flaw
from packseal_drivers.modbus.lines import Point
from packseal_drivers.modbus.plan import Place
from packseal_drivers.modbus.registers import Image
from packseal_drivers.modbus.replay import map_of
from packseal_drivers.modbus.sunspec import MAX_MODELS, counts_of, locate
from packseal_drivers.profile import load

POINTS = [point for name in PROFILES for point in load(name).profile.point]


@pytest.mark.parametrize("base", [0, 40_000, 50_000])
def test_the_map_is_found_wherever_it_begins(base: int) -> None:
    chain, reads = walked(device(COMMON, model(802, 64, {}), base=base))
    assert chain.trouble is None
    assert [(m.number, m.address, m.words) for m in chain.models] == [(1, base + 2, 68), (802, base + 70, 64)]
    assert reads <= 6


def test_a_device_without_a_map_says_so() -> None:
    chain, reads = walked({})
    assert chain.trouble == "no SunSpec map at register 0, 40000 or 50000"
    assert reads == 3


def test_a_map_whose_end_mark_has_no_length_is_whole() -> None:
    words = device(COMMON)
    del words[max(words)]
    assert walked(words)[0].trouble is None


@pytest.mark.parametrize(
    ("words", "trouble"),
    [
        (device(COMMON, end=False), "the chain of models breaks off at register 40070"),
        (device(COMMON, [802, 0xFFF0]), "model 802 at register 40070 is longer than the device"),
        (device(*[[64001, 0]] * (MAX_MODELS + 5)), f"the chain of models has no end within {MAX_MODELS} models"),
    ],
)
def test_a_chain_that_lies_ends_in_a_clear_error(words: dict[int, int], trouble: str) -> None:
    chain, reads = walked(words)
    assert chain.trouble == trouble
    assert reads <= MAX_MODELS + 3


@given(words=st.dictionaries(st.integers(39_990, 40_400), st.integers(0, 0xFFFF), max_size=300), mark=st.booleans())
def test_whatever_a_device_says_the_walk_ends_and_no_place_is_beyond_a_model(
    words: dict[int, int], *, mark: bool
) -> None:
    if mark:
        words |= {40_000: MARK[0], 40_001: MARK[1]}
    chain, _ = walked(words)
    said = {r.address: words.get(r.address, 0) for r in counts_of(POINTS, chain)}
    for field in locate(POINTS, chain, said).map.fields:
        for place in (field.place, *([field.scale] if field.scale else [])):
            assert any(m.address + 2 <= place.address and place.end <= m.address + m.words for m in chain.models)


def test_a_bank_by_hand() -> None:
    values, flaws = sampled(load("sunspec/bank").profile, bank())
    cell, temperature = Quantity.CELL_VOLTAGE_V, Quantity.TEMPERATURE_C
    assert values == pytest.approx(
        {
            Channel(Quantity.STATE_OF_CHARGE_PCT): 65.5,
            Channel(Quantity.STATE_OF_HEALTH_PCT): 98.0,
            Channel(Quantity.CYCLES): 412.0,
            Channel(Quantity.PACK_VOLTAGE_V): 53.12,
            Channel(Quantity.CELL_VOLTAGE_MAX_V): 3.34,
            Channel(Quantity.CELL_VOLTAGE_MIN_V): 3.31,
            Channel(Quantity.PACK_CURRENT_A): 12.3,
            Channel(Quantity.PACK_POWER_W): 6530.0,
            Channel(Quantity.TEMPERATURE_MAX_C): 25.1,
            Channel(Quantity.TEMPERATURE_MIN_C): 19.8,
            Channel(temperature, 0): 22.0,
            Channel(temperature, 1): -5.5,
            Channel(cell, 0): 3.31,
            Channel(cell, 2): 3.34,
            Channel(cell, 3): 3.32,
            Channel(cell, 4): 3.321,
        }
    )
    assert flaws == {Channel(cell, 1): Flaw.NOT_AVAILABLE}


def test_without_its_scale_factor_a_value_is_not_available() -> None:
    for wrong in (0x8000, 11, -11):
        words = device(COMMON, model(802, 64, {11: 655, 34: 5312, 56: wrong, 59: -2}))
        values, flaws = sampled(load("sunspec/bank").profile, words)
        assert flaws[Channel(Quantity.STATE_OF_CHARGE_PCT)] is Flaw.NOT_AVAILABLE
        assert values[Channel(Quantity.PACK_VOLTAGE_V)] == 53.12
    short = device(COMMON, model(802, 50, {11: 655, 14: 0, 15: 7}))  # the scale factors are cut off
    values, flaws = sampled(load("sunspec/bank").profile, short)
    assert flaws[Channel(Quantity.STATE_OF_CHARGE_PCT)] is Flaw.NOT_AVAILABLE
    assert values[Channel(Quantity.CYCLES)] == 7


def test_a_model_that_says_to_have_more_blocks_than_it_has_room_for_is_counted() -> None:
    points = load("sunspec/bank").profile.point
    words = device(COMMON, model(803, 28 + 32, {2: 9}), model(805, 44 + 8, {4: 3}), model(805, 44, {4: SENTINEL}))
    chain, _ = walked(words)
    located = locate(points, chain, {r.address: words[r.address] for r in counts_of(points, chain)})
    assert located.lies == 2
    places = [f.place for f in located.map.fields if isinstance(f.line, Point) and f.line.block]
    assert len(places) == 1 + 2
    assert "802.SoC" in located.missing


def test_there_are_never_more_channels_than_the_profile_says() -> None:
    modules = [model(805, 44 + 60 * 4, {4: 60, 42: -3} | {44 + 4 * i: 3300 for i in range(60)}) for _ in range(10)]
    values, _ = sampled(load("sunspec/bank").profile, device(COMMON, *modules))
    assert sum(c.quantity is Quantity.CELL_VOLTAGE_V for c in values) == 512


def test_a_place_of_a_map_is_never_torn() -> None:
    """A value of several registers comes with one read, whatever the device's limits."""
    found = map_of(load("sunspec/der_storage").profile, Image())
    assert found.places == ()
    points = load("sunspec/der_storage").profile.point
    chain, _ = walked(device(COMMON, model(713, 9, {}), model(714, 45, {4: 1})))
    located = locate(points, chain, {40_002 + 68 + 9 + 4: 1})
    assert Place(3, 40_002 + 68 + 9 + 7, 4) in located.map.places
