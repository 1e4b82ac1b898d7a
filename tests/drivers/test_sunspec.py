"""SunSpec: the models of a device are found, lying ones included, and every point means what the definitions say.

The oracle is pysunspec2 (Apache-2.0): where it is importable, or PACKSEAL_SUNSPEC2 names the directory that holds its
package `sunspec2`, the points of the profiles are held against its model definitions and its own decoding.
"""

import importlib
import json
import os
import random
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packseal.core.quantities import BY_KEY, Channel, Quantity
from packseal.core.sample import Flaw
from packseal_drivers.modbus.lines import Point
from packseal_drivers.modbus.plan import Place, Read
from packseal_drivers.modbus.registers import Image
from packseal_drivers.modbus.replay import map_of
from packseal_drivers.modbus.sunspec import MAX_MODELS, Chain, counts_of, locate, walk
from packseal_drivers.profile import Profile, load

PROFILES = ("sunspec/bank", "sunspec/string", "sunspec/der_storage", "sunspec/storage")
POINTS = [point for name in PROFILES for point in load(name).profile.point]
MARK = [0x5375, 0x6E53]
SENTINEL = 0xFFFF


def model(number: int, words: int, values: Mapping[int, int]) -> list[int]:
    """A model of `words` registers in all; `values` by their offset from its ID."""
    made = [number, words - 2] + [0] * (words - 2)
    for at, value in values.items():
        made[at] = value & 0xFFFF
    return made


def device(*models: Sequence[int], base: int = 40_000, end: bool = True) -> dict[int, int]:
    words = [*MARK, *(word for m in models for word in m), *([SENTINEL, 0] if end else [])]
    return dict(enumerate(words, base))


def walked(words: Mapping[int, int], limit: int = MAX_MODELS) -> tuple[Chain, int]:
    """Walk over a device's registers; return the chain, and how many reads that took."""
    steps, reads = walk(limit), 0
    try:
        read = next(steps)
        while True:
            reads += 1
            assert reads < 1000
            assert read.end <= 0x1_0000
            said = [words.get(a) for a in range(read.address, read.end)]
            whole = [w for w in said if w is not None]
            read = steps.send(whole if len(whole) == read.count else None)
    except StopIteration as end:
        chain: Chain = end.value
        return chain, reads


def sampled(profile: Profile, words: Mapping[int, int]) -> tuple[dict[Channel, float], dict[Channel, Flaw]]:
    """Return what a profile makes of a device."""
    image = Image()
    for address, word in words.items():
        image.take(Read(3, address, 1), [word])
    found = map_of(profile, image)
    frame = found.frame(image, 0)
    slots: list[Any] = [None] * len(profile.channels)
    flaws: dict[Channel, Flaw] = {}

    def flag(slot: int, flaw: int) -> None:
        flaws[profile.channels[slot]] = Flaw(flaw)

    if frame is not None:
        assert found.decode(frame.data, slots, flag) is None
    values = {c: v for c, v in zip(profile.channels, slots, strict=True) if v is not None}
    return values, flaws


COMMON = model(1, 68, {})


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


def bank() -> dict[int, int]:
    return device(
        COMMON,
        model(
            802,
            64,
            {11: 655, 13: 98, 14: 0, 15: 412, 34: 5312, 37: 3340, 40: 3310, 44: -123, 47: -653, 56: -1, 58: 0,
             59: -2, 60: -3, 61: -1, 63: 1},
        ),
        model(803, 28 + 2 * 32, {2: 2, 4: 251, 7: 198, 23: -1, 28 + 16: 220, 28 + 32 + 16: -55}),
        model(805, 44 + 3 * 4, {4: 3, 42: -3, 44: 3310, 48: 0xFFFF, 52: 3340}),
        model(805, 44 + 2 * 4, {4: 2, 42: -4, 44: 33200, 48: 33210}),
    )  # fmt: skip


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


def oracle() -> Any:
    """Return pysunspec2's package, or skip."""
    directory = os.environ.get("PACKSEAL_SUNSPEC2")
    if directory and directory not in sys.path:
        sys.path.append(directory)
    return pytest.importorskip(
        "sunspec2.device", reason="pysunspec2 is not installed; PACKSEAL_SUNSPEC2 names a directory with its package"
    )


TYPES = {
    "uint16": "u16", "int16": "s16", "uint32": "u32", "int32": "s32", "uint64": "u64", "int64": "s64",
    "float32": "float32", "float64": "float64",
}  # fmt: skip


def definition(device_module: Any, number: int) -> Any:
    folder = Path(device_module.__file__).parent / "models" / "json"
    return json.loads((folder / f"model_{number}.json").read_text())["group"]


def placed(group: Any, start: int = 0) -> Iterator[tuple[str, int, Any, Any]]:
    """Yield name, offset, definition and group of every point, in the first of each repeated group."""
    at = start
    for point in group["points"]:
        yield point["name"], at, point, group
        at += point.get("size", 1)
    for inner in group.get("groups", ()):
        yield from placed(inner, at)


