"""SunSpec: every point means what the definitions say.

The oracle is pysunspec2 (Apache-2.0): where it is importable, or PACKSEAL_SUNSPEC2 names the directory that holds its
package `sunspec2`, the points of the profiles are held against its model definitions and its own decoding.
"""

import importlib
import json
import os
import random
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.drivers.sunspec_devices import COMMON, PROFILES, device, sampled

from packseal.core.quantities import BY_KEY, Channel
from packseal.core.sample import Flaw
from packseal_drivers.modbus.lines import Point
from packseal_drivers.profile import load


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
