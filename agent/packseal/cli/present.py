"""How the commands print: aligned columns, UTC, durations in words, and no control character from a record."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum

MS_PER_S = 1000
_STEPS = ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1000, "s"))
BAR_WIDTH = 30


def utc(wall_ms: int) -> str:
    """Return a time as `2027-01-15T08:00:00.000Z`, and one that no calendar has as a number."""
    try:
        return datetime.fromtimestamp(wall_ms / MS_PER_S, UTC).isoformat("T", "milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{wall_ms} ms"


def duration(span_ms: int) -> str:
    """Return a span in words, to its two largest units: `2 days 3 h`, `4 min 20 s`, `350 ms`."""
    sign, rest = ("-", -span_ms) if span_ms < 0 else ("", span_ms)
    if rest < MS_PER_S:
        return f"{sign}{rest} ms"
    words: list[str] = []
    for size, name in _STEPS:
        count, rest = divmod(rest, size)
        if count or words:
            words.append(f"{count} {name[:-1] if name == 'days' and count == 1 else name}")
    return sign + " ".join(w for w in words[:2] if not w.startswith("0 "))


def word(member: Enum) -> str:
    """Return a code's name as words."""
    return member.name.lower().replace("_", " ")


def counted(count: int, noun: str) -> str:
    """Return `1 record`, `2 records`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def safe(text: str, limit: int = 400) -> str:
    """Return text from outside so that it cannot steer a terminal: what is not printable becomes its escape."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:limit])
    return shown + "…" if len(text) > limit else shown


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Return lines of aligned columns; those numbered in `right` end at the same place."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    to_right = set(right)
    return [
        "  ".join(
            cell.rjust(width) if i in to_right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


class Progress:
    """A bar on the terminal while something long is done; silent when the errors go elsewhere."""

    def __init__(self, what: str, total: int) -> None:
        self._what = what
        self._total = max(1, total)
        self._shown = -1
        self._live = sys.stderr.isatty()

    def at(self, done: int) -> None:
        """Show how far it is."""
        percent = min(100, 100 * done // self._total)
        if self._live and percent != self._shown:
            self._shown = percent
            bar = "#" * (BAR_WIDTH * percent // 100)
            print(f"\r{self._what} [{bar:{BAR_WIDTH}}] {percent:3} %", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the bar away."""
        if self._live and self._shown >= 0:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
