"""Row: one frame as a file has it, and what was wrong with the rest."""

from pathlib import Path
from typing import NamedTuple

from packseal.core.errors import InputError
from packseal.core.sample import NS_PER_S

EFF_FLAG, ERR_FLAG = 0x8000_0000, 0x2000_0000  # linux/can.h
SFF_MASK, EFF_MASK = 0x7FF, 0x1FFF_FFFF  # likewise
MAX_DATA = 64  # CAN FD
MAX_TIME_NS = 1 << 62  # the year 2116

KEPT = 5  # texts of what was wrong; the rest is counted
HOPELESS = 100
"""So many bad lines before the first good one: the file is something else."""

NANO_DIGITS = 9  # behind the point of a second


class Row(NamedTuple):
    """One frame. `time_ns` is the file's clock, `bus` its name for the bus, `address` as in a Frame."""

    time_ns: int
    bus: str
    address: int
    data: bytes


class Troubles:
    """What could not be read: how often, and where the first few are."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self.texts: list[str] = []
        self.good = False
        """Set by whoever has read a good line."""
        self._path = path

    def note(self, line: int | None, why: str) -> None:
        """Count one; raises InputError when nothing but trouble has come so far."""
        self.count += 1
        if len(self.texts) < KEPT:
            self.texts.append(why if line is None else f"line {line}: {why}")
        if not self.good and self.count >= HOPELESS:
            raise InputError(f"{self._path}: its first {HOPELESS} lines are no recording of its kind ({self.first})")

    @property
    def first(self) -> str:
        """The first trouble; empty without one."""
        return self.texts[0] if self.texts else ""

    @property
    def summary(self) -> str:
        """One line on all of them; empty without any."""
        if not self.count:
            return ""
        more = f" … and {self.count - len(self.texts)} more" if self.count > len(self.texts) else ""
        return f"{self._path}: {self.count} bad: {'; '.join(self.texts)}{more}"


def nanoseconds(seconds: str) -> int:
    """Return decimal seconds as nanoseconds, exactly; raises ValueError."""
    whole, _, fraction = seconds.partition(".")
    time_ns = int(whole) * NS_PER_S + int(fraction[:NANO_DIGITS].ljust(NANO_DIGITS, "0"))
    if not 0 <= time_ns < MAX_TIME_NS:
        raise ValueError(f"the time {seconds[:30]} is beyond what a recording can have")
    return time_ns


def address_of(number: int, *, extended: bool) -> int:
    """Return a Frame's address; raises ValueError."""
    if not 0 <= number <= (EFF_MASK if extended else SFF_MASK):
        raise ValueError(f"the id {number:#x} has more than {29 if extended else 11} bits")
    return number | EFF_FLAG if extended else number
