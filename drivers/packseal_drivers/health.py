"""Health of a CAN bus: from error frames, silence and drops to a state and notices. Pure."""

from collections.abc import Iterable, Mapping

from packseal.core.sample import NS_PER_S, EventCode, Frame, Instant, LinkCounts, LinkState, Notice

# linux/can/error.h: error classes in the id, and the controller's state in data[1]
CRTL, BUSOFF, RESTARTED = 0x04, 0x40, 0x100
RX_OVERFLOW, WARNING, PASSIVE, ACTIVE = 0x01, 0x0C, 0x30, 0x40
ERR_FLAG = 0x2000_0000

DROPS_TOLD_NS = 60 * NS_PER_S
"""Lost frames are told together, once a minute: every notice seals a window."""
AGAIN_NS = 10 * NS_PER_S
"""A bus that flaps is told of at most so often with each code: every notice seals a window."""
CALM_NS = 10 * NS_PER_S
"""Not every controller says that it is well again: so long without an error frame, while frames come, says it too."""

REASON_CHARACTERS = 200  # of another program's error, in a record

_STATES = {
    EventCode.BUS_OFF: LinkState.BUS_OFF,
    EventCode.BUS_ERROR_PASSIVE: LinkState.ERROR_PASSIVE,
    EventCode.BUS_SILENT: LinkState.SILENT,
    EventCode.LINK_LOST: LinkState.LOST,
}
_STRAINED = (EventCode.BUS_ERROR_WARNING, EventCode.BUS_ERROR_PASSIVE)


class Health:
    """Keeps `counts.state` and tells of its changes. What was told as trouble is told as recovered, and nothing else.

    Args:
        counts: whose state, error frames and drops are kept.
        silent_after_s: without a known frame for so long the battery counts as silent.
    """

    def __init__(self, counts: LinkCounts, silent_after_s: float) -> None:
        self._counts = counts
        self._silent_ns = round(silent_after_s * NS_PER_S)
        self._known_ns = 0
        self._error_ns = 0
        self._overflows = 0
        self._drops_told_ns: int | None = None
        self._drops_told = 0
        self._trouble: EventCode | None = None
        self._facts: Mapping[str, int | str] = {}
        self._told: EventCode | None = None
        self._told_ns: dict[EventCode, int] = {}

    def opened(self, now: Instant) -> None:
        """Note that the link is open; from now on silence counts."""
        self._known_ns = now.mono_ns
        self._counts.state = LinkState.CONNECTING

    def lost(self, now: Instant, why: str) -> list[Notice]:
        """Note that the link cannot be opened or has failed; tells once per loss."""
        self._counts.state = LinkState.LOST
        return self._change(EventCode.LINK_LOST, now, {"reason": why[:REASON_CHARACTERS]})

    def heard(self, now: Instant, *, known: bool) -> list[Notice]:
        """Note a look at the bus, and whether known frames came with it, after any error frame."""
        if known:
            self._known_ns = now.mono_ns
            # Frames still come while a controller is error-passive, so they prove nothing then.
            if self._trouble not in _STRAINED or now.mono_ns - self._error_ns >= CALM_NS:
                self._trouble = None
            self._counts.state = self._state(LinkState.HEALTHY)
            return self._tell(now)
        quiet_ns = now.mono_ns - self._known_ns
        if quiet_ns >= self._silent_ns and self._trouble not in (EventCode.BUS_OFF, EventCode.BUS_SILENT):
            self._counts.state = LinkState.SILENT
            return self._change(EventCode.BUS_SILENT, now, {"silent_ms": quiet_ns // 1_000_000})
        return self._tell(now)

    def errors(self, frames: Iterable[Frame], now: Instant) -> list[Notice]:
        """Account for error frames."""
        notices: list[Notice] = []
        for frame in frames:
            self._counts.error_frames += 1
            self._error_ns = now.mono_ns
            controller = frame.data[1] if frame.address & CRTL and len(frame.data) > 1 else 0
            self._overflows += bool(controller & RX_OVERFLOW)
            if frame.address & BUSOFF:
                notices += self._worsen(EventCode.BUS_OFF, now)
            elif controller & PASSIVE:
                notices += self._worsen(EventCode.BUS_ERROR_PASSIVE, now)
            elif controller & WARNING:
                notices += self._worsen(EventCode.BUS_ERROR_WARNING, now)
            elif frame.address & RESTARTED or controller & ACTIVE:
                notices += self._controller_well(now)
        return notices

    def drops(self, dropped: int, now: Instant) -> list[Notice]:
        """Account for the kernel's drop counter and the controller's overflows; tells at most once a minute."""
        total = self._counts.dropped = dropped + self._overflows
        since_ns = None if self._drops_told_ns is None else now.mono_ns - self._drops_told_ns
        if total == self._drops_told or (since_ns is not None and since_ns < DROPS_TOLD_NS):
            return []
        facts = {"frames": total - self._drops_told}
        self._drops_told, self._drops_told_ns = total, now.mono_ns
        return [Notice(EventCode.FRAMES_DROPPED, now, facts)]

    def _worsen(self, code: EventCode, now: Instant) -> list[Notice]:
        notices = self._change(code, now, {})
        self._counts.state = self._state(LinkState.HEALTHY)
        return notices

    def _controller_well(self, now: Instant) -> list[Notice]:
        if self._trouble in _STRAINED:
            self._trouble = None
        if self._trouble is EventCode.BUS_OFF or self._trouble is None:
            # The controller takes part again; whether the bus lives is for the next frame to say.
            self._counts.state, self._known_ns = LinkState.CONNECTING, now.mono_ns
        return self._tell(now)

    def _state(self, otherwise: LinkState) -> LinkState:
        return otherwise if self._trouble is None else _STATES.get(self._trouble, otherwise)

    def _change(self, trouble: EventCode, now: Instant, facts: Mapping[str, int | str]) -> list[Notice]:
        if self._trouble is not trouble:
            self._trouble, self._facts = trouble, facts
        return self._tell(now)

    def _tell(self, now: Instant) -> list[Notice]:
        """Return a notice where what was told last is no longer so, unless the same was told a moment ago."""
        if self._trouble is self._told:
            return []
        code = self._trouble or EventCode.BUS_RECOVERED
        told_ns = self._told_ns.get(code)
        if told_ns is not None and now.mono_ns - told_ns < AGAIN_NS:
            return []
        facts = self._facts if self._trouble else {"after": self._told.name.lower()} if self._told else {}
        self._told_ns[code], self._told = now.mono_ns, self._trouble
        return [Notice(code, now, facts)]