@pytest.mark.parametrize("name", PROFILES)
def test_every_point_is_where_its_definition_says(name: str) -> None:
    sunspec = oracle()
    for point in load(name).profile.point:
        group = definition(sunspec, point.model)
        of = [p for p in placed(group) if p[0] == point.name and (p[3] is not group) == (point.block is not None)]
        ((_, at, defined, owner),) = of
        scales = {n: a for n, a, p, _ in placed(group) if p["type"] == "sunssf"}
        assert (point.at, point.type) == (at, TYPES[defined["type"]]), point.name
        assert point.scale_at == (scales[defined["sf"]] if "sf" in defined else None), point.name
        if point.block:
            starts = {n: a for n, a, _, g in placed(group) if g is owner}
            assert point.block.at == min(starts.values())
            assert point.block.length == sum(p.get("size", 1) for p in owner["points"])
            fixed = {n: a for n, a, _, g in placed(group) if g is group}
            assert point.block.count_at == fixed[owner["count"] or "NCell"]


def random_model(number: int, sunspec: Any, chance: random.Random) -> list[int]:
    """A model with any values, two blocks where it has any, and scale factors that are mostly right."""
    group = definition(sunspec, number)
    words = [number, 0]
    for name, _, point, of in placed(group):
        if of is group and name not in ("ID", "L"):
            words += any_value(point, chance)
    for inner in group.get("groups", ()):
        for _ in range(2):
            for point in inner["points"]:
                words += any_value(point, chance)
        fixed = {n: a for n, a, _, g in placed(group) if g is group}
        words[fixed[inner["count"] or "NCell"]] = 2
    words[1] = len(words) - 2
    return words


def any_value(point: Any, chance: random.Random) -> list[int]:
    if point["type"] == "sunssf":
        return [chance.choice([0x8000, 0, 1, 0xFFFF, 0xFFFE, 0xFFFD])]
    sentinel = {"u": 0xFFFF, "i": 0x8000}.get(point["type"][0], 0)
    size = point.get("size", 1)
    if chance.random() < 0.2:
        return [sentinel] + [0xFFFF if sentinel == 0xFFFF else 0] * (size - 1)
    return [chance.choice([0, 1, chance.randrange(0x1_0000)]) for _ in range(size)]


@pytest.mark.parametrize("name", PROFILES)
def test_every_value_is_what_pysunspec2_decodes(name: str) -> None:
    sunspec = oracle()
    profile, chance, compared = load(name).profile, random.Random(7), 0
    numbers = sorted({p.model for p in profile.point})
    for _ in range(100):
        models = {number: random_model(number, sunspec, chance) for number in numbers}
        values, flaws = sampled(profile, device(COMMON, *models.values()))
        for point in profile.point:
            words = models[point.model]
            theirs = sunspec.Model(point.model, data=struct.pack(f">{len(words)}H", *words), model_len=len(words) - 2)
            said = [theirs] if point.block is None else next(iter(theirs.groups.values()), [])
            for number, group in enumerate(said[: point.count]):
                compared += 1
                channel = Channel(BY_KEY[point.quantity], point.index + number)
                check(point, group.points[point.name], values.get(channel), flaws.get(channel))
    assert compared >= 100 * len(profile.point)


def check(point: Point, theirs: Any, value: float | None, flaw: Flaw | None) -> None:
    cvalue = theirs.cvalue  # finds out the scale factor as well; without one pysunspec2 gives the bare number
    if cvalue is None or (point.scale_at is not None and theirs.sf_value is None):
        assert flaw is Flaw.NOT_AVAILABLE, f"{point.name} is {value}"
        return
    expected = cvalue * point.factor + point.offset
    low = -float("inf") if point.minimum is None else point.minimum
    high = float("inf") if point.maximum is None else point.maximum
    if low <= expected <= high:
        assert value == pytest.approx(expected), point.name
    else:
        assert flaw is Flaw.OUT_OF_RANGE, point.name


def test_the_oracle_is_loaded_where_it_is_named() -> None:
    directory = os.environ.get("PACKSEAL_SUNSPEC2")
    if not directory:
        pytest.skip("PACKSEAL_SUNSPEC2 is not set: whether pysunspec2 is there is not this test's business")
    assert importlib.import_module("sunspec2.device") is oracle()


def test_a_place_of_a_map_is_never_torn() -> None:
    """A value of several registers comes with one read, whatever the device's limits."""
    found = map_of(load("sunspec/der_storage").profile, Image())
    assert found.places == ()
    points = load("sunspec/der_storage").profile.point
    chain, _ = walked(device(COMMON, model(713, 9, {}), model(714, 45, {4: 1})))
    located = locate(points, chain, {40_002 + 68 + 9 + 4: 1})
    assert Place(3, 40_002 + 68 + 9 + 7, 4) in located.map.places
