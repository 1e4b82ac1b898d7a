"""Registers: what a Modbus battery of a profile holds, from what its BMS says. The inverse of the product's decoding.

A SunSpec device is laid out here by the models' own offsets, as the profile has them; the product has to find it.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from packseal.core.quantities import BY_KEY, Channel, Quantity
from packseal_drivers import profile as profiles
from packseal_drivers.modbus.lines import WORD_BITS, Point, Register, Value
from packseal_drivers.profile import Profile
from packseal_hil.faces.encodings import INVERSES, nearest_code
from packseal_hil.rig.protocols import RigError

HOLDING, INPUT = 3, 4
"""Function codes that read them: MODBUS Application Protocol V1.1b3 §6.3 and §6.4."""

Address = tuple[int, int]
"""Function and address."""
Words = dict[Address, int]

MARK = (0x5375, 0x6E53)  # "SunS": SunSpec Device Information Model Specification V1.1 §6
BASE = 40_000
COMMON, COMMON_WORDS = 1, 66
"""Model 1, which comes first in every device, and its length."""
END = (0xFFFF, 0)
SILENT_WORD = 0xFFFF
"""In points that no profile reads: "not implemented" of an unsigned number."""
NOT_IMPLEMENTED = {
    "u16": 0xFFFF,
    "s16": 0x8000,
    "u32": 0xFFFF_FFFF,
    "s32": 0x8000_0000,
    "u64": (1 << 64) - 1,
    "s64": 1 << 63,
    "float32": 0x7FC0_0000,
    "float64": 0x7FF8 << 48,
}
"""§6.4.2 of the same."""

GREATEST = {
    Quantity.PACK_VOLTAGE_V: 1500.0,
    Quantity.PACK_POWER_W: 100_000.0,
    Quantity.CELL_VOLTAGE_V: 6.0,
    Quantity.CELL_VOLTAGE_MAX_V: 6.0,
    Quantity.CELL_VOLTAGE_MIN_V: 6.0,
    Quantity.STATE_OF_CHARGE_PCT: 100.0,
    Quantity.STATE_OF_HEALTH_PCT: 110.0,
    Quantity.TEMPERATURE_C: 150.0,
    Quantity.TEMPERATURE_MAX_C: 150.0,
    Quantity.TEMPERATURE_MIN_C: 150.0,
}
"""What a device's scale factors leave room for, in the quantity's unit; else `ROOM`."""
ROOM = 1000.0
FINEST, COARSEST = -3, 10
"""Powers of ten: a device says thousandths at most, and sunssf ends at 10."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where one channel is, the line that says how, and where its power of ten stands."""

    channel: Channel
    line: Value
    at: Address
    scale: Address | None


class RegisterFace:
    """The registers of one device.

    Args:
        name: VENDOR/MODEL, or a path that ends in .toml, of a profile that is read over Modbus.
        says: all that its BMS will ever say; decides how many blocks its models have.

    Raises:
        RigError: the profile is of another road.
        ConfigError: there is no such profile.
    """

    def __init__(self, name: str, says: Mapping[Channel, float]) -> None:
        self.profile: Profile = profiles.load(name).profile
        if not self.profile.register and not self.profile.point:
            raise RigError(f"profile {name} is none that a simulated battery speaks over Modbus")
        self.fixed: Words = {}
        """What stands there whatever the battery says."""
        self.cells = list(_registers(self.profile.register) if self.profile.register else self._models(says))
        self.exponents = self._exponents()

    def words(self, values: Mapping[Channel, float]) -> Words:
        """Return all registers that the device has; what the battery does not say is marked so, or is not there."""
        words = dict(self.fixed)
        words |= {at: exponent & 0xFFFF for at, exponent in self.exponents.items()}
        for cell in self.cells:
            bits = self._bits(cell, values.get(cell.channel))
            if bits is not None:
                _place(words, cell, bits)
        return words

    def exponent(self, cell: Cell) -> int:
        """Return the power of ten that multiplies a channel's register."""
        return 0 if cell.scale is None else self.exponents[cell.scale]

    def _bits(self, cell: Cell, value: float | None) -> int | None:
        line = cell.line
        if value is None or not math.isfinite(value):
            return NOT_IMPLEMENTED[line.type] if isinstance(line, Point) else _unknown(line)
        return bits_of(line, (value - line.offset) / line.factor / 10.0 ** self.exponent(cell))

    def _exponents(self) -> dict[Address, int]:
        """Return the finest power of ten at every scale register that leaves room for all that it multiplies."""
        found: dict[Address, int] = {}
        for cell in self.cells:
            if cell.scale is not None:
                found[cell.scale] = max(found.get(cell.scale, FINEST), _finest(cell))
        return found

    def _models(self, says: Mapping[Channel, float]) -> Iterator[Cell]:
        words = [*MARK, COMMON, COMMON_WORDS, *[0] * COMMON_WORDS]
        for number in sorted({point.model for point in self.profile.point}):
            points = [point for point in self.profile.point if point.model == number]
            body, start = _model(points, says), BASE + len(words)
            for point in points:
                yield from _cells(point, start, says)
            words += [number, len(body) - 2, *body[2:]]
        self.fixed = {(HOLDING, BASE + n): word for n, word in enumerate((*words, *END))}


