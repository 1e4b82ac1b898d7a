"""Plan: which reads get all the registers that are wanted, in few requests and within a device's limits. Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class Place(NamedTuple):
    """Registers that make one value, so they must come with one answer: `words` of them from `address` on."""

    function: int
    address: int
    words: int

    @property
    def end(self) -> int:
        """The address behind the last."""
        return self.address + self.words


class Read(NamedTuple):
    """One request: `count` registers from `address` on with function 3 or 4."""

    function: int
    address: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a read

    @property
    def end(self) -> int:
        """The address behind the last."""
        return self.address + self.count

    def holds(self, place: Place) -> bool:
        """Whether all of a place comes with it."""
        return self.function == place.function and self.address <= place.address and place.end <= self.end


def plan(places: Iterable[Place], max_registers: int, max_gap: int) -> list[Read]:
    """Return reads so that every place lies within one of them, in the order of their addresses.

    No read is longer than `max_registers`, none begins or ends with a register that nobody wants, and none holds a run
    of more than `max_gap` such registers. Places in order are put together as long as that holds.

    Raises:
        ValueError: a place is longer than `max_registers`.
    """
    reads: list[Read] = []
    for place in sorted(set(places)):
        if place.words > max_registers:
            raise ValueError(f"a value of {place.words} registers does not fit into one read of {max_registers}")
        last = reads[-1] if reads else None
        if last and last.holds(place):
            continue
        if last and last.function == place.function and place.address - last.end <= max_gap:
            together = max(last.end, place.end) - last.address
            if together <= max_registers:
                reads[-1] = last._replace(count=together)
                continue
        reads.append(Read(*place))
    return reads


def halves(read: Read, places: Iterable[Place]) -> list[Read]:
    """Return what to ask in place of a read that the device declines: its places alone, touching ones together.

    A single run of touching places is cut in two. What cannot be cut, such as a single place, is returned as it is.
    """
    own = sorted(place for place in set(places) if read.holds(place))
    runs = plan(own, read.count, 0)
    if len(runs) == 1 and len(own) > 1:
        middle = len(own) // 2
        runs = plan(own[:middle], read.count, 0) + plan(own[middle:], read.count, 0)
    return [read] if read in runs or not runs else runs
