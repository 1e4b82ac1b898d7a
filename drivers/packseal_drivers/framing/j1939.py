"""J1939 (SAE J1939-21), the receiving half: frames of 29-bit ids in, whole parameter groups out. No I/O.

Broadcast (BAM) and addressed (RTS/CTS) transfers, our own and those of others that are merely overheard. Every
deviation is an event, none is an exception, and no peer can make it keep more than MAX_SESSIONS messages of 1,785
bytes.
"""

from collections.abc import Container
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

EFF_FLAG, ERR_FLAG = 0x8000_0000, 0x2000_0000  # linux/can.h
GLOBAL = 0xFF
NULL = 0xFE
"""A node without an address sends from it, SAE J1939-81."""
PDU2 = 0xF0
"""From this PDU format on, the second byte belongs to the number of the group; below, it is the destination."""

MANAGEMENT, TRANSFER = 0xEC00, 0xEB00  # TP.CM and TP.DT
RTS, CTS, END_OF_MESSAGE, BAM, ABORT = 16, 17, 19, 32, 255  # the control bytes of TP.CM

CLASSIC_BYTES = 8
PACKET_BYTES = 7
MIN_BYTES, MAX_BYTES = 9, 1785  # 255 packets of 7 bytes; what is shorter has one frame
MAX_SESSIONS = 32
"""At once: a bus at its limit has a few. A thirty-third ends the oldest."""

BROADCAST_NS = 750_000_000  # T1: the longest wait for the next packet
ADDRESSED_NS = 1_250_000_000  # T2 and T3, which is longer than T4: for the packets after CTS
TRANSFER_NS = 60_000_000_000
"""Of a whole transfer: 255 packets, 200 ms apart at most, are 51 s."""


class Identifier(NamedTuple):
    """What a 29-bit id says. `destination` is 255 for a group that all nodes hear."""

    priority: int
    pgn: int
    destination: int
    source: int


def split(address: int) -> Identifier:
    """Return the parts of a CAN id, with or without its flag of 29 bits."""
    pdu_format, specific = address >> 16 & 0xFF, address >> 8 & 0xFF
    pages = (address >> 24 & 0x03) << 16
    if pdu_format < PDU2:
        return Identifier(address >> 26 & 0x07, pages | pdu_format << 8, specific, address & 0xFF)
    return Identifier(address >> 26 & 0x07, pages | pdu_format << 8 | specific, GLOBAL, address & 0xFF)


class Fault(Enum):
    """Why a transfer was given up."""

    LENGTH = "length"  # a frame of transport too short, or sizes that do not fit each other
    CONTROL = "control"  # a control byte that the standard does not know
    SEQUENCE = "sequence"  # a packet was lost or out of order
    INTERRUPTED = "interrupted"  # the sender began another transfer within this one
    UNEXPECTED = "unexpected"  # a packet of no transfer, seen from its beginning
    ABORTED = "aborted"  # one of the two nodes said so
    TIMEOUT = "timeout"  # the next packet, or the end, did not come in time
    TOO_MANY = "too_many"  # more transfers at once than are kept


@dataclass(frozen=True, slots=True)
class Group:
    """A whole parameter group and the time of its last frame."""

    pgn: int
    source: int
    destination: int
    payload: bytes
    mono_ns: int


@dataclass(frozen=True, slots=True)
class ClearToSendDue:
    """`source` wants to send us, or go on with, `pgn`: `packets` of them may come, from number `first` on."""

    source: int
    pgn: int
    packets: int
    first: int


@dataclass(frozen=True, slots=True)
class EndOfMessageDue:
    """`source` waits to hear that all of `pgn` has come."""

    source: int
    pgn: int
    size: int
    packets: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """A packet came twice, the same; nothing is lost."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A transfer or frame was given up."""

    fault: Fault
    source: int


J1939Event = Group | ClearToSendDue | EndOfMessageDue | Repeated | Broken


