"""Plausibility: whether a frame that passed a weak checksum may be believed. Pure.

An 8-bit sum lets one damaged frame in 256 pass, and a sum does not see bytes that changed places. So what a frame says
is held against itself and against what was said before. What is doubtful is not thrown away: it waits for the next
frames of its kind, and when they say the same, it is true, whatever was expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from packseal.core.quantities import Quantity
from packseal.core.sample import NS_PER_S, Flaw, Frame, LinkCounts
from packseal_drivers.decoding import Decoders
from packseal_drivers.decoding.codes import ANSWERS, MESSAGES
from packseal_drivers.framing.burst import Reading

STALE_NS = 60 * NS_PER_S
"""What was said longer ago is no measure for what is said now."""
AGREES_NS = 30 * NS_PER_S
"""A doubtful frame waits so long for the next one."""
NEEDED, NEEDED_AGAINST, NEEDED_ODD = 2, 3, 5
"""So many frames in a row must agree: where there is nothing to hold them against; where they contradict what was
before, or say what cannot be; where they contradict themselves. What was confirmed so is then no longer strange."""
IMPOSSIBLE = (Flaw.OUT_OF_RANGE, Flaw.NOT_A_NUMBER)
TOGETHER_NS = 5 * NS_PER_S
"""Cells and pack voltage of different frames are compared when they are no further apart."""


Trust = Literal["sum", "crc", "whole"]
"""How sure it is that a frame is as it was sent: it has a sum only, so that even the first one after a pause needs a
second one that agrees; a CRC; or it came as one value, which Bluetooth keeps whole, and everything is believed."""


class Limit(NamedTuple):
    """How far a value may move between two frames: a step, a part of the value, and per second; in its own unit."""

    step: float
    part: float
    per_s: float

    def allows(self, before: float, now: float, seconds: float) -> bool:
        """Whether `now` may follow `before`."""
        return abs(now - before) <= self.step + self.part * abs(before) + self.per_s * seconds


_CELL = Limit(0.25, 0.0, 0.02)
_COUNTER = Limit(1.0, 0.001, 0.1)
LIMITS: Mapping[Quantity, Limit] = {
    Quantity.PACK_VOLTAGE_V: Limit(0.5, 0.06, 0.1),
    Quantity.STATE_OF_CHARGE_PCT: Limit(2.0, 0.0, 0.05),
    Quantity.STATE_OF_HEALTH_PCT: Limit(1.0, 0.0, 0.001),
    Quantity.TEMPERATURE_C: Limit(4.0, 0.0, 0.2),
    Quantity.TEMPERATURE_MAX_C: Limit(4.0, 0.0, 0.2),
    Quantity.TEMPERATURE_MIN_C: Limit(4.0, 0.0, 0.2),
    Quantity.CELL_VOLTAGE_V: _CELL,
    Quantity.CELL_VOLTAGE_MAX_V: _CELL,
    Quantity.CELL_VOLTAGE_MIN_V: _CELL,
    Quantity.FULL_CHARGE_CAPACITY_AH: Limit(0.5, 0.02, 0.01),
    Quantity.REMAINING_CHARGE_AH: Limit(0.5, 0.02, 0.2),
    Quantity.CHARGE_CHARGED_AH: _COUNTER,
    Quantity.CHARGE_DISCHARGED_AH: _COUNTER,
    Quantity.ENERGY_CHARGED_KWH: _COUNTER,
    Quantity.ENERGY_DISCHARGED_KWH: _COUNTER,
    Quantity.CYCLES: Limit(1.0, 0.0, 0.001),
    Quantity.OPERATING_TIME_H: Limit(0.02, 0.0, 0.001),
    Quantity.ENERGY_REMAINING_KWH: Limit(0.1, 0.02, 0.02),
    Quantity.FULL_CHARGE_ENERGY_KWH: Limit(0.1, 0.02, 0.001),
}
"""Steps that loads make are within them; current and power may take any step, so they are not here. A step beyond costs
two frames: the third one is believed."""

SUM_STEP_V, SUM_PART = 0.5, 0.02
"""Between the sum of the cells and the pack voltage of one frame: cables, rounding, another moment."""
SUM_PART_APART = 0.06
"""The same where they come in different frames, between which a load may have changed."""
EXTREME_V = 0.03
"""Between the cells and what the BMS says is the highest or lowest of them."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a frame says, by slot; slots whose value was unusable, and how; when; how many in a row said so.

    `strange`: it was believed although it contradicts itself, or says what cannot be.
    """

    values: Mapping[int, float]
    flaws: Mapping[int, int]
    mono_ns: int
    agreed: int = 1
    strange: bool = False


class Plausibility:
    """Readings in, frames for the sampler out. Counts what it withholds: `counts.doubted`.

    Args:
        decoders: of the profile.
        messages: the profile's messages by name, in the order of the file.
        counts: of the link.
        trust: of the protocol.
    """

    def __init__(self, decoders: Decoders, messages: tuple[str, ...], counts: LinkCounts, *, trust: Trust) -> None:
        self._decoders = decoders
        self._numbers = {name: number for number, name in enumerate(messages)}
        self._counts = counts
        self._trust = trust
        self._believed: dict[str, _Said] = {}
        self._doubted: dict[str, _Said] = {}
        quantities = [channel.quantity for channel in decoders.channels]
        self._limits = [LIMITS.get(quantity) for quantity in quantities]
        self._slots = {q: [i for i, other in enumerate(quantities) if other is q] for q in set(quantities)}

    def judge(self, reading: Reading) -> list[Frame]:
        """Return a reading's frames when it may be believed, else none."""
        frames = [
            Frame(MESSAGES + self._numbers[name], data, reading.mono_ns)
            for name, data in reading.parts
            if name in self._numbers
        ]
        if self._trust == "whole":
            return frames
        said = self._decode(frames)
        contradicts = reading.doubtful or not self._adds_up(reading.kind, said)
        strange = contradicts or any(flaw in IMPOSSIBLE for flaw in said.flaws.values())
        needed = self._needed(reading.kind, said, contradicts=contradicts, strange=strange)
        doubted = self._doubted.pop(reading.kind, None)
        if doubted is not None and said.mono_ns - doubted.mono_ns <= AGREES_NS and self._follows(doubted, said):
            said = replace(said, agreed=doubted.agreed + 1)
        if said.agreed < needed:
            self._doubted[reading.kind] = said
            self._counts.doubted += 1
            return []
        self._believed[reading.kind] = replace(said, agreed=1, strange=strange)
        return frames

    def _needed(self, kind: str, said: _Said, *, contradicts: bool, strange: bool) -> int:
        """Return how many frames in a row must say this, itself among them."""
        before = self._reference(kind, said)
        follows = before is not None and self._follows(before, said)
        if strange and not (before is not None and before.strange and follows):
            return NEEDED_ODD if contradicts else NEEDED_AGAINST
        if before is None:
            return NEEDED if self._trust == "sum" else 1
        return 1 if follows else NEEDED_AGAINST

    def _reference(self, kind: str, said: _Said) -> _Said | None:
        before = self._believed.get(kind)
        return None if before is None or said.mono_ns - before.mono_ns > STALE_NS else before

    def _decode(self, frames: list[Frame]) -> _Said:
        decoders = self._decoders
        slots: list[Any] = [[] if averaged else None for averaged in decoders.averaged]
        flaws: dict[int, int] = {}
        for frame in frames:
            decoders.answers[frame.address - ANSWERS](frame.data, slots, flaws.__setitem__)
        values = {}
        for slot, value in enumerate(slots):
            number = value[0] if isinstance(value, list) and value else value
            if isinstance(number, int | float):
                values[slot] = float(number)
        return _Said(values, flaws, frames[0].mono_ns if frames else 0)

    def _follows(self, before: _Said, now: _Said) -> bool:
        """Whether the same channels are there, and none has moved farther than it can."""
        if before.values.keys() | before.flaws.keys() != now.values.keys() | now.flaws.keys():
            return False
        seconds = max(0, now.mono_ns - before.mono_ns) / NS_PER_S
        for slot, value in now.values.items():
            limit = self._limits[slot]
            if limit is not None and slot in before.values and not limit.allows(before.values[slot], value, seconds):
                return False
        return True

    def _adds_up(self, kind: str, said: _Said) -> bool:
        """Whether the cells make the pack's voltage, be it of this frame or of another one just before."""
        cells, volts = self._cells(said), self._one(said, Quantity.PACK_VOLTAGE_V)
        part = SUM_PART
        if bool(cells) is not (volts is not None):
            part = SUM_PART_APART
            for other, believed in self._believed.items():
                if other != kind and said.mono_ns - believed.mono_ns <= TOGETHER_NS:
                    cells = cells or self._cells(believed)
                    volts = self._one(believed, Quantity.PACK_VOLTAGE_V) if volts is None else volts
        if cells and volts is not None and abs(sum(cells) - volts) > SUM_STEP_V + part * volts:
            return False
        ends = ((max, Quantity.CELL_VOLTAGE_MAX_V), (min, Quantity.CELL_VOLTAGE_MIN_V))
        own = self._cells(said)
        for end, quantity in ends:
            stated = self._one(said, quantity)
            if own and stated is not None and abs(end(own) - stated) > EXTREME_V:
                return False
        return True

    def _cells(self, said: _Said) -> list[float]:
        return [said.values[i] for i in self._slots.get(Quantity.CELL_VOLTAGE_V, ()) if i in said.values]

    def _one(self, said: _Said, quantity: Quantity) -> float | None:
        slots = self._slots.get(quantity, ())
        return said.values.get(slots[0]) if slots else None
