"""Groups: the parameter groups that a profile names, out of a J1939 bus's frames. Pure, and asks nothing.

A group whose node the profile does not name belongs to the first node that is heard to send it: two batteries in one
vehicle must not become one.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from packseal.core.sample import NS_PER_S, Frame
from packseal_drivers.decoding.codes import GROUPS
from packseal_drivers.framing.j1939 import (
    EFF_FLAG,
    ERR_FLAG,
    MANAGEMENT,
    TRANSFER,
    Broken,
    Fault,
    Group,
    J1939Event,
    J1939Framer,
    Repeated,
)
from packseal_drivers.lines import Pgn

RTR_FLAG = 0x4000_0000  # linux/can.h
GROUP_MASK, SOURCE_MASK = 0x03FF_FF00, 0xFF  # SAE J1939-21: PGN and source address in a 29-bit id
FORMAT_MASK = 0x03FF_0000
"""Of a PDU1 group, whose second byte is the destination; the transfers' are of these."""
PDU1_BELOW = 0xF000  # SAE J1939-21: PDU formats below 240 have a destination
SILENT_NS = 10 * NS_PER_S
"""A node that is silent for so long no longer holds its groups."""
PER_PERIOD = 3
"""Of a group that is asked for: its node holds it over so many periods of asking."""


class Groups:
    """Finds the groups of one profile. `in` says whether a frame's address can be part of one.

    Args:
        pgns: the profile's [[pgn]] tables.
        own: our source address, where someone asks; None: transfers to nobody in particular are followed.
        further: PGNs of interest besides; `others` are their groups since the last call.
    """

    def __init__(self, pgns: Sequence[Pgn], own: int | None = None, further: tuple[int, ...] = ()) -> None:
        self._tables: dict[int, list[tuple[int, Pgn]]] = defaultdict(list)
        for number, table in enumerate(pgns):
            self._tables[table.pgn].append((number, table))
        wanted = frozenset(self._tables) | frozenset(further)
        of_transport = (MANAGEMENT, TRANSFER) if pgns else ()
        self._exact = frozenset(p << 8 for p in wanted if p & 0xFFFF >= PDU1_BELOW)
        self._formats = frozenset(p << 8 for p in (*wanted, *of_transport) if p & 0xFFFF < PDU1_BELOW)
        self._framer = J1939Framer(wanted, own)
        self._holders: dict[int, tuple[int, int]] = {}
        self.broken: Counter[Fault] = Counter()
        """Transfers given up, by why."""
        self.needless = 0
        """Packets that came twice, and groups of a second node."""
        self.events: list[J1939Event] = []
        """What must be answered, and groups of `further`; for whoever asks."""

    def __contains__(self, address: object) -> bool:
        """Whether a frame of this address can be part of a group."""
        if not isinstance(address, int) or not address & EFF_FLAG or address & ERR_FLAG:
            return False
        return address & GROUP_MASK in self._exact or address & FORMAT_MASK in self._formats

    @property
    def masks(self) -> list[tuple[int, int]]:
        """Pairs of address and mask, as CAN_RAW_FILTER takes them, that let these frames through and hardly others."""
        flags = EFF_FLAG | RTR_FLAG
        exact = [(EFF_FLAG | pgn, flags | GROUP_MASK) for pgn in sorted(self._exact)]
        return exact + [(EFF_FLAG | pgn, flags | FORMAT_MASK) for pgn in sorted(self._formats)]

    @property
    def busy(self) -> int:
        """How many transfers are under way."""
        return self._framer.busy

    def receives(self, pgn: int) -> bool:
        """Whether a transfer of this group is under way."""
        return self._framer.receives(pgn)

    def feed(self, frame: Frame) -> list[Frame]:
        """Return the groups that are whole with this frame, each as the decoders want it: at GROUPS + n."""
        return self._account(self._framer.feed(*frame))

    def expire(self, mono_ns: int) -> None:
        """Give up the transfers whose time is over."""
        self._account(self._framer.expire(mono_ns))

    def reset(self) -> None:
        """Forget the transfers under way: the wire is a new one."""
        self._framer.reset()
        self.events.clear()

    def _account(self, events: Sequence[J1939Event]) -> list[Frame]:
        found: list[Frame] = []
        for event in events:
            if isinstance(event, Broken):
                self.broken[event.fault] += 1
            elif isinstance(event, Repeated):
                self.needless += 1
            elif isinstance(event, Group):
                found += self._found(event)
            else:
                self.events.append(event)
        return found

    def _found(self, group: Group) -> list[Frame]:
        if group.pgn not in self._tables:
            self.events.append(group)
            return []
        tables = [(n, t) for n, t in self._tables[group.pgn] if self._belongs(n, t, group)]
        self.needless += not tables
        return [Frame(GROUPS + number, group.payload, group.mono_ns) for number, _ in tables]

    def _belongs(self, number: int, table: Pgn, group: Group) -> bool:
        if table.source is not None:
            return group.source == table.source
        holder, heard_ns = self._holders.get(number, (group.source, group.mono_ns))
        silent_ns = max(SILENT_NS, round(PER_PERIOD * (table.ask_s or 0) * NS_PER_S))
        if holder != group.source and group.mono_ns - heard_ns <= silent_ns:
            return False
        self._holders[number] = (group.source, group.mono_ns)
        return True
