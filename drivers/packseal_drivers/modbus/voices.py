"""Voices: two devices of one unit id on a serial line, seen by a second answer to one question. Pure.

On a serial line nothing but the unit id says whose answer it is. Where two devices have the same one their answers
collide and are lost to the checksum, or come one behind the other, both whole: then nobody can tell which is the
battery's.
"""

from packseal.core.sample import NS_PER_S, EventCode, Instant, LinkCounts, Notice

SURE = 2
"""A single one may be a late answer to the question before."""
CLEAN_POLLS = 5
"""So many polls without a second answer, and the values are believed again."""
AGAIN_NS = 3600 * NS_PER_S
"""It is told again no sooner: every notice seals a window."""


class Voices:
    """Takes note of second answers; says whether the unit's values can be believed, and what is to be told.

    Args:
        unit: its number, for what is told.
        counts: of the link; second answers are counted as `doubles`, polls that are withheld as `doubted`.
    """

    def __init__(self, unit: int, counts: LinkCounts) -> None:
        self._unit = unit
        self._counts = counts
        self._seconds = 0
        self._clean = CLEAN_POLLS
        self._told_ns: int | None = None

    def second(self) -> None:
        """Note that one question had two answers."""
        self._counts.doubles += 1
        self._seconds += 1
        self._clean = 0

    def believed(self) -> bool:
        """Whether the poll that has just ended may be believed; call it once per poll."""
        self._clean += 1
        if self._clean > CLEAN_POLLS:
            self._seconds = 0
            return True
        self._counts.doubted += 1
        return False

    def notices(self, now: Instant) -> list[Notice]:
        """Return what is to be told, at most once an hour."""
        if self._seconds < SURE or (self._told_ns is not None and now.mono_ns - self._told_ns < AGAIN_NS):
            return []
        self._told_ns = now.mono_ns
        return [Notice(EventCode.ADDRESS_CLASH, now, {"unit": self._unit})]
