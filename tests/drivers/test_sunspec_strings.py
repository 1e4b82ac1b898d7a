"""A SunSpec device with several strings: each can be a battery of its own, with the cells of its own modules."""

from pathlib import Path
from typing import Any

import pytest
from tests.drivers.modbus_devices import HOST, Device, tcp_server
from tests.drivers.modbus_listening import Listening, opened, run
from tests.drivers.sunspec_devices import COMMON, device, model, walked

from packseal.core.errors import ConfigError
from packseal.core.quantities import Channel, Quantity
from packseal_drivers.modbus.sunspec import Located, counts_of, locate
from packseal_drivers.profile import load

POINTS = load("sunspec/string").profile.point
VOLTS, AMPERES, CELL = Quantity.PACK_VOLTAGE_V, Quantity.PACK_CURRENT_A, Quantity.CELL_VOLTAGE_V


def string(index: int, volts: int, amperes: int) -> list[int]:
    return model(804, 48, {2: index, 13: amperes, 14: volts})


def module(index: int, millivolts: int) -> list[int]:
    return model(805, 48, {2: index, 3: 1, 4: 1, 42: -3, 44: millivolts})


TWO_STRINGS = device(COMMON, string(1, 50, -5), string(2, 60, 7), module(2, 3300), module(1, 3100), module(2, 3400))
"""Their modules come behind both of them, and not in their order: only their indices tell whose they are."""


def located(words: dict[int, int], number: int | None) -> Located:
    chain, _ = walked(words)
    return locate(POINTS, chain, {read.address: words[read.address] for read in counts_of(POINTS, chain)}, number)


def raw(words: dict[int, int], found: Located, name: str) -> list[int]:
    return [words[field.place.address] for field in found.map.fields if getattr(field.line, "name", "") == name]


@pytest.mark.parametrize(("number", "volts", "cells"), [(1, [50], [3100]), (2, [60], [3300, 3400])])
def test_each_string_has_its_own_modules(number: int, volts: list[int], cells: list[int]) -> None:
    found = located(TWO_STRINGS, number)
    assert raw(TWO_STRINGS, found, "V") == volts
    assert raw(TWO_STRINGS, found, "CellV") == cells
    assert not found.doubt


def test_where_none_is_named_it_is_the_first_and_that_is_told() -> None:
    found = located(TWO_STRINGS, None)
    assert raw(TWO_STRINGS, found, "V") == [50]
    assert raw(TWO_STRINGS, found, "CellV") == [3100]
    assert found.doubt == (
        "the device has 2 strings (model 804), and this battery is the first of them: "
        "string = 2 in its link is the next"
    )


def test_a_string_that_is_not_there_gives_nothing() -> None:
    found = located(TWO_STRINGS, 3)
    assert not found.map.fields
    assert found.doubt == "the device has 2 strings (model 804), none of which is number 3"
    one = located(device(COMMON, string(1, 50, 0)), 2)
    assert one.doubt == "the device has 1 string (model 804), none of which is number 2"


@pytest.mark.parametrize("said", [0, None])
def test_cells_are_left_out_where_the_strings_do_not_say_which_are_theirs(said: int | None) -> None:
    words = device(COMMON, string(0, 50, 0), string(0, 60, 0), module(0, 3300))
    chain, _ = walked(words)
    answers = {r.address: words[r.address] for r in counts_of(POINTS, chain)} if said is not None else {}
    found = locate(POINTS, chain, answers, 2)
    assert raw(words, found, "V") == [60]
    assert not raw(words, found, "CellV")
    assert found.doubt == "its strings do not say which modules are theirs, so the cells are left out"


def test_a_device_with_one_string_is_asked_nothing_more_and_its_modules_may_say_anything() -> None:
    words = device(COMMON, string(0, 50, 0), module(9, 3300))
    chain, _ = walked(words)
    assert [read.address - chain.models[-1].address for read in counts_of(POINTS, chain)][-1] == 4
    assert len(counts_of(POINTS, chain)) == 2
    found = located(words, None)
    assert raw(words, found, "CellV") == [3300]
    assert not found.doubt


def test_two_batteries_are_two_strings_of_one_unit(tmp_path: Path) -> None:
    async def body() -> None:
        async with tcp_server(Device(holding=dict(TWO_STRINGS))) as port:
            file = load("sunspec/string")
            first: Any = opened(tmp_path, file, host=HOST, port=port)
            second: Any = opened(tmp_path, file, host=HOST, port=port, string=2)
            async with Listening(first) as one, Listening(second) as two:
                await one.until(lambda: bool(one.samples))
                await two.until(lambda: bool(two.samples))
        values, others = one.samples[0].values, two.samples[0].values
        # Their A is as of generators: discharging positive.
        assert (values[Channel(VOLTS)], values[Channel(AMPERES)]) == (50, 5)
        assert (others[Channel(VOLTS)], others[Channel(AMPERES)]) == (60, -7)
        assert values[Channel(CELL, 0)] == pytest.approx(3.1)
        assert [others[Channel(CELL, n)] for n in (0, 1)] == pytest.approx([3.3, 3.4])
        assert Channel(CELL, 1) not in values
        assert "this battery is the first of them" in first.trouble
        assert not second.trouble

    run(body)


def test_a_profile_without_strings_has_none_to_choose(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="it has no strings to choose one of"):
        opened(tmp_path, load("sunspec/bank"), host=HOST, port=1502, string=2)
    with pytest.raises(ValueError, match="string must be from 1 to 128"):
        opened(tmp_path, load("sunspec/string"), host=HOST, port=1502, string=0)
