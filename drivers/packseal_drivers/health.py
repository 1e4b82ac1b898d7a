"""Health of a CAN bus: from error frames, silence and drops to a state and notices. Pure."""

from collections.abc import Iterable

from packseal.core.sample import NS_PER_S, EventCode, Frame, Instant, LinkCounts, LinkState, Notice

# linux/can/error.h: error classes in the id, and the controller's state in data[1]
CRTL, BUSOFF, RESTARTED = 0x04, 0x40, 0x100
OVERFLOW, WARNING, PASSIVE, ACTIVE = 0x03, 0x0C, 0x30, 0x40
ERR_FLAG = 0x2000_0000
DROPS_TOLD_NS = 60 * NS_PER_S

BAD = {LinkState.ERROR_PASSIVE, LinkState.BUS_OFF, LinkState.SILENT, LinkState.LOST}


class Health:
    """Keeps `counts.state` and tells of its changes.

    Args:
        counts: whose state, error frames and drops are kept.
        silent_after_s: without a known frame for so long the battery counts as silent.
    """

    def __init__(self, counts: LinkCounts, silent_after_s: float) -> None:
        self._counts = counts
        self._silent_ns = round(silent_after_s * NS_PER_S)
        self._known_ns: int | None = None
        self._warned = False
        self._drops_told_ns: int | None = None
        self._drops_told = 0

    def opened(self, now: Instant) -> None:
        """Note that the link is open; from now on silence counts."""
        self._known_ns = now.mono_ns
        if self._counts.state is not LinkState.LOST:
            self._counts.state = LinkState.CONNECTING

    def lost(self, now: Instant, why: str) -> list[Notice]:
        """Note that the link cannot be opened or has failed; tells once per loss."""
        if self._counts.state is LinkState.LOST:
            return []
        self._counts.state = LinkState.LOST
        return [Notice(EventCode.LINK_LOST, now, {"reason": why[:200]})]

    def heard(self, now: Instant, *, known: bool) -> list[Notice]:
        """Note a look at the bus, and whether known frames came with it."""
        counts = self._counts
        if known:
            self._known_ns = now.mono_ns
            before, counts.state = counts.state, LinkState.HEALTHY
            return [_notice(EventCode.BUS_RECOVERED, now, before)] if before in BAD else []
        quiet_ns = now.mono_ns - (self._known_ns if self._known_ns is not None else now.mono_ns)
        if quiet_ns < self._silent_ns or counts.state not in (LinkState.HEALTHY, LinkState.CONNECTING):
            return []
        counts.state = LinkState.SILENT
        return [Notice(EventCode.BUS_SILENT, now, {"silent_ms": quiet_ns // 1_000_000})]

    def errors(self, frames: Iterable[Frame], now: Instant) -> list[Notice]:
        """Account for error frames."""
        notices: list[Notice] = []
        for frame in frames:
            self._counts.error_frames += 1
            controller = frame.data[1] if frame.address & CRTL and len(frame.data) > 1 else 0
            if frame.address & BUSOFF:
                notices += self._worsen(LinkState.BUS_OFF, EventCode.BUS_OFF, now)
            elif controller & PASSIVE:
                notices += self._worsen(LinkState.ERROR_PASSIVE, EventCode.BUS_ERROR_PASSIVE, now)
            elif controller & WARNING and not self._warned:
                self._warned = True
                notices.append(Notice(EventCode.BUS_ERROR_WARNING, now))
            elif frame.address & RESTARTED or controller & ACTIVE:
                notices += self._recovered(now)
        return notices

    def drops(self, dropped: int, now: Instant) -> list[Notice]:
        """Account for the kernel's drop counter; tells at most once a minute, with what came since."""
        self._counts.dropped = dropped
        since_ns = None if self._drops_told_ns is None else now.mono_ns - self._drops_told_ns
        if dropped == self._drops_told or (since_ns is not None and since_ns < DROPS_TOLD_NS):
            return []
        facts = {"frames": dropped - self._drops_told}
        self._drops_told, self._drops_told_ns = dropped, now.mono_ns
        return [Notice(EventCode.FRAMES_DROPPED, now, facts)]

    def _worsen(self, state: LinkState, code: EventCode, now: Instant) -> list[Notice]:
        if self._counts.state is state:
            return []
        self._counts.state = state
        return [Notice(code, now)]

    def _recovered(self, now: Instant) -> list[Notice]:
        self._warned = False
        if self._counts.state not in (LinkState.BUS_OFF, LinkState.ERROR_PASSIVE):
            return []
        before, self._counts.state = self._counts.state, LinkState.CONNECTING
        self._known_ns = now.mono_ns
        return [_notice(EventCode.BUS_RECOVERED, now, before)]


def _notice(code: EventCode, now: Instant, before: LinkState) -> Notice:
    return Notice(code, now, {"after": before.name.lower()})
