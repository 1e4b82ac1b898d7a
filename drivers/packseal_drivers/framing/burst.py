"""Burst: notifications in, one whole frame out, where a frame is longer than what one notification carries.

A lost notification must not let the rest of a frame be joined to the next one: many Bluetooth BMS protocols only have a
sum over the bytes, which such a splice meets once in 256 times. So a frame begins with a notification that begins with
its marker and nowhere else, its notifications come close together, and none follows a shorter one. Pure and bounded.
"""

from collections.abc import Callable
from typing import NamedTuple

from packseal.core.sample import NS_PER_S

GAP_NS = 3 * NS_PER_S // 10
"""Within a frame: several connection events apart. A peripheral's slowest useful interval is 100 ms; frames of a BMS
that speaks by itself are half a second apart at least."""


class Notification(NamedTuple):
    """What a characteristic said, told or read. `uuid`: 128 bits, in lower case."""

    uuid: str
    data: bytes
    mono_ns: int


class Reading(NamedTuple):
    """One whole and checked frame: its parts by name, for the profile.

    `kind` tells apart the frames that are compared with one another. `doubtful`: a second one must agree.
    """

    kind: str
    parts: tuple[tuple[str, bytes], ...]
    mono_ns: int
    doubtful: bool


class Whole(NamedTuple):
    """A frame of the length that it says of itself. `odd`: its notifications were not cut as one sender cuts them."""

    data: bytes
    odd: bool


class Burst:
    """Joins notifications.

    Args:
        marker: what a frame begins with.
        head: so many bytes are needed to know its length.
        length: from these bytes to the frame's whole length; None where no frame can begin so.
        limit: no frame is longer, in bytes.
        trailer: whether these bytes, behind a frame, belong to the module and not to the BMS.
    """

    def __init__(
        self,
        marker: bytes,
        head: int,
        length: Callable[[bytes], int | None],
        limit: int,
        trailer: Callable[[bytes], bool] = lambda rest: not rest,
    ) -> None:
        self._marker = marker
        self._head = head
        self._length = length
        self._limit = limit
        self._trailer = trailer
        self.cut = 0
        """Frames that were given up; only grows."""
        self._data = b""
        self._sizes: list[int] = []
        self._last_ns = 0

    def clear(self) -> None:
        """Give up what has begun."""
        self.cut += bool(self._sizes)
        self._data, self._sizes = b"", []

    def feed(self, data: bytes, mono_ns: int) -> Whole | None:
        """Take one notification; return the frame that it ends."""
        if not data:
            return None
        if self._sizes and (data.startswith(self._marker) or mono_ns - self._last_ns > GAP_NS):
            self.clear()
        if not self._sizes and not data.startswith(self._marker):
            return None
        self._data += data
        self._sizes.append(len(data))
        self._last_ns = mono_ns
        return self._end()

    def _end(self) -> Whole | None:
        if len(self._data) < self._head:
            return None
        length = self._length(self._data[: self._head])
        if length is None or length > self._limit:
            self.clear()
            return None
        if len(self._data) < length:
            return None
        frame, rest, sizes = self._data[:length], self._data[length:], self._sizes
        self._data, self._sizes = b"", []
        full = sizes[0]
        even = all(size == full for size in sizes[:-1]) and sizes[-1] <= full
        return Whole(frame, not (even and self._trailer(rest)))
