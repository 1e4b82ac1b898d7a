"""The stream format of recorded frames (docs/formats/stream.md): what a replay says over a Unix socket."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from packseal.core.errors import LinkError
from packseal.core.sample import ClockQuality, Frame, Instant

HEADER = struct.Struct("<QqIBB2x")
_CHECKED = struct.Struct("<QqIBBH")
END_ADDRESS = 0xFFFF_FFFF
MAX_DATA = 64  # CAN FD
MAX_QUALITY = max(ClockQuality)


class Recorded(NamedTuple):
    """One frame and both clocks of the recording at that moment."""

    frame: Frame
    at: Instant


class RecordedFramer:
    """Takes the stream in any pieces. `ended` is set by the end mark; nothing may follow it."""

    def __init__(self) -> None:
        self._rest = b""
        self._last_ns = 0
        self.ended = False

    def feed(self, data: bytes) -> list[Recorded]:
        """Return the frames that are now whole.

        Raises:
            LinkError: not this format: the other side is no replay, or time runs backwards.
        """
        buffer = self._rest + data
        found, position = [], 0
        for recorded, position in self._whole(buffer):  # noqa: B007 - the last position is needed
            found.append(recorded)
        self._rest = b"" if self.ended else buffer[position:]
        return found

    def _whole(self, buffer: bytes) -> Iterator[tuple[Recorded, int]]:
        position, size = 0, len(buffer)
        unpack, head = _CHECKED.unpack_from, _CHECKED.size
        while size - position >= head and not self.ended:
            mono_ns, wall_ns, address, length, quality, zero = unpack(buffer, position)
            if address == END_ADDRESS:
                self.ended = True
                return
            if (
                length > MAX_DATA
                or quality > MAX_QUALITY
                or zero
                or (mono_ns < self._last_ns and address != END_ADDRESS)
            ):
                raise LinkError("what comes over the stream is no recording in order (docs/formats/stream.md)")
            end = position + head + length
            if size < end:
                return
            self._last_ns = mono_ns
            frame = Frame(address, buffer[position + head : end], mono_ns)
            yield Recorded(frame, Instant(mono_ns, wall_ns, _QUALITIES[quality])), end
            position = end


def encode(recorded: Recorded) -> bytes:
    """Return the bytes of one frame; the inverse of the framer."""
    frame, at = recorded
    return HEADER.pack(at.mono_ns, at.wall_ns, frame.address, len(frame.data), at.quality) + frame.data


def encode_end() -> bytes:
    """Return the mark that the recording has ended."""
    return HEADER.pack(0, 0, END_ADDRESS, 0, 0)


_QUALITIES = tuple(ClockQuality)
