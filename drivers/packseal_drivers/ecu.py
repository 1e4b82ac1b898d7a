"""Ecu: one control unit that is asked, one request after another. Pure: frames and times in, answers out.

Whatever it does not answer is asked more seldom; an ECU that answers nothing is asked once a minute in the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from packseal.core.sample import NS_PER_S, EventCode, Frame, Instant, LinkCounts, Notice
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.framing.isotp import CONSECUTIVE_NS, Broken, Fault, FlowControlDue, IsoTpFramer, Message
from packseal_drivers.guard import Permitted
from packseal_drivers.lines import Request

MARGIN_NS = 200_000_000  # our own tick, the adapter, and a vehicle's gateway
ANSWER_NS = 50_000_000 + MARGIN_NS  # P2 of the server, ISO 14229-2 table 4
PENDING_NS = 5 * NS_PER_S + MARGIN_NS  # P2*, likewise
EXCHANGE_NS = 30 * NS_PER_S
"""After so long an answer that is still being promised is no longer waited for."""
LATE_NS = PENDING_NS
"""So long after its time an answer is still taken."""

BACK_OFF_NS, SELDOM_NS = NS_PER_S // 2, 60 * NS_PER_S
"""An ECU that fails to answer is left alone for the first, then twice as long each time, up to the second."""
SILENT_AFTER = 3  # requests without an answer, one after another
YIELD_NS = 5 * NS_PER_S
"""When someone else is heard asking this ECU, such as a workshop's tester, we wait for so long."""
CLASH_NS = NS_PER_S
"""A second answer within this time after the first is from a second device."""
AGAIN_NS, CLASH_AGAIN_NS = 60 * NS_PER_S, 3600 * NS_PER_S
"""Silence, and a second device, are told again no sooner: every notice seals a window."""

NEGATIVE, PENDING, BUSY = 0x7F, 0x78, 0x21  # ISO 14229-1, and annex A.1
SUPPRESSED = b"\x3e\x80"  # tester present, no answer wanted (ISO 14229-1 §9.2.2)


class _Outcome(Enum):
    ANSWERED = auto()
    BUSY = auto()
    DECLINED = auto()
    CUT = auto()
    UNANSWERED = auto()


@dataclass(slots=True)
class Line:
    """One request of the profile, with what may be sent for it."""

    number: int
    request: Request
    frame: Permitted
    go_on: Permitted | None
    """The flow control for its answer; None: longer answers than one frame cannot be had."""
    due_ns: int = 0
    misses: int = 0

    def again(self, now_ns: int) -> None:
        """Set when it is asked next: twice as long after every miss, up to once a minute."""
        period_ns = round(self.request.period_s * NS_PER_S)
        self.due_ns = now_ns + max(period_ns, min(period_ns << min(self.misses, 16), SELDOM_NS))


@dataclass(slots=True)
class _Exchange:
    line: Line
    began_ns: int
    deadline_ns: int
    ours: bool = False
    """Whether the transfer under way is the answer."""
    spoilt: bool = False
    """Whether two transfers ran into each other, so that nothing that comes is to be believed."""


