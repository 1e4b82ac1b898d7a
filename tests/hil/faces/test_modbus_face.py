"""The registers that a simulated battery holds, read by the product: what was said, and nothing else."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hil.faces.packs import SlowPack

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import Flaw, Sample
from packseal_drivers import profile as profiles
from packseal_drivers.modbus.plan import Read
from packseal_drivers.modbus.registers import Image, RegisterMap, fixed_map
from packseal_drivers.modbus.sunspec import counts_of, locate, walk
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Modbus
from packseal_hil.faces.modbus_registers import Cell, RegisterFace, Words
from packseal_hil.faces.modbus_units import LOOPBACK, Server, Unit
from packseal_hil.rig.protocols import RigError

Values = Mapping[Channel, float]
NAMES = [
    name for name in profiles.names() if (profiles.load(name).profile.register or profiles.load(name).profile.point)
]
CELLS, SENSORS = 16, 4
FULL = {channel: 0.0 for name in NAMES for channel in profiles.load(name).profile.channels if channel.index < CELLS}


def map_of(face: RegisterFace, words: Words) -> RegisterMap:
    """Return where the product takes everything to be."""
    if face.profile.register:
        return fixed_map(face.profile)
    steps = walk()
    try:
        read = next(steps)
        while True:
            found = [words.get((read.function, at)) for at in range(read.address, read.end)]
            read = steps.send(None if None in found else [word for word in found if word is not None])
    except StopIteration as end:
        chain = end.value
    assert chain.trouble is None
    said = {r.address: words[r.function, r.address] for r in counts_of(face.profile.point, chain)}
    located = locate(face.profile.point, chain, said)
    assert not located.lies
    assert not located.missing
    return located.map


def decoded(face: RegisterFace, values: Values) -> tuple[dict[Channel, float], dict[Channel, Flaw]]:
    """Return what the product makes of the registers."""
    words = face.words(values)
    where, image, channels = map_of(face, words), Image(), face.profile.channels
    for place in where.places:
        found = [words.get((place.function, at)) for at in range(place.address, place.end)]
        if None not in found:
            image.take(Read(*place), [word for word in found if word is not None])
    slots: list[Any] = [None] * len(channels)
    flaws: dict[Channel, Flaw] = {}

    def flag(slot: int, flaw: int) -> None:
        flaws[channels[slot]] = Flaw(flaw)

    frame = where.frame(image, 0)
    assert frame is not None
    assert where.decode(frame.data, slots, flag) is None
    return {channel: value for channel, value in zip(channels, slots, strict=True) if value is not None}, flaws


def step(face: RegisterFace, cell: Cell) -> float:
    """Return the distance between two values that a register can say."""
    return float(abs(cell.line.factor) * 10.0 ** face.exponent(cell))


def values_of(face: RegisterFace, part: float) -> dict[Channel, float]:
    """Return a value for every channel, some part of the way through what its register and line can say."""
    values = {}
    for number, cell in enumerate(face.cells):
        line, own = cell.line, (part + 0.137 * number) % 1
        if line.encoding == "enumeration":
            codes = sorted(line.codes.values())
            values[cell.channel] = codes[int(own * len(codes))]
            continue
        top = (1 << line.width - 1) - 2 if line.signed or line.encoding else (1 << line.width) - 2
        bottom = -top if line.signed or line.encoding in ("sign_magnitude", "swapped_words") else 0
        ends = [raw * line.factor * 10.0 ** face.exponent(cell) + line.offset for raw in (bottom, top)]
        low = max(min(ends), -1e6 if line.minimum is None else line.minimum)
        high = min(max(ends), 1e6 if line.maximum is None else line.maximum)
        inset = min(step(face, cell), (high - low) / 2)
        values[cell.channel] = low + inset + own * (high - low - 2 * inset)
    return values


@pytest.mark.parametrize("name", NAMES)
@given(part=st.floats(0, 1, exclude_max=True))
@settings(max_examples=20, deadline=None)
def test_what_the_battery_says_is_what_the_product_reads(name: str, part: float) -> None:
    face = RegisterFace(name, FULL)
    said = values_of(face, part)
    heard, flaws = decoded(face, said)
    assert not flaws
    assert heard.keys() == said.keys()
    for cell in face.cells:
        tolerance = 0.51 * step(face, cell) if not cell.line.floating else 1e-6 * (1 + abs(said[cell.channel]))
        assert heard[cell.channel] == pytest.approx(said[cell.channel], abs=tolerance), cell.channel


@pytest.mark.parametrize("name", NAMES)
def test_what_the_battery_does_not_say_is_never_a_value(name: str) -> None:
    face = RegisterFace(name, FULL)
    said = values_of(face, 0.4)
    for left_out in {cell.channel.quantity for cell in face.cells}:
        some = {channel: value for channel, value in said.items() if channel.quantity is not left_out}
        if some:
            heard, _ = decoded(face, some)
            assert heard.keys() == some.keys()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1e12, 1e12])
def test_what_is_too_much_for_a_register_is_no_mark(name: str, value: float) -> None:
    face = RegisterFace(name, FULL)
    _, flaws = decoded(face, dict.fromkeys((cell.channel for cell in face.cells), value))
    assert Flaw.NOT_AVAILABLE not in flaws.values()


def test_a_profile_of_another_road_is_refused() -> None:
    with pytest.raises(RigError, match="pylontech/can is none that a simulated battery speaks over Modbus"):
        RegisterFace("pylontech/can", {})


@pytest.mark.parametrize(("name", "rtu"), [("pace/rs485", True), ("pace/rs485", False), ("sunspec/bank", False)])
def test_the_product_reads_it_over_the_wire(name: str, tmp_path: Path, *, rtu: bool) -> None:
    pack = SlowPack(CELLS)

    async def first() -> Sample:
        async with Server([Unit(3, name, pack)], rtu=rtu) as server:
            link = Modbus(
                transport="rtu_over_tcp" if rtu else "tcp", host=LOOPBACK, port=server.port, unit=3, timeout_s=5
            )
            driver = open_driver(link, profiles.load(name), directory=tmp_path, cache=None, clock=SystemClock())
            async with aclosing(driver.batches()) as batches:
                async for batch in batches:
                    if samples := [item for item in batch if isinstance(item, Sample)]:
                        return samples[0]
        raise AssertionError("no sample")

    sample = asyncio.run(asyncio.wait_for(first(), 30))
    said = pack.said()
    heard = {channel for channel in sample.values if channel.quantity is Quantity.CELL_VOLTAGE_V}
    assert len(heard) == CELLS
    for channel, value in sample.values.items():
        assert value == pytest.approx(said[channel], abs=0.51), channel