def bits_of(line: Value, number: float) -> int:
    """Return the field content that means this number best, and never one that means "not known"."""
    if line.floating:
        form = ">f" if line.type == "float32" else ">d"
        return int.from_bytes(struct.pack(form, number), "big")
    if line.encoding == "enumeration":
        return nearest_code(number, line.codes)
    if line.encoding is not None:
        return INVERSES[line.encoding](number, line.width)
    low, high = _raw_range(line)
    raw = min(high, max(low, round(number)))
    marks = {pattern & _mask(line) for pattern in line.not_available}
    if isinstance(line, Point):
        marks.add(NOT_IMPLEMENTED[line.type])
    while raw & _mask(line) in marks:
        raw += -1 if raw > 0 else 1
    return raw & _mask(line)


def _registers(lines: tuple[Register, ...]) -> Iterator[Cell]:
    for line in lines:
        function = HOLDING if line.table == "holding" else INPUT
        scale = None if line.scale_address is None else (function, line.scale_address)
        for number in range(line.count):
            channel = Channel(_quantity(line), line.index + number)
            yield Cell(channel, line, (function, line.address + number * line.stride), scale)


def _model(points: list[Point], says: Mapping[Channel, float]) -> list[int]:
    """Return a model's registers with nothing in them but the counts of its blocks; its ID and length first."""
    words = max(max(p.scale_at or 0, p.block.at - 1 if p.block else p.at + p.words - 1) for p in points) + 1
    blocks = {p.block: max(_blocks(q, says) for q in points if q.block == p.block) for p in points if p.block}
    for block, count in blocks.items():
        words = max(words, block.at + count * block.length)
    body = [SILENT_WORD] * words
    for block, count in blocks.items():
        if block.count_at is not None:
            body[block.count_at] = count
    return body


def _blocks(point: Point, says: Mapping[Channel, float]) -> int:
    """Return how many blocks are needed for what is said; one at least."""
    said = [c.index for c in says if c.quantity is _quantity(point) and 0 <= c.index - point.index < point.count]
    return max(said, default=point.index) - point.index + 1


def _cells(point: Point, start: int, says: Mapping[Channel, float]) -> Iterator[Cell]:
    scale = None if point.scale_at is None else (HOLDING, start + point.scale_at)
    for number in range(1 if point.block is None else _blocks(point, says)):
        at = start + point.at + (number * point.block.length if point.block else 0)
        yield Cell(Channel(_quantity(point), point.index + number), point, (HOLDING, at), scale)


def _finest(cell: Cell) -> int:
    line, greatest = cell.line, GREATEST.get(cell.channel.quantity, ROOM)
    if line.floating:
        return 0
    number = abs((greatest - line.offset) / line.factor)
    return next(e for e in range(FINEST, COARSEST + 1) if number <= 10.0**e * (_raw_range(line)[1] - 1))


def _unknown(line: Value) -> int | None:
    """Return the content by which a device says that it does not know; None where it has none."""
    if line.not_available:
        return line.not_available[0] & _mask(line)
    return NOT_IMPLEMENTED[line.type] if line.floating else None


def _place(words: Words, cell: Cell, bits: int) -> None:
    """Write a field's bits into its registers, and leave the others of these registers."""
    line, (function, address) = cell.line, cell.at
    whole, mask = bits << line.shift, _mask(line) << line.shift
    for number in range(line.words):
        place = line.words - 1 - number if line.word_order == "big" else number
        word, own = (n >> WORD_BITS * place & 0xFFFF for n in (whole, mask))
        if line.byte_order == "little":
            word, own = ((n & 0xFF) << 8 | n >> 8 for n in (word, own))
        at = function, address + number
        words[at] = words.get(at, 0) & ~own | word


def _raw_range(line: Value) -> tuple[int, int]:
    if line.signed:
        return -(1 << line.width - 1), (1 << line.width - 1) - 1
    return 0, _mask(line)


def _mask(line: Value) -> int:
    return (1 << line.width) - 1


def _quantity(line: Value) -> Quantity:
    return BY_KEY[line.quantity]
