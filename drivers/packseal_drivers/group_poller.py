"""GroupPoller: listens for a profile's parameter groups, and asks for those that are sent on request. Pure.

Asks with the address of a diagnostic tool and claims none, so it falls silent when someone else has that address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packseal.core.sample import NS_PER_S, EventCode, Frame, Instant, LinkCounts, Notice
from packseal_drivers.decoding.codes import GROUPS
from packseal_drivers.framing.j1939 import CLASSIC_BYTES, GLOBAL, ClearToSendDue, EndOfMessageDue, Group
from packseal_drivers.groups import SOURCE_MASK, Groups
from packseal_drivers.guard import Guard, Lane, Permitted
from packseal_drivers.lines import Pgn

OWN = 0xFA
"""Off-board diagnostic-service tool 2, of the preferred addresses of SAE J1939, industry group 0."""
ACKNOWLEDGEMENT = 0xE800  # SAE J1939-21, PGN 59392: byte 0 says how, bytes 5 to 7 about which PGN
POSITIVE = 0  # of byte 0
ANSWER_NS = 1_250_000_000  # T3 of SAE J1939-21
SLOT_NS = NS_PER_S // 4
"""Two questions on one bus are at least so far apart."""
SELDOM_NS = 600 * NS_PER_S
"""A group that nobody sends is asked for half as often each time, but so often at least."""
CLASH_AGAIN_NS = 3600 * NS_PER_S
"""That another one has our address is told again no sooner."""


@dataclass(slots=True)
class _Line:
    """One group that is asked for."""

    table: Pgn
    frame: Permitted
    period_ns: int
    due_ns: int = 0
    misses: int = 0
    asked_ns: int | None = None
    """Since when an answer is waited for."""

    def over(self, *, answered: bool) -> None:
        """Ask again after the period, twice as late after every question in vain."""
        began_ns, self.asked_ns = self.asked_ns or 0, None
        self.misses = 0 if answered else self.misses + 1
        self.due_ns = began_ns + max(self.period_ns, min(self.period_ns << min(self.misses, 16), SELDOM_NS))


class GroupPoller:
    """An `Asker` for [[pgn]] tables.

    Args:
        pgns: the profile's.
        guard: permits what is sent; None, where no table has ask_s.
        counts: of the link.
    """

    def __init__(self, pgns: Sequence[Pgn], guard: Guard | None, counts: LinkCounts) -> None:
        self._groups = Groups(pgns, OWN if guard else None, (ACKNOWLEDGEMENT,) if guard else ())
        self._guard = guard
        self._counts = counts
        self._lines = {
            n: _line(table, table.ask_s, guard) for n, table in enumerate(pgns) if guard and table.ask_s is not None
        }
        self._outgoing: list[Permitted] = []
        self._slot_ns = 0
        self._clash = False
        self._clash_told_ns: int | None = None
        self._cut_before = self._needless_before = 0
        self.addresses: frozenset[int] = frozenset()
        self.masks = self._groups.masks

    def knows(self, address: int) -> bool:
        """Whether a frame of this address can be part of what is listened for."""
        return address in self._groups

    def opened(self, now: Instant) -> None:  # noqa: ARG002 - an Asker's
        """Note that the wire is a new one."""
        self._groups.reset()
        self._outgoing.clear()
        self._clash = False
        for line in self._lines.values():
            line.asked_ns = None

    def take(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames with each group that is now whole in place of its last frame; those of groups left out."""
        passed: list[Frame] = []
        for frame in frames:
            if frame.address not in self._groups:
                passed.append(frame)
                continue
            self._clash |= bool(self._lines) and frame.address & SOURCE_MASK == OWN
            groups = self._groups.feed(frame)
            self._respond()
            for group in groups:
                self._answered(group)
            passed += groups
        return passed

    def due(self, now: Instant) -> list[Permitted]:
        """Return what is to be sent now."""
        self._groups.expire(now.mono_ns)
        self._count()
        for line in self._lines.values():
            late = line.asked_ns is not None and now.mono_ns - line.asked_ns > ANSWER_NS
            if late and not self._groups.receives(line.table.pgn):
                self._counts.unanswered += 1
                line.over(answered=False)
        frames = [] if self._clash else [*self._outgoing, *self._question(now.mono_ns)]
        self._outgoing.clear()
        return frames

    def notices(self, now: Instant) -> list[Notice]:
        """Return what is to be told: that someone else has our address, so that nothing is asked."""
        told_ns = self._clash_told_ns
        if not self._clash or (told_ns is not None and now.mono_ns - told_ns < CLASH_AGAIN_NS):
            return []
        self._clash_told_ns = now.mono_ns
        return [Notice(EventCode.ADDRESS_CLASH, now, {"j1939_address": OWN})]

    def _question(self, now_ns: int) -> list[Permitted]:
        ready = [line for line in self._lines.values() if line.asked_ns is None and line.due_ns <= now_ns]
        if not ready or now_ns < self._slot_ns:
            return []
        line = min(ready, key=lambda line: line.due_ns)
        line.asked_ns, self._slot_ns = now_ns, now_ns + SLOT_NS
        self._counts.requests += 1
        return [line.frame]

    def _answered(self, frame: Frame) -> None:
        line = self._lines.get(frame.address - GROUPS)
        if line is not None and line.asked_ns is not None:
            self._counts.answers += 1
            line.over(answered=True)

    def _respond(self) -> None:
        """Answer the nodes that send us what we have asked for, and only that."""
        for event in self._groups.events:
            if isinstance(event, Group):
                self._acknowledged(event)
            elif isinstance(event, ClearToSendDue | EndOfMessageDue) and self._guard:
                # The end comes after the group itself, when nothing is waited for any more.
                if isinstance(event, EndOfMessageDue) or self._line(event.pgn, event.source):
                    self._outgoing.append(_flow_control(self._guard, event))
                else:
                    self._counts.unexpected += 1
        self._groups.events.clear()

    def _acknowledged(self, group: Group) -> None:
        """Account for a node's word that it will not answer."""
        data = group.payload
        if group.destination not in (OWN, GLOBAL) or len(data) < CLASSIC_BYTES or data[0] == POSITIVE:
            return
        line = self._line(int.from_bytes(data[5:8], "little"), group.source)
        # Asked of all nodes, most of them may decline.
        if line is not None and line.table.source is not None:
            self._counts.negative += 1
            line.over(answered=False)

    def _line(self, pgn: int, source: int) -> _Line | None:
        """Return the line that waits for `pgn` from `source`."""
        for line in self._lines.values():
            table = line.table
            if line.asked_ns is not None and table.pgn == pgn and table.source in (None, source):
                return line
        return None

    def _count(self) -> None:
        cut, needless = self._groups.broken.total(), self._groups.needless
        self._counts.cut += cut - self._cut_before
        self._counts.unexpected += needless - self._needless_before
        self._cut_before, self._needless_before = cut, needless


def lanes(pgns: Iterable[Pgn]) -> list[Lane]:
    """Return where questions and the flow control of their answers go, for the guard; none where nothing is asked."""
    return [Lane("j1939", OWN)] if any(table.ask_s is not None for table in pgns) else []


def _line(table: Pgn, ask_s: float, guard: Guard) -> _Line:
    to = GLOBAL if table.source is None else table.source
    return _Line(table, guard.permit_pgn_request(OWN, to, table.pgn), round(ask_s * NS_PER_S))


def _flow_control(guard: Guard, event: ClearToSendDue | EndOfMessageDue) -> Permitted:
    if isinstance(event, ClearToSendDue):
        return guard.permit_clear_to_send(OWN, event.source, event.packets, event.first, event.pgn)
    return guard.permit_end_of_message(OWN, event.source, event.size, event.packets, event.pgn)
