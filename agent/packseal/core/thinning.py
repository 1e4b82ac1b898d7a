"""Thinning: windows of telemetry, or summaries of them, in order, become summaries of 10 s or 60 s.

One summary stands for what was read in one boot between two steps of the wall clock; where either changes, the next
begins. Smallest and largest values and counts are exact; a mean of means is weighted by the counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from packseal.core import columns, summary
from packseal.core.bodies import Telemetry
from packseal.core.quantities import Channel
from packseal.core.record import Record
from packseal.core.sample import ClockQuality, Flaw
from packseal.core.summary import MAX_ROWS, Cell, Summary, Table

CLOCK_STEP_MS = 1000
"""As in the sealer: NTP slews by less within a window, a larger move of one clock against the other is a step."""

Sums = tuple[int, int, int, int]
"""Smallest, sum, largest, how many."""


def thin(entries: Iterable[Record], period_ms: int) -> list[Summary]:
    """Return the summaries that stand for these telemetry and summary records of one log, in order.

    Raises:
        FormatError: the columns of one are broken.
    """
    found: list[Summary] = []
    open_: _Open | None = None
    for entry in entries:
        part = _part(entry)
        if part is None:
            continue
        if open_ is not None and not open_.takes(part, period_ms):
            found.append(open_.closed(period_ms))
            open_ = None
        open_ = open_ or _Open(part)
        open_.take(part, period_ms)
    return [*found, open_.closed(period_ms)] if open_ is not None else found


@dataclass(frozen=True, slots=True)
class _Part:
    """One record's place in time. `body` is what is in it."""

    boot_id: bytes
    quality: ClockQuality
    first: int
    last: int
    mono_ms: int
    wall_ms: int
    span_ms: int
    samples: int
    body: Telemetry | Summary


def _part(entry: Record) -> _Part | None:
    header, body = entry.header, entry.body
    if isinstance(body, Telemetry) and body.count:
        place = (header.boot_id, header.quality, header.sequence, header.sequence)
        return _Part(*place, body.first_mono_ms, body.first_wall_ms, body.span_ms, body.count, body)
    if isinstance(body, Summary):
        place = (body.boot_id, body.quality, body.first, body.last)
        return _Part(*place, body.first_mono_ms, body.first_wall_ms, body.span_ms, body.samples, body)
    return None


@dataclass(slots=True)
class _Open:
    """A summary that is being made. `rows`: samples, cells by channel and flaws, by the row's number."""

    start: _Part
    end_ms: int = 0
    offset_ms: int = 0
    last: int = 0
    samples: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    cells: dict[Channel, dict[int, Sums]] = field(default_factory=dict)
    flaws: dict[tuple[int, Channel, Flaw], int] = field(default_factory=dict)

    def takes(self, part: _Part, period_ms: int) -> bool:
        """Whether `part` may go on in the same summary: the same boot and clock, and room."""
        same = (part.boot_id, part.quality) == (self.start.boot_id, self.start.quality)
        steady = abs(part.wall_ms - part.mono_ms - self.offset_ms) <= CLOCK_STEP_MS
        more = part.span_ms // period_ms + 2
        return same and steady and part.mono_ms >= self.start.mono_ms and len(self.counts) + more <= MAX_ROWS

    def take(self, part: _Part, period_ms: int) -> None:
        """Add a part."""
        self.offset_ms = part.wall_ms - part.mono_ms
        self.end_ms = max(self.end_ms, part.mono_ms + part.span_ms)
        self.last = max(self.last, part.last)
        self.samples += part.samples
        if isinstance(part.body, Telemetry):
            self._take_telemetry(part.body, period_ms)
        else:
            self._take_summary(part.body, period_ms)

    def _number(self, wall_ms: int, period_ms: int) -> int:
        """Return a time's row, which is never before the first one: clocks are slewed by some milliseconds."""
        return max(wall_ms // period_ms, self.start.wall_ms // period_ms)

    def _take_telemetry(self, body: Telemetry, period_ms: int) -> None:
        for mono_ms, values, flaws in columns.unpack(body.blob, body.first_mono_ms, body.count):
            row = self._number(body.first_wall_ms + mono_ms - body.first_mono_ms, period_ms)
            self.counts[row] = self.counts.get(row, 0) + 1
            for channel, value in values.items():
                number = round(value * 10**channel.quantity.decimals)
                self._add(channel, row, (number, number, number, 1))
            for channel, flaw in flaws.items():
                self.flaws[row, channel, flaw] = self.flaws.get((row, channel, flaw), 0) + 1

    def _take_summary(self, body: Summary, period_ms: int) -> None:
        table = body.table()
        rows = [self._number(number * body.period_ms, period_ms) for number in table.numbers]
        for row, samples in zip(rows, table.samples, strict=True):
            self.counts[row] = self.counts.get(row, 0) + samples
        for channel, cells in table.columns.items():
            for row, cell in zip(rows, cells, strict=True):
                if cell is not None:
                    self._add(channel, row, (cell.minimum, cell.mean * cell.said, cell.maximum, cell.said))
        for (at, channel, flaw), count in table.flaws.items():
            key = (rows[at], channel, flaw)
            self.flaws[key] = self.flaws.get(key, 0) + count

    def _add(self, channel: Channel, row: int, more: Sums) -> None:
        column = self.cells.setdefault(channel, {})
        had = column.get(row)
        if had is None:
            column[row] = more
        else:
            column[row] = min(had[0], more[0]), had[1] + more[1], max(had[2], more[2]), had[3] + more[3]

    def closed(self, period_ms: int) -> Summary:
        """Return the summary."""
        numbers = sorted(self.counts)
        places = {number: at for at, number in enumerate(numbers)}
        cells = {c: _column(column, numbers) for c, column in self.cells.items()}
        flaws = {(places[row], c, flaw): count for (row, c, flaw), count in self.flaws.items()}
        blob = summary.pack(Table(numbers, [self.counts[n] for n in numbers], cells, flaws))
        start = self.start
        place = (period_ms, start.first, self.last, start.boot_id, start.quality)
        times = (start.mono_ms, start.wall_ms, self.end_ms - start.mono_ms)
        return Summary(*place, *times, self.samples, len(numbers), blob)


def _column(sums: dict[int, Sums], numbers: Sequence[int]) -> list[Cell | None]:
    return [_cell(sums[number]) if number in sums else None for number in numbers]


def _cell(sums: Sums) -> Cell:
    least, total, most, said = sums
    # Rounded to the nearest, halves up, without floats.
    return Cell(least, min(most, max(least, (2 * total + said) // (2 * said))), most, said)
