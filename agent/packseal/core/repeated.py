"""Notices that repeat: only the first of a window seals at once, the others wait for the window's end.

A BMS whose state of health flickers would else have a window sealed every other second, which wears a card out in
months. Pure.
"""

from packseal.core.sample import EventCode, Instant, Notice

MOST = 16
"""Of one code in a window; of more, the last one tells how many: `more`."""


class Repeated:
    """The notices that wait.

    Args:
        window_ns: from one that seals at once to the next of its code; with 0 all do.
    """

    def __init__(self, window_ns: int) -> None:
        self._window_ns = window_ns
        self._told: dict[EventCode, int] = {}
        self._waiting: dict[EventCode, list[Notice]] = {}
        self._more: dict[EventCode, int] = {}

    @property
    def since_ns(self) -> int | None:
        """Monotonic time of the one that has waited longest; None while none waits."""
        return min((notices[0].at.mono_ns for notices in self._waiting.values()), default=None)

    def holds(self, notice: Notice) -> bool:
        """Whether this one can wait, and does so from now on."""
        told_ns = self._told.get(notice.code)
        if told_ns is None or notice.at.mono_ns - told_ns >= self._window_ns:
            self._told[notice.code] = notice.at.mono_ns
            return False
        waiting = self._waiting.setdefault(notice.code, [])
        if len(waiting) < MOST:
            waiting.append(notice)
        else:
            self._more[notice.code] = self._more.get(notice.code, 0) + 1
        return True

    def take(self) -> list[Notice]:
        """Return those that wait, oldest first; none does any more."""
        for code, more in self._more.items():
            last = self._waiting[code][-1]
            self._waiting[code][-1] = Notice(code, last.at, {**last.attributes, "more": more})
        taken = sorted((n for notices in self._waiting.values() for n in notices), key=_when)
        self._waiting, self._more = {}, {}
        return taken


def _when(notice: Notice) -> tuple[int, int]:
    at: Instant = notice.at
    return at.mono_ns, notice.code