class Ecu:
    """Everything about one answer id. At most one request waits for its answer.

    Args:
        answer: the address of its answers.
        lines: what it is asked; at least one.
        counts: of the link.
        block_size: of the flow control in `lines`.
    """

    def __init__(self, answer: int, lines: list[Line], counts: LinkCounts, block_size: int = 0) -> None:
        self._answer = answer
        self._lines = lines
        self._counts = counts
        self._framer = IsoTpFramer(block_size)
        self._exchange: _Exchange | None = None
        self._late: _Exchange | None = None
        self._answered: tuple[bytes, int] = (b"", 0)
        self._failures = 0
        self._next_ns = 0
        self._silent = self._told_silent = self._clash = False
        self._told_ns: int | None = None
        self._clash_told_ns: int | None = None
        self.outgoing: list[Permitted] = []

    def opened(self) -> None:
        """Forget what was under way: the wire is a new one."""
        self._framer.reset()
        self._exchange = self._late = None
        self.outgoing.clear()

    def wake(self, now_ns: int) -> None:
        """Ask soon again, since the bus has come to life."""
        if self._failures:
            self._failures = 0
            self._afresh(now_ns)

    def take(self, data: bytes, mono_ns: int) -> list[Frame]:
        """Account for a frame of the answer id; return the answers that are now whole."""
        busy = self._framer.busy
        return self._account(self._framer.feed(data, mono_ns), data, mono_ns, busy=busy)

    def ready(self, now_ns: int) -> Line | None:
        """Return what is to be asked now: the line that has waited longest."""
        self._expire(now_ns)
        if self._exchange is not None or self._framer.busy or now_ns < self._next_ns:
            return None
        lines = [line for line in self._lines if line.due_ns <= now_ns and not (self._failures and _mute(line))]
        return min(lines, key=lambda line: line.due_ns, default=None)

    def ask(self, line: Line, now_ns: int) -> Permitted:
        """Return the request's frame, and wait for its answer from now on."""
        self._counts.requests += 1
        line.again(now_ns)
        if not _mute(line):
            self._exchange, self._late = _Exchange(line, now_ns, now_ns + ANSWER_NS), None
        return line.frame

    def notices(self, now: Instant) -> list[Notice]:
        """Return what is to be told: that it does not answer, that it does again, that there are two of it."""
        notices = []
        facts: dict[str, int | str] = {"answer_id": self._answer}
        if self._silent is not self._told_silent and not _recent(self._told_ns, now.mono_ns, AGAIN_NS):
            self._told_silent, self._told_ns = self._silent, now.mono_ns
            code = EventCode.ECU_SILENT if self._silent else EventCode.ECU_ANSWERS
            notices.append(Notice(code, now, facts))
        if self._clash and not _recent(self._clash_told_ns, now.mono_ns, CLASH_AGAIN_NS):
            self._clash_told_ns = now.mono_ns
            notices.append(Notice(EventCode.ADDRESS_CLASH, now, facts))
        self._clash = False
        return notices

    def _account(self, events: Iterable[object], data: bytes, mono_ns: int, *, busy: bool) -> list[Frame]:
        answers: list[Frame] = []
        for event in events:
            if isinstance(event, Message):
                answers += self._message(event.payload, mono_ns)
            elif isinstance(event, FlowControlDue):
                self._let_go_on(data, busy=busy)
            elif isinstance(event, Broken):
                self._broken(event.fault, mono_ns, busy=busy)
                busy = False
        return answers

    def _let_go_on(self, data: bytes, *, busy: bool) -> None:
        exchange = self._exchange or self._late
        if exchange is None or exchange.spoilt:
            return
        if not busy:
            exchange.ours = data[2:].startswith(exchange.line.request.expected)
        if exchange.ours and exchange.line.go_on:
            self.outgoing.append(exchange.line.go_on)

    def _message(self, payload: bytes, mono_ns: int) -> list[Frame]:
        exchange = self._exchange or self._late
        if exchange is None or exchange.spoilt:
            return self._unexpected(payload, mono_ns)
        request = exchange.line.request
        if payload.startswith(request.expected):
            self._counts.answers += 1
            self._answered = (request.expected, mono_ns)
            self._over(exchange, _Outcome.ANSWERED, mono_ns)
            return [Frame(ANSWERS + exchange.line.number, payload, mono_ns)]
        if len(payload) > 2 and payload[0] == NEGATIVE and payload[1] == request.payload[0]:  # noqa: PLR2004 - its code
            self._declined(exchange, payload[2], mono_ns)
            return []
        return self._unexpected(payload, mono_ns)

    def _declined(self, exchange: _Exchange, code: int, mono_ns: int) -> None:
        if code == PENDING:
            exchange.deadline_ns = min(mono_ns + PENDING_NS, exchange.began_ns + EXCHANGE_NS)
            return
        self._counts.negative += 1
        self._counts.declined[code] = self._counts.declined.get(code, 0) + 1
        self._over(exchange, _Outcome.BUSY if code == BUSY else _Outcome.DECLINED, mono_ns)

    def _unexpected(self, payload: bytes, mono_ns: int) -> list[Frame]:
        self._counts.unexpected += 1
        expected, at_ns = self._answered
        self._clash |= bool(expected) and payload.startswith(expected) and mono_ns - at_ns < CLASH_NS
        self._next_ns = max(self._next_ns, mono_ns + YIELD_NS)
        return []

    def _broken(self, fault: Fault, mono_ns: int, *, busy: bool) -> None:
        self._counts.cut += 1
        exchange = self._exchange or self._late
        if exchange is None or not busy:
            return
        if fault is Fault.INTERRUPTED:
            exchange.spoilt = True
            exchange.deadline_ns = mono_ns + CONSECUTIVE_NS
        elif exchange.ours:
            self._over(exchange, _Outcome.CUT, mono_ns)

    def _expire(self, now_ns: int) -> None:
        self._account(self._framer.expire(now_ns), b"", now_ns, busy=True)
        exchange, late = self._exchange, self._late
        if late is not None and now_ns - late.deadline_ns > LATE_NS and not self._framer.busy:
            self._late = None
        if exchange is None or now_ns <= exchange.deadline_ns or (self._framer.busy and not exchange.spoilt):
            return
        if exchange.spoilt:
            self._framer.reset()
            self._clash = True
            self._next_ns = now_ns + YIELD_NS
            self._over(exchange, _Outcome.CUT, now_ns)
        else:
            self._over(exchange, _Outcome.UNANSWERED, now_ns)
            self._late = exchange

    def _over(self, exchange: _Exchange, outcome: _Outcome, now_ns: int) -> None:
        line = exchange.line
        self._exchange = self._late = None
        if outcome is _Outcome.UNANSWERED:
            self._unanswered(now_ns)
        elif self._failures:
            self._failures = 0
            self._afresh(now_ns)
        if outcome not in (_Outcome.UNANSWERED, _Outcome.CUT):
            self._silent = False
        line.misses = 0 if outcome in (_Outcome.ANSWERED, _Outcome.BUSY) else line.misses + 1
        line.again(exchange.began_ns)

    def _unanswered(self, now_ns: int) -> None:
        self._counts.unanswered += 1
        self._failures += 1
        self._silent |= self._failures >= SILENT_AFTER
        self._next_ns = now_ns + min(BACK_OFF_NS << min(self._failures - 1, 16), SELDOM_NS)

    def _afresh(self, now_ns: int) -> None:
        self._next_ns = now_ns
        for line in self._lines:
            line.misses, line.due_ns = 0, min(line.due_ns, now_ns)


def _mute(line: Line) -> bool:
    return line.request.payload == SUPPRESSED


def _recent(told_ns: int | None, now_ns: int, within_ns: int) -> bool:
    return told_ns is not None and now_ns - told_ns < within_ns