@dataclass(slots=True)
class _Session:
    pgn: int
    size: int
    packets: int
    addressed: bool
    began_ns: int
    latest_ns: int
    per_clear: int = 0
    """How many packets one CTS of ours permits; 0: the transfer is not for us."""
    until: int = 0
    """The last packet that our last CTS permits."""
    next: int = 1
    parts: bytearray = field(default_factory=bytearray)
    last: bytes = b""

    @property
    def wait_ns(self) -> int:
        return ADDRESSED_NS if self.addressed else BROADCAST_NS


class J1939Framer:
    """Puts together what all nodes of a bus say.

    After a fault, the rest of that transfer is ignored and not counted again.

    Args:
        wanted: the PGNs whose transfers are followed; the rest costs no memory.
        own: our source address, whose transfers are to be answered; None: we only listen.
    """

    def __init__(self, wanted: Container[int], own: int | None = None) -> None:
        self._wanted = wanted
        self._own = own
        self._sessions: dict[tuple[int, int], _Session] = {}
        self._ignored: dict[tuple[int, int], int] = {}
        """Ways on which the rest of a transfer is not looked at, with the time of the last packet."""

    @property
    def busy(self) -> int:
        """How many transfers are under way."""
        return len(self._sessions)

    def receives(self, pgn: int) -> bool:
        """Whether a transfer of this group is under way."""
        return any(session.pgn == pgn for session in self._sessions.values())

    def feed(self, address: int, data: bytes, mono_ns: int) -> list[J1939Event]:
        """Return what follows from one frame; never raises. An 11-bit id or error frame says nothing."""
        if not address & EFF_FLAG or address & ERR_FLAG:
            return []
        _, pgn, destination, source = split(address)
        if pgn == MANAGEMENT:
            return self.expire(mono_ns) + self._manage(source, destination, data, mono_ns)
        if pgn == TRANSFER:
            return self.expire(mono_ns) + self._packet((source, destination), data, mono_ns)
        return [Group(pgn, source, destination, bytes(data), mono_ns)] if pgn in self._wanted else []

    def expire(self, mono_ns: int) -> list[J1939Event]:
        """Give up the transfers whose time is over."""
        late = [
            way
            for way, s in self._sessions.items()
            if mono_ns - s.latest_ns > s.wait_ns or mono_ns - s.began_ns > TRANSFER_NS
        ]
        return [event for way in late for event in self._cut(way, Fault.TIMEOUT, mono_ns)]

    def reset(self) -> None:
        """Forget all transfers under way."""
        self._sessions.clear()
        self._ignored.clear()

    def _manage(self, source: int, destination: int, data: bytes, mono_ns: int) -> list[J1939Event]:
        if len(data) < CLASSIC_BYTES:
            return [Broken(Fault.LENGTH, source)]
        control, pgn = data[0], int.from_bytes(data[5:8], "little")
        if control in (RTS, BAM):
            return self._begin((source, destination), pgn, data, mono_ns)
        way, back = (source, destination), (destination, source)
        if control == CTS:
            return self._cleared(back, data, mono_ns)
        if control == ABORT:
            return [e for w in (way, back) if self._is(w, pgn) for e in self._cut(w, Fault.ABORTED, mono_ns)]
        if control == END_OF_MESSAGE:  # by then we have all of it, or have given up
            return self._cut(back, Fault.SEQUENCE, mono_ns) if self._is(back, pgn) else []
        return [Broken(Fault.CONTROL, source)]

    def _is(self, way: tuple[int, int], pgn: int) -> bool:
        session = self._sessions.get(way)
        return session is not None and session.pgn == pgn

    def _begin(self, way: tuple[int, int], pgn: int, data: bytes, mono_ns: int) -> list[J1939Event]:
        source, destination = way
        events = self._cut(way, Fault.INTERRUPTED, mono_ns) if way in self._sessions else []
        if pgn not in self._wanted:
            self._ignore(way, mono_ns)
            return events
        size, packets, addressed = int.from_bytes(data[1:3], "little"), data[3], data[0] == RTS
        fits = MIN_BYTES <= size <= MAX_BYTES and packets == -(-size // PACKET_BYTES)
        if not fits or addressed is (destination == GLOBAL):
            self._ignore(way, mono_ns)
            return [*events, Broken(Fault.LENGTH, source)]
        if len(self._sessions) >= MAX_SESSIONS:
            oldest = min(self._sessions, key=lambda w: self._sessions[w].latest_ns)
            events += self._cut(oldest, Fault.TOO_MANY, mono_ns)
        self._ignored.pop(way, None)
        session = self._sessions[way] = _Session(pgn, size, packets, addressed, mono_ns, mono_ns)
        if addressed and destination == self._own:
            session.per_clear = min(data[4] or packets, packets)
            return [*events, self._clear(source, session)]
        return events

    def _clear(self, source: int, session: _Session) -> ClearToSendDue:
        count = min(session.per_clear, session.packets - session.next + 1)
        session.until = session.next + count - 1
        return ClearToSendDue(source, session.pgn, count, session.next)

    def _cleared(self, way: tuple[int, int], data: bytes, mono_ns: int) -> list[J1939Event]:
        """Account for a receiver's word, overheard, from which packet on it wants to hear; 0 packets: to wait."""
        session = self._sessions.get(way)
        if session is None or session.per_clear or session.pgn != int.from_bytes(data[5:8], "little"):
            return []
        session.latest_ns = mono_ns
        if not data[1]:
            return []
        if not 1 <= data[2] <= session.next:
            return self._cut(way, Fault.SEQUENCE, mono_ns)
        session.next = data[2]
        del session.parts[(session.next - 1) * PACKET_BYTES :]
        session.last = b""
        return []

    def _packet(self, way: tuple[int, int], data: bytes, mono_ns: int) -> list[J1939Event]:
        session = self._sessions.get(way)
        if session is None:
            return self._stray(way, mono_ns)
        if len(data) < CLASSIC_BYTES:
            return self._cut(way, Fault.LENGTH, mono_ns)
        if session.last == data:  # an acknowledgement was lost, so the controller sent once more: ISO 11898-1
            session.latest_ns = mono_ns
            return [Repeated()]
        if data[0] != session.next:
            return self._cut(way, Fault.SEQUENCE, mono_ns)
        session.parts += data[1:CLASSIC_BYTES]
        session.last, session.latest_ns = bytes(data), mono_ns
        session.next += 1
        if session.next > session.packets:
            return self._whole(way, session, mono_ns)
        return [self._clear(way[0], session)] if session.per_clear and session.next > session.until else []

    def _whole(self, way: tuple[int, int], session: _Session, mono_ns: int) -> list[J1939Event]:
        del self._sessions[way]
        source, destination = way
        group = Group(session.pgn, source, destination, bytes(session.parts[: session.size]), mono_ns)
        if not session.per_clear:
            return [group]
        return [group, EndOfMessageDue(source, session.pgn, session.size, session.packets)]

    def _stray(self, way: tuple[int, int], mono_ns: int) -> list[J1939Event]:
        ignored_ns = self._ignored.get(way)
        self._ignore(way, mono_ns)
        known = ignored_ns is not None and mono_ns - ignored_ns <= ADDRESSED_NS
        return [] if known else [Broken(Fault.UNEXPECTED, way[0])]

    def _ignore(self, way: tuple[int, int], mono_ns: int) -> None:
        self._ignored.pop(way, None)
        if len(self._ignored) >= MAX_SESSIONS:
            del self._ignored[next(iter(self._ignored))]  # the one that has been quiet longest
        self._ignored[way] = mono_ns

    def _cut(self, way: tuple[int, int], fault: Fault, mono_ns: int) -> list[J1939Event]:
        del self._sessions[way]
        self._ignore(way, mono_ns)
        return [Broken(fault, way[0])]
