"""SdoPoller: reads objects of CANopen nodes (CiA 301, SDO upload), one after another of each node. Pure.

The SDO channel of a node belongs to one client; when another one is heard to use it, we wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from packseal.core.sample import NS_PER_S, EventCode, Frame, Instant, LinkCounts, Notice
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.framing.sdo import Aborted, Broken, SdoEvent, SdoFramer, SegmentDue, Value
from packseal_drivers.guard import Guard, Permitted
from packseal_drivers.lines import Request

PROTOCOL = "sdo"
ANSWER_NS = NS_PER_S
"""So long a node is waited for; CiA 301 leaves it to the client."""
SLOT_NS = NS_PER_S // 20
"""Two requests on one bus are at least so far apart."""
BACK_OFF_NS, SELDOM_NS = NS_PER_S // 2, 60 * NS_PER_S
SILENT_AFTER = 3
YIELD_NS = 5 * NS_PER_S
AGAIN_NS = 60 * NS_PER_S
"""As `ecu.py` has them: pauses after a failure, least and greatest; missed answers that are silence; how long a foreign
client is made way for; how soon silence is told again."""


@dataclass(slots=True)
class _Line:
    number: int
    request: Request
    node: int
    frame: Permitted
    due_ns: int = 0
    misses: int = 0

    def again(self, now_ns: int) -> None:
        """Set when it is asked next: twice as long after every miss, up to once a minute."""
        period_ns = round(self.request.period_s * NS_PER_S)
        self.due_ns = now_ns + max(period_ns, min(period_ns << min(self.misses, 16), SELDOM_NS))


class _Node:
    """One node, with the line that is waited for."""

    def __init__(self, lines: list[_Line], guard: Guard, counts: LinkCounts) -> None:
        self.lines = lines
        self._guard = guard
        self._counts = counts
        self._framer = SdoFramer()
        self._line: _Line | None = None
        self._asked_ns = 0
        self._next_ns = 0
        self._failures = 0
        self._told_silent = False
        self._told_ns: int | None = None
        self.outgoing: list[Permitted] = []

    def opened(self) -> None:
        self._framer.reset()
        self._line = None
        self.outgoing.clear()

    def take(self, data: bytes, mono_ns: int) -> list[Frame]:
        found = [frame for event in self._framer.feed(data, mono_ns) for frame in self._account(event, mono_ns)]
        if self._line is not None:
            self._asked_ns = mono_ns
        return found

    def ready(self, now_ns: int) -> _Line | None:
        """Return the line that has waited longest, if the node can be asked now."""
        for event in self._framer.expire(now_ns):
            self._account(event, now_ns)
        if self._line is not None and now_ns - self._asked_ns > ANSWER_NS and not self._framer.busy:
            self._unanswered(self._line, now_ns)
        if self._line is not None or now_ns < self._next_ns:
            return None
        return min((line for line in self.lines if line.due_ns <= now_ns), key=lambda line: line.due_ns, default=None)

    def ask(self, line: _Line, now_ns: int) -> Permitted:
        self._framer.reset()
        self._line, self._asked_ns = line, now_ns
        self._counts.requests += 1
        line.again(now_ns)
        return line.frame

    def notices(self, now: Instant) -> list[Notice]:
        silent = self._failures >= SILENT_AFTER
        if silent is self._told_silent or (self._told_ns is not None and now.mono_ns - self._told_ns < AGAIN_NS):
            return []
        self._told_silent, self._told_ns = silent, now.mono_ns
        code = EventCode.ECU_SILENT if silent else EventCode.ECU_ANSWERS
        return [Notice(code, now, {"answer_id": self.lines[0].request.answer})]

    def _account(self, event: SdoEvent, mono_ns: int) -> list[Frame]:
        line = self._line
        if isinstance(event, Broken):
            self._broken(event, line, mono_ns)
        elif line is None or not _names(line.request, self._framer.object if isinstance(event, SegmentDue) else event):
            self._foreign(mono_ns)
        elif isinstance(event, SegmentDue):
            self.outgoing.append(self._guard.permit_segment(line.node, toggle=event.toggle))
        elif isinstance(event, Aborted):
            self._counts.negative += 1
            self._over(line, mono_ns, answered=False)
        else:
            self._counts.answers += 1
            self._over(line, mono_ns, answered=True)
            return [Frame(ANSWERS + line.number, event.payload, mono_ns)]
        return []

    def _broken(self, event: Broken, line: _Line | None, mono_ns: int) -> None:
        self._counts.cut += 1
        if line is None:
            return
        if event.code:
            index, subindex = line.request.index or 0, line.request.subindex
            self.outgoing.append(self._guard.permit_upload_abort(line.node, index, subindex, event.code))
        self._over(line, mono_ns, answered=False)

    def _foreign(self, mono_ns: int) -> None:
        self._counts.unexpected += 1
        self._next_ns = max(self._next_ns, mono_ns + YIELD_NS)

    def _over(self, line: _Line, now_ns: int, *, answered: bool) -> None:
        self._line, self._failures = None, 0
        line.misses = 0 if answered else line.misses + 1
        line.again(now_ns)

    def _unanswered(self, line: _Line, now_ns: int) -> None:
        self._line = None
        self._counts.unanswered += 1
        self._failures += 1
        line.misses += 1
        line.again(now_ns)
        self._next_ns = now_ns + min(BACK_OFF_NS << min(self._failures - 1, 16), SELDOM_NS)


class SdoPoller:
    """An `Asker` for requests of CANopen objects.

    Args:
        requests: all of the profile's; those of other protocols than sdo are left to others.
        guard: permits what is sent; made with the lanes of the same requests.
        counts: of the link.
    """

    masks: tuple[tuple[int, int], ...] = ()

    def __init__(self, requests: Sequence[Request], guard: Guard, counts: LinkCounts) -> None:
        lines: dict[int, list[_Line]] = {}
        for number, request in enumerate(requests):
            if request.protocol == PROTOCOL and request.node is not None and request.index is not None:
                frame = guard.permit_upload(request.node, request.index, request.subindex)
                lines.setdefault(request.answer, []).append(_Line(number, request, request.node, frame))
        self._nodes = {answer: _Node(own, guard, counts) for answer, own in lines.items()}
        self.addresses = frozenset(self._nodes)
        self._slot_ns = 0

    def knows(self, address: int) -> bool:
        """Whether a frame of this address is an answer."""
        return address in self._nodes

    def opened(self, now: Instant) -> None:  # noqa: ARG002 - an Asker's
        """Note that the wire is a new one."""
        for node in self._nodes.values():
            node.opened()

    def take(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames with each object that is now whole in place of its last frame."""
        passed: list[Frame] = []
        for frame in frames:
            node = self._nodes.get(frame.address)
            passed += [frame] if node is None else node.take(frame.data, frame.mono_ns)
        return passed

    def due(self, now: Instant) -> list[Permitted]:
        """Return what is to be sent now: the rest of an upload at once, and a request where its turn has come."""
        frames: list[Permitted] = []
        waiting = [(node, line) for node in self._nodes.values() if (line := node.ready(now.mono_ns)) is not None]
        for node in self._nodes.values():
            frames += node.outgoing
            node.outgoing.clear()
        if waiting and now.mono_ns >= self._slot_ns:
            node, line = min(waiting, key=lambda pair: pair[1].due_ns)
            frames.append(node.ask(line, now.mono_ns))
            self._slot_ns = now.mono_ns + SLOT_NS
        return frames

    def notices(self, now: Instant) -> list[Notice]:
        """Return what is to be told of the nodes."""
        return [notice for node in self._nodes.values() for notice in node.notices(now)]


def _names(request: Request, found: Value | Aborted | tuple[int, int]) -> bool:
    """Whether an answer is to this request."""
    index, subindex = found if isinstance(found, tuple) else (found.index, found.subindex)
    return (index, subindex) == (request.index, request.subindex)
