"""Poll: which reads are due, and what is done about those that a device declines. Pure; a driver carries them out."""

from collections.abc import Iterable
from dataclasses import dataclass

from packseal.core.sample import NS_PER_S
from packseal_drivers.modbus.lines import Reading
from packseal_drivers.modbus.plan import Place, Read, halves, plan

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
BUSY, NO_PATH, TARGET_SILENT = 6, 0x0A, 0x0B
"""Exception codes: MODBUS Application Protocol V1.1b3 §7."""
NOT_THERE = (ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE)
"""Such an answer will be the same next time."""
GATEWAY = (NO_PATH, TARGET_SILENT)
"""A gateway says this in the name of a unit that is not there."""
SELDOM_NS = 600 * NS_PER_S
"""What is declined is asked for half as often each time, but so often at least: an update may bring it."""
SILENT_MIN_S, SILENT_MAX_S = 0.5, 60.0
"""A silent unit is left alone for the first, then twice as long each time, up to the second."""


@dataclass(slots=True)
class _Line:
    """One read; how often in a row it was declined, and when it is asked again."""

    read: Read
    refusals: int = 0
    due_ns: int = 0


class Poll:
    """The reads of one device. A new one is asked for everything.

    Args:
        places: what is wanted.
        reading: the device's limits.
        period_ns: between two polls.
    """

    def __init__(self, places: Iterable[Place], reading: Reading, period_ns: int) -> None:
        self._places = tuple(places)
        self._period_ns = period_ns
        self._lines = [_Line(read) for read in plan(self._places, reading.max_registers, reading.max_gap)]

    @property
    def reads(self) -> list[Read]:
        """All reads as they are now, in the order of their addresses."""
        return [line.read for line in self._lines]

    def due(self, now_ns: int) -> list[Read]:
        """Return what is asked in a poll that begins now."""
        return [line.read for line in self._lines if line.due_ns <= now_ns]

    def answered(self, read: Read) -> None:
        """Note that a read was answered with registers."""
        for line in self._lines:
            if line.read == read:
                line.refusals = 0

    def declined(self, read: Read, code: int, now_ns: int) -> list[Read]:
        """Note an exception; return what to ask at once in its place.

        A read that holds something the device does not have is cut until what it has is found. A single value that it
        does not have is asked for half as often after every refusal, in the end every ten minutes.
        """
        if code not in NOT_THERE:
            return []
        for number, line in enumerate(self._lines):
            if line.read != read:
                continue
            parts = halves(read, self._places) if code != ILLEGAL_FUNCTION else [read]
            if parts != [read]:
                self._lines[number : number + 1] = [_Line(part) for part in parts]
                return parts
            line.refusals += 1
            line.due_ns = now_ns + min(self._period_ns << min(line.refusals, 16), SELDOM_NS)
        return []


class Silence:
    """How long a unit that does not answer is left alone: 0.5, 1, 2 … seconds, in the end a minute."""

    def __init__(self) -> None:
        self._misses = 0

    def over(self) -> None:
        """Note that it has answered."""
        self._misses = 0

    def next_s(self) -> float:
        """Note that it has not, once more; return the seconds to wait."""
        self._misses += 1
        return float(min(SILENT_MIN_S * 2 ** min(self._misses - 1, 16), SILENT_MAX_S))
