"""Lines of a Modbus profile: [[register]] of a vendor's map, [[point]] of SunSpec models, [modbus] for the limits.

The docstrings are the reference of whoever writes a profile. Addresses are those of the protocol, counted from 0: what
some documents call holding register 40001 or input register 30001 is address 0.
"""

import math
from typing import Literal

import msgspec

from packseal_drivers.lines import Conversion

LAST_ADDRESS = 0xFFFF
MAX_REGISTERS = 125
"""Of one read: MODBUS Application Protocol V1.1b3, §6.3 and §6.4."""
MAX_PAUSE_S = 5.0
MAX_MODEL = 64_999
"""65535 is the end of a SunSpec chain, and models from 64000 on are vendors' own."""

Kind = Literal["u16", "s16", "u32", "s32", "u64", "s64", "float32", "float64"]
WORDS: dict[str, int] = {"u16": 1, "s16": 1, "u32": 2, "s32": 2, "float32": 2, "u64": 4, "s64": 4, "float64": 4}
"""How many registers a value has."""
WORD_BITS = 16


class Value(Conversion, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What [[register]] and [[point]] share: the form of a number in 16-bit registers."""

    type: Kind = "u16"
    word_order: Literal["big", "little"] = "big"
    """Which of several registers comes first: the one with the high bits (big), or with the low ones."""
    byte_order: Literal["big", "little"] = "big"
    """Within a register; Modbus itself says big."""
    shift: int = 0
    """Bits to leave out at the low end; of integers."""
    bits: int | None = None
    """How many bits to keep above them, as of two numbers in one register; None keeps the rest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        floating = self.type.startswith("float")
        if self.shift < 0 or self.width < 1 or self.shift + self.width > WORD_BITS * self.words:
            raise ValueError("shift and bits must stay within the value")
        if floating and (self.shift or self.bits is not None or self.encoding is not None):
            raise ValueError("a floating type has neither shift, bits nor encoding")
        low = -(1 << (self.width - 1))
        if any(not low <= pattern < 1 << self.width for pattern in self.not_available):
            raise ValueError(f"not_available must fit into the {self.width} bits of the value")

    @property
    def words(self) -> int:
        """How many registers one value has."""
        return WORDS[self.type]

    @property
    def width(self) -> int:
        """How many bits are kept."""
        return WORD_BITS * self.words - self.shift if self.bits is None else self.bits

    @property
    def signed(self) -> bool:
        """Whether the bits are two's complement."""
        return self.type.startswith("s") and self.encoding is None

    @property
    def floating(self) -> bool:
        """Whether they are an IEEE 754 number."""
        return self.type.startswith("float")


class Register(Value, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[register]]: one value in a device's register map, or `count` of them, and the quantity it is."""

    table: Literal["holding", "input"] = "holding"
    """Holding registers are read with function 3, input registers with function 4."""
    address: int
    """Of the first register, in the protocol, counted from 0."""
    step: int | None = None
    """Registers from one channel to the next; None: as many as the value has."""
    scale_address: int | None = None
    """A register of the same table with a power of ten, -10 to 10, that multiplies the value; else not available."""

    def __post_init__(self) -> None:
        super().__post_init__()
        last = self.address + (self.count - 1) * self.stride + self.words - 1
        if self.address < 0 or self.stride < 1 or last > LAST_ADDRESS:
            raise ValueError(f"address, step and count must stay within 0 and {LAST_ADDRESS}")
        if self.scale_address is not None and not 0 <= self.scale_address <= LAST_ADDRESS:
            raise ValueError(f"scale_address must be from 0 to {LAST_ADDRESS}")

    @property
    def stride(self) -> int:
        """Registers from one channel to the next."""
        return self.words if self.step is None else self.step


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`block` of a [[point]]: the group of points that a SunSpec model repeats behind its fixed ones."""

    at: int
    """Where the first one begins, in registers from the model's ID."""
    length: int
    """Registers of one."""
    count_at: int | None = None
    """The point of the model that says how many there are; None: as many as its length holds."""

    def __post_init__(self) -> None:
        if self.at < 2 or self.length < 1:  # noqa: PLR2004 - ID and length come first
            raise ValueError("a block begins behind the model's ID and length, and has at least one register")
        if self.count_at is not None and not 2 <= self.count_at < self.at:  # noqa: PLR2004 - likewise
            raise ValueError("count_at must be a fixed point of the model")


class Point(Value, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[point]]: one point of a SunSpec model. Where the model is, is found out; `not_available` is the standard's.

    A point of a block gives one channel per block, over all the models of that number, `count` at most. Any other is
    taken from the first of them.
    """

    model: int
    name: str
    """The point's name in the model's definition."""
    at: int
    """Registers from the model's ID; of a block's point, in the first block."""
    scale_at: int | None = None
    """The point with the scale factor (sunssf), likewise; where that is not implemented, the value is not available."""
    block: Block | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.model <= MAX_MODEL or not 2 <= self.at <= LAST_ADDRESS:  # noqa: PLR2004 - ID and length
            raise ValueError(f"model must be from 1 to {MAX_MODEL}, and at behind the model's ID and length")
        if self.block is None and self.count != 1:
            raise ValueError("count belongs to a point of a block")
        if self.block and not self.block.at <= self.at <= self.block.at + self.block.length - self.words:
            raise ValueError("at must be within the first block")
        if self.scale_at is not None and not 2 <= self.scale_at <= LAST_ADDRESS:  # noqa: PLR2004 - likewise
            raise ValueError("scale_at must be behind the model's ID and length")


class Reading(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[modbus]: how the device wants to be read. How often is said by `period_s` of [sampling]: once per sample."""

    max_registers: int = 100
    """Of one read. 125 is what the protocol allows; many devices allow less."""
    max_gap: int = 0
    """So many registers that nobody wants are read as well where that saves a request; 0: none."""
    pause_s: float = 0.0
    """Between two requests, for a device that needs it."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_registers <= MAX_REGISTERS:
            raise ValueError(f"max_registers must be from 1 to {MAX_REGISTERS}")
        if not 0 <= self.max_gap < MAX_REGISTERS:
            raise ValueError(f"max_gap must be from 0 to {MAX_REGISTERS - 1}")
        if not (math.isfinite(self.pause_s) and 0 <= self.pause_s <= MAX_PAUSE_S):
            raise ValueError(f"pause_s must be from 0 to {MAX_PAUSE_S:g} seconds")
