"""SunSpec: finding the models of a device, and where in them a profile's points are. Pure: it says what to read.

The walk is a generator: it yields a Read and is sent the registers that came, or None where the device has declined. So
the same walk goes over a wire and over a recording. Source: SunSpec Device Information Model Specification V1.1, §6.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packseal_drivers.modbus import strings
from packseal_drivers.modbus.lines import Block, Point
from packseal_drivers.modbus.plan import Place, Read
from packseal_drivers.modbus.registers import Field, RegisterMap

HOLDING = 3
BASES = (40_000, 0, 50_000)
"""Where the map may begin; most devices have it at 40000."""
MARK = (0x5375, 0x6E53)  # "SunS"
END_MODEL = 0xFFFF
HEADER_WORDS = 2
ADDRESSES = 0x1_0000
MAX_MODELS = 128
"""A bank of 8 strings with 12 modules each has 107; what is longer is taken for a chain without an end."""
SENTINELS = {"u16": 0xFFFF, "s16": 0x8000, "u32": 0xFFFF_FFFF, "s32": 0x8000_0000, "u64": (1 << 64) - 1, "s64": 1 << 63}
"""What "not implemented" is in each type (§6.4.2 of the specification); of floats it is NaN."""

Walk = Generator[Read, Sequence[int] | None, "Chain"]


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the chain: its number, the address of its ID, and how many registers it has with ID and length."""

    number: int
    address: int
    words: int

    def holds(self, at: int, words: int) -> bool:
        """Whether `words` registers from `at` on belong to it."""
        return at + words <= self.words


@dataclass(slots=True)
class Chain:
    """What was found. `base` is None where there is no SunSpec map; `trouble` says what is wrong with the chain."""

    base: int | None = None
    models: list[Model] = field(default_factory=list)
    trouble: str | None = None


def walk(max_models: int = MAX_MODELS) -> Walk:
    """Find the map and go along its chain of models; yields what to read, and returns the chain."""
    for base in BASES:
        mark = yield Read(HOLDING, base, HEADER_WORDS)
        if mark is not None and tuple(mark) == MARK:
            return (yield from _along(Chain(base), base + HEADER_WORDS, max_models))
    return Chain(trouble="no SunSpec map at register 0, 40000 or 50000")


def _along(chain: Chain, address: int, max_models: int) -> Walk:
    while len(chain.models) < max_models:
        if address + 1 > ADDRESSES:
            chain.trouble = "the chain of models runs beyond the last register"
            return chain
        # Some devices end their map right behind the end mark, so that its length cannot be read.
        header = (yield Read(HOLDING, address, HEADER_WORDS)) if address + HEADER_WORDS <= ADDRESSES else None
        if header is None:
            header = yield Read(HOLDING, address, 1)
        if header is None:
            chain.trouble = f"the chain of models breaks off at register {address}"
            return chain
        if header[0] == END_MODEL:
            return chain
        if len(header) < HEADER_WORDS or address + HEADER_WORDS + header[1] > ADDRESSES:
            chain.trouble = f"model {header[0]} at register {address} is longer than the device"
            return chain
        chain.models.append(Model(header[0], address, HEADER_WORDS + header[1]))
        address += HEADER_WORDS + header[1]
    chain.trouble = f"the chain of models has no end within {max_models} models"
    return chain


@dataclass(slots=True)
class Located:
    """Where a profile's points are. `lies` counts blocks that a model says to have beyond its own length."""

    map: RegisterMap
    lies: int = 0
    missing: tuple[str, ...] = ()
    """Points whose model the device does not have, or whose model is too short for them."""
    doubt: str = ""
    """What is to be known about the strings of the device; "" where it has one, or it was said which one is meant."""


def counts_of(points: Iterable[Point], chain: Chain) -> list[Read]:
    """Return what must be read first: how many blocks each model says to have, and of which string it is."""
    points = list(points)
    wanted = {(p.model, p.block.count_at) for p in points if p.block and p.block.count_at is not None}
    wanted |= strings.indices({p.model for p in points}, [m.number for m in chain.models])
    return [
        Read(HOLDING, model.address + at, 1)
        for model in chain.models
        for number, at in sorted(wanted)
        if number == model.number and model.holds(at, 1)
    ]


def locate(points: Sequence[Point], chain: Chain, said: Mapping[int, int], string: int | None = None) -> Located:
    """Return where the points are.

    Args:
        points: of the profile.
        chain: what the device has.
        said: what the registers of `counts_of` have said, by their address.
        string: which one is meant of a device that has several, from 1 on; None is the first.
    """
    heads = [(m.number, said.get(m.address + strings.INDEX_AT)) for m in chain.models]
    kept, doubt = strings.of_one({p.model for p in points}, heads, string)
    chain = Chain(chain.base, [m for m, keep in zip(chain.models, kept, strict=True) if keep], chain.trouble)
    fields: list[Field] = []
    missing: list[str] = []
    lying: set[tuple[int, int]] = set()
    slot = 0
    for point in points:
        places = _places(point, chain, said, lying)
        for number, (model, place) in enumerate(places):
            scale = _scale(point, model)
            exponent = None if scale is None and point.scale_at is not None else 0
            fields.append(Field(slot + number, point, place, scale, exponent, _sentinels(point)))
        if not places:
            missing.append(f"{point.model}.{point.name}")
        slot += point.count
    return Located(RegisterMap(fields), len(lying), tuple(missing), doubt)


def _sentinels(point: Point) -> tuple[int, ...]:
    sentinel = SENTINELS.get(point.type)
    return () if sentinel is None or point.shift or point.bits is not None else (sentinel,)


def _places(
    point: Point, chain: Chain, said: Mapping[int, int], lying: set[tuple[int, int]]
) -> list[tuple[Model, Place]]:
    """Return the model and place of each channel, as far as the device has them."""
    found: list[tuple[Model, Place]] = []
    for model in chain.models:
        if model.number != point.model:
            continue
        blocks = 1 if point.block is None else _blocks(model, point.block, said, lying)
        for number in range(blocks):
            at = point.at + (number * point.block.length if point.block else 0)
            if len(found) < point.count and model.holds(at, point.words):
                found.append((model, Place(HOLDING, model.address + at, point.words)))
        if point.block is None:
            break  # of a fixed point the first model counts
    return found


def _scale(point: Point, model: Model) -> Place | None:
    if point.scale_at is None or not model.holds(point.scale_at, 1):
        return None
    return Place(HOLDING, model.address + point.scale_at, 1)


def _blocks(model: Model, block: Block, said: Mapping[int, int], lying: set[tuple[int, int]]) -> int:
    """Return how many blocks a model has: as many as it says, and never more than its length holds."""
    room = max(0, model.words - block.at) // block.length
    count = room if block.count_at is None else said.get(model.address + block.count_at, 0)
    if count == SENTINELS["u16"]:
        return 0
    if count > room:
        lying.add((model.address, block.at))
    return min(count, room)
