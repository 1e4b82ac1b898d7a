"""Ranges: a set of sequence numbers, kept as stretches that stand apart from each other."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Numbers from 0 up; a stretch is [first, end). Iterating yields the stretches in ascending order."""

    __slots__ = ("_ends", "_firsts", "_size")

    def __init__(self, stretches: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._ends: list[int] = []
        self._size = 0
        for first, end in stretches:
            self.add(first, end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._ends, strict=True)

    def __len__(self) -> int:
        return self._size  # how many numbers

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number < self._ends[at]

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"

    def add(self, first: int, end: int) -> None:
        """Add a stretch; nothing when it is empty."""
        if first >= end:
            return
        low, high = bisect_left(self._ends, first), bisect_right(self._firsts, end)  # those it touches
        if low < high:
            first, end = min(first, self._firsts[low]), max(end, self._ends[high - 1])
        self._put(low, high, [(first, end)])

    def discard(self, first: int, end: int) -> None:
        """Take a stretch away, as far as it is there."""
        if first >= end:
            return
        low, high = bisect_right(self._ends, first), bisect_left(self._firsts, end)  # those it overlaps
        if low >= high:
            return
        left, right = (self._firsts[low], first), (end, self._ends[high - 1])
        self._put(low, high, [stretch for stretch in (left, right) if stretch[0] < stretch[1]])

    def _put(self, low: int, high: int, stretches: list[tuple[int, int]]) -> None:
        """Replace the stretches from index `low` to before `high`."""
        self._size -= sum(self._ends[low:high]) - sum(self._firsts[low:high])
        self._firsts[low:high] = [first for first, _ in stretches]
        self._ends[low:high] = [end for _, end in stretches]
        self._size += sum(end - first for first, end in stretches)

    def next_missing(self, number: int) -> int:
        """Return the lowest number from `number` on that is not in it."""
        at = bisect_right(self._firsts, number) - 1
        return self._ends[at] if at >= 0 and number < self._ends[at] else number

    def last_missing(self, number: int) -> int:
        """Return the highest number up to `number` that is not in it; -1 when there is none."""
        at = bisect_right(self._firsts, number) - 1
        return self._firsts[at] - 1 if at >= 0 and number < self._ends[at] else number

    def next_first(self, number: int) -> int | None:
        """Return where the first stretch after `number` begins; None when there is none."""
        at = bisect_right(self._firsts, number)
        return self._firsts[at] if at < len(self._firsts) else None


def spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as stretches."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number:
            found[-1] = (found[-1][0], number + 1)
        else:
            found.append((number, number + 1))
    return found
