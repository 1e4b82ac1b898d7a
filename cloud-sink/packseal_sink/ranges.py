"""Ranges: a set of sequence numbers kept as stretches, for sets that are mostly stretches."""

import copy
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import islice
from typing import Self

Range = tuple[int, int]
"""First number, and the one after the last."""


class Ranges:
    """Sequence numbers as the fewest ranges, ascending. `count` is how many numbers there are."""

    __slots__ = ("_ends", "_firsts", "count")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []
        self.count = 0
        for first, end in ranges:
            self.add(first, end)

    def __bool__(self) -> bool:
        return self.count > 0

    def __contains__(self, number: int) -> bool:
        return self.run_end(number) > number

    @property
    def end(self) -> int:
        """The number after the highest; 0 when there is none."""
        return self._ends[-1] if self._ends else 0

    def run_end(self, number: int) -> int:
        """Return the first number from `number` on that is not there."""
        at = bisect_right(self._firsts, number) - 1
        return max(number, self._ends[at]) if at >= 0 else number

    def range_of(self, number: int) -> Range | None:
        """Return the range that `number` is in."""
        at = bisect_right(self._firsts, number) - 1
        return (self._firsts[at], self._ends[at]) if at >= 0 and number < self._ends[at] else None

    def next_from(self, number: int) -> int | None:
        """Return the lowest number that is there and not below `number`."""
        at = bisect_right(self._ends, number)
        return max(number, self._firsts[at]) if at < len(self._firsts) else None

    def lowest(self, limit: int) -> list[Range]:
        """Return the ranges, at most `limit`, ascending."""
        return list(islice(zip(self._firsts, self._ends, strict=True), limit))

    def add(self, first: int, end: int) -> None:
        """Take in the numbers from `first` up to, not including, `end`."""
        low, high = bisect_left(self._ends, first), bisect_right(self._firsts, end)
        if low < high:
            first, end = min(first, self._firsts[low]), max(end, self._ends[high - 1])
        self._replace(low, high, [(first, end)])

    def remove(self, first: int, end: int) -> None:
        """Leave out the numbers from `first` up to, not including, `end`."""
        low, high = bisect_right(self._ends, first), bisect_left(self._firsts, end)
        if low < high:
            rest = [(self._firsts[low], first), (end, self._ends[high - 1])]
            self._replace(low, high, [(a, b) for a, b in rest if a < b])

    def copy(self) -> Self:
        """Return another set of the same numbers."""
        other = copy.copy(self)
        other._firsts, other._ends = self._firsts.copy(), self._ends.copy()  # noqa: SLF001 - of the same class
        return other

    def _replace(self, low: int, high: int, ranges: list[Range]) -> None:
        self.count -= sum(self._ends[low:high]) - sum(self._firsts[low:high])
        self.count += sum(end - first for first, end in ranges)
        self._firsts[low:high] = [first for first, _ in ranges]
        self._ends[low:high] = [end for _, end in ranges]
