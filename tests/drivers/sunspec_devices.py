"""SunSpec devices made up: models in a row of registers, and what a walk and a profile make of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from packseal.core.quantities import Channel
from packseal.core.sample import Flaw
from packseal_drivers.modbus.plan import Read
from packseal_drivers.modbus.registers import Image
from packseal_drivers.modbus.replay import map_of
from packseal_drivers.modbus.sunspec import MAX_MODELS, Chain, walk
from packseal_drivers.profile import Profile

PROFILES = ("sunspec/bank", "sunspec/string", "sunspec/der_storage", "sunspec/storage")
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
