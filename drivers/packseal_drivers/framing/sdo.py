"""SDO upload (CiA 301 §7.2.4.3), the client's half: what one CANopen node answers in, whole objects out. No I/O.

Expedited and segmented uploads; block uploads are never asked for. Every deviation is an event, none is an exception,
and no node can make it keep more than one object of 4,095 bytes.
"""

from dataclasses import dataclass
from enum import Enum

CLASSIC_BYTES = 8  # every SDO frame has all of them
MAX_BYTES = 4095
"""A battery's longest objects are names of some dozen characters."""
SEGMENT_BYTES = 7  # behind the command byte
SEGMENT_NS = 1_000_000_000
"""The longest wait for the next segment; CiA 301 leaves it to the client."""
TRANSFER_NS = 10_000_000_000
"""The longest wait for the end of an object: 585 segments at 17 ms each."""

SEGMENT, DOWNLOADED_SEGMENT, UPLOAD, DOWNLOADED, ABORT, BLOCK_DOWNLOAD, BLOCK_UPLOAD = 0, 1, 2, 3, 4, 5, 6
"""The server's command specifiers: the three high bits of the first byte."""
TOGGLE, LAST = 0x10, 0x01
EXPEDITED, SIZED = 0x02, 0x01
UPLOAD_REQUEST = 0x40
"""Bits of the first byte: of a segment, and of an upload's beginning; and the client's command that begins one."""

NO_SUCH_LENGTH, TIMED_OUT, TOGGLE_WRONG = 0x0607_0010, 0x0504_0000, 0x0503_0000  # abort codes, CiA 301 table 22


class Fault(Enum):
    """Why an object was not put together."""

    LENGTH = "length"  # a frame without 8 bytes, or another size than announced
    COMMAND = "command"  # a command specifier that no server has
    TOO_LONG = "too_long"  # more than MAX_BYTES
    TOGGLE = "toggle"  # a segment was lost or doubled
    INTERRUPTED = "interrupted"  # another upload began within this one
    UNEXPECTED = "unexpected"  # a segment without a beginning
    TIMEOUT = "timeout"  # the next segment, or the end, did not come in time


@dataclass(frozen=True, slots=True)
class Value:
    """A whole object and the time of its last frame."""

    index: int
    subindex: int
    data: bytes
    mono_ns: int

    @property
    def payload(self) -> bytes:
        """What a [[request.field]] counts its bytes in: the four of the request that name the object, then the data."""
        return bytes((UPLOAD_REQUEST, self.index & 0xFF, self.index >> 8, self.subindex)) + self.data


@dataclass(frozen=True, slots=True)
class SegmentDue:
    """The node waits to be asked for the next segment, with this toggle bit."""

    toggle: bool


@dataclass(frozen=True, slots=True)
class Aborted:
    """The node has not given the object; `code` says why (CiA 301 table 22)."""

    index: int
    subindex: int
    code: int


@dataclass(frozen=True, slots=True)
class Broken:
    """An upload or frame was given up. The node is to be told with `code`, an abort code."""

    fault: Fault
    code: int = 0


SdoEvent = Value | SegmentDue | Aborted | Broken


class SdoFramer:
    """Puts together what one node answers. After a fault, the rest of that upload is ignored and not counted again."""

    def __init__(self) -> None:
        self._parts = bytearray()
        self._object = (0, 0)
        self._size: int | None = None
        self._toggle = False
        self._busy = False
        self._ignoring = False
        self._began_ns = self._latest_ns = 0

    @property
    def busy(self) -> bool:
        """Whether an upload of several segments is under way."""
        return self._busy

    @property
    def object(self) -> tuple[int, int]:
        """Index and subindex of the latest upload."""
        return self._object

    def feed(self, data: bytes, mono_ns: int) -> list[SdoEvent]:
        """Return what follows from one frame of the node; never raises."""
        events = self.expire(mono_ns)
        if len(data) < CLASSIC_BYTES:
            return [*events, *(self._cut(Fault.LENGTH, NO_SUCH_LENGTH) if self._busy else [Broken(Fault.LENGTH)])]
        kind = data[0] >> 5
        if kind == UPLOAD:
            return events + self._begin(data, mono_ns)
        if kind == SEGMENT:
            return events + self._segment(data, mono_ns)
        if kind == ABORT:
            return events + self._aborted(data)
        # Answers to what others write, or read in blocks, are no matter of ours.
        others = kind in (DOWNLOADED, DOWNLOADED_SEGMENT, BLOCK_DOWNLOAD, BLOCK_UPLOAD)
        return events if others else [*events, Broken(Fault.COMMAND)]

    def expire(self, mono_ns: int) -> list[SdoEvent]:
        """Give up the upload under way if its time is over."""
        late = mono_ns - self._latest_ns > SEGMENT_NS or mono_ns - self._began_ns > TRANSFER_NS
        return self._cut(Fault.TIMEOUT, TIMED_OUT) if self._busy and late else []

    def reset(self) -> None:
        """Forget the upload under way, and that anything was broken."""
        self._parts.clear()
        self._busy = self._ignoring = False

    def _begin(self, data: bytes, mono_ns: int) -> list[SdoEvent]:
        events: list[SdoEvent] = [Broken(Fault.INTERRUPTED)] if self._busy else []
        self.reset()
        index, subindex = self._object = int.from_bytes(data[1:3], "little"), data[3]
        if data[0] & EXPEDITED:
            unused = data[0] >> 2 & 0x03 if data[0] & SIZED else 0
            return [*events, Value(index, subindex, bytes(data[4 : CLASSIC_BYTES - unused]), mono_ns)]
        self._size = int.from_bytes(data[4:8], "little") if data[0] & SIZED else None
        if self._size is not None and self._size > MAX_BYTES:
            return [*events, *self._cut(Fault.TOO_LONG, NO_SUCH_LENGTH)]
        self._busy, self._toggle = True, False
        self._began_ns = self._latest_ns = mono_ns
        return [*events, SegmentDue(toggle=False)]

    def _segment(self, data: bytes, mono_ns: int) -> list[SdoEvent]:
        if not self._busy:
            return [] if self._ignoring else [Broken(Fault.UNEXPECTED)]
        if bool(data[0] & TOGGLE) is not self._toggle:
            return self._cut(Fault.TOGGLE, TOGGLE_WRONG)
        self._parts += data[1 : CLASSIC_BYTES - (data[0] >> 1 & 0x07)]
        self._latest_ns = mono_ns
        if len(self._parts) > (MAX_BYTES if self._size is None else self._size):
            return self._cut(Fault.TOO_LONG, NO_SUCH_LENGTH)
        if not data[0] & LAST:
            self._toggle = not self._toggle
            return [SegmentDue(self._toggle)]
        if self._size is not None and len(self._parts) != self._size:
            return self._cut(Fault.LENGTH, 0)  # the node is done: nothing is left to abort
        value = Value(*self._object, bytes(self._parts), mono_ns)
        self.reset()
        return [value]

    def _aborted(self, data: bytes) -> list[SdoEvent]:
        self.reset()
        self._ignoring = True
        index, subindex, code = int.from_bytes(data[1:3], "little"), data[3], int.from_bytes(data[4:8], "little")
        return [Aborted(index, subindex, code)]

    def _cut(self, fault: Fault, code: int) -> list[SdoEvent]:
        self.reset()
        self._ignoring = True
        return [Broken(fault, code)]
