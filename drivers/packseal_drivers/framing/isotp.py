"""ISO-TP (ISO 15765-2), the receiving half: frames of one CAN id in, whole messages out. No I/O.

Normal addressing, classic CAN and CAN FD. Every deviation is an event, none is an exception, and no peer can make it
keep more than one message of 4,095 bytes.
"""

from dataclasses import dataclass
from enum import Enum

MAX_BYTES = 4095
"""The greatest length of a first frame without the 32-bit escape; no reading of a battery is longer."""
CLASSIC_BYTES = 8  # of a frame of classic CAN
CONSECUTIVE_NS = 1_000_000_000
"""N_Cr, ISO 15765-2: the longest wait for the next consecutive frame."""
TRANSFER_NS = 10_000_000_000
"""Of a whole transfer: 585 frames at the slowest STmin of 127 ms would be longer, but no ECU of ours sends so many."""

SINGLE, FIRST, CONSECUTIVE, FLOW_CONTROL = range(4)  # the high half of the first byte
CONTINUE = 0x30  # flow control: continue to send
PADDING = 0x00  # as an ELM327 pads; receivers ignore it


class Fault(Enum):
    """Why a message was not put together."""

    LENGTH = "length"  # the frame is too short, or its length field is not allowed
    RESERVED = "reserved"  # a frame type that the standard does not know
    TOO_LONG = "too_long"  # more than MAX_BYTES announced
    SEQUENCE = "sequence"  # a consecutive frame was lost, doubled or out of order
    INTERRUPTED = "interrupted"  # another message began within this one
    UNEXPECTED = "unexpected"  # a consecutive frame without a first one
    TIMEOUT = "timeout"  # the next frame, or the end, did not come in time


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message and the time of its last frame."""

    payload: bytes
    mono_ns: int


@dataclass(frozen=True, slots=True)
class FlowControlDue:
    """The sender waits for a flow control frame; whoever only listens has nothing to do."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A message or frame was given up."""

    fault: Fault


IsoTpEvent = Message | FlowControlDue | Broken


class IsoTpFramer:
    """Puts together what one sender says on one CAN id.

    After a fault, the rest of that transfer is ignored and not counted again.

    Args:
        block_size: how many consecutive frames one flow control permits; 0: all of them.
    """

    def __init__(self, block_size: int = 0) -> None:
        self._block_size = block_size
        self._parts = bytearray()
        self._length = 0  # of the message under way; 0: none is
        self._frame_bytes = 0  # of the first frame; only the last one may be shorter
        self._next = 0
        self._in_block = 0
        self._ignoring = False
        self._began_ns = self._latest_ns = 0

    @property
    def busy(self) -> bool:
        """Whether a message is under way."""
        return self._length > 0

    def feed(self, data: bytes, mono_ns: int) -> list[IsoTpEvent]:
        """Return what follows from one frame's data; never raises."""
        events = self.expire(mono_ns)
        kind = data[0] >> 4 if data else SINGLE
        if kind == CONSECUTIVE:
            return events + self._consecutive(data, mono_ns)
        if kind == SINGLE:
            return events + self._single(data, mono_ns)
        if kind == FIRST:
            return events + self._first(data, mono_ns)
        # Flow control on this id is for someone who sends to this ECU: no matter of ours.
        return events if kind == FLOW_CONTROL else [*events, Broken(Fault.RESERVED)]

    def expire(self, mono_ns: int) -> list[IsoTpEvent]:
        """Give up the message under way if its time is over."""
        late = mono_ns - self._latest_ns > CONSECUTIVE_NS or mono_ns - self._began_ns > TRANSFER_NS
        return self._cut(Fault.TIMEOUT) if self._length and late else []

    def reset(self) -> None:
        """Forget the message under way, and that anything was broken."""
        self._parts.clear()
        self._length, self._ignoring = 0, False

    def _single(self, data: bytes, mono_ns: int) -> list[IsoTpEvent]:
        # On CAN FD, a frame of more than 8 bytes has its length in the second byte.
        head = 1 if len(data) <= CLASSIC_BYTES else 2
        length = data[head - 1] if data else 0
        if not 0 < length <= len(data) - head or (head > 1 and data[0]):
            return [Broken(Fault.LENGTH)]
        events = self._interrupt()
        return [*events, Message(bytes(data[head : head + length]), mono_ns)]

    def _first(self, data: bytes, mono_ns: int) -> list[IsoTpEvent]:
        if len(data) < CLASSIC_BYTES:
            return [Broken(Fault.LENGTH)]
        events = self._interrupt()
        length = (data[0] & 0x0F) << 8 | data[1]
        if length == 0:  # the escape: 32 bits follow
            return [*events, *self._cut(Fault.TOO_LONG)]
        if length < max(CLASSIC_BYTES, len(data) - 1):  # a single frame would have held it
            return [*events, *self._cut(Fault.LENGTH)]
        self._parts += data[2:]
        self._length, self._frame_bytes = length, len(data)
        self._next, self._in_block = 1, 0
        self._began_ns = self._latest_ns = mono_ns
        return [*events, FlowControlDue()]

    def _consecutive(self, data: bytes, mono_ns: int) -> list[IsoTpEvent]:
        if not self._length:
            return [] if self._ignoring else [Broken(Fault.UNEXPECTED)]
        if data[0] & 0x0F != self._next:
            return self._cut(Fault.SEQUENCE)
        missing = self._length - len(self._parts)
        if len(data) - 1 < min(missing, self._frame_bytes - 1):
            return self._cut(Fault.LENGTH)
        self._parts += data[1 : 1 + missing]
        self._latest_ns = mono_ns
        self._next = self._next + 1 & 0x0F
        if len(self._parts) == self._length:
            message = Message(bytes(self._parts), mono_ns)
            self.reset()
            return [message]
        return self._end_of_block()

    def _end_of_block(self) -> list[IsoTpEvent]:
        self._in_block += 1
        if self._in_block != self._block_size:
            return []
        self._in_block = 0
        return [FlowControlDue()]

    def _interrupt(self) -> list[IsoTpEvent]:
        events: list[IsoTpEvent] = [Broken(Fault.INTERRUPTED)] if self._length else []
        self.reset()
        return events

    def _cut(self, fault: Fault) -> list[IsoTpEvent]:
        self.reset()
        self._ignoring = True
        return [Broken(fault)]


def single_frame(payload: bytes) -> bytes:
    """Return the 8 bytes of a classic single frame; raises ValueError where `payload` is empty or longer than 7."""
    if not 0 < len(payload) < CLASSIC_BYTES:
        raise ValueError("a single frame holds 1 to 7 bytes")
    return (bytes((len(payload),)) + payload).ljust(CLASSIC_BYTES, bytes((PADDING,)))


def flow_control(block_size: int, separation: int) -> bytes:
    """Return the 8 bytes that say: go on, `block_size` frames (0: all), STmin `separation` apart (ISO 15765-2)."""
    return bytes((CONTINUE, block_size, separation)).ljust(CLASSIC_BYTES, bytes((PADDING,)))
