"""Summary: what thinning leaves of telemetry, smallest, mean and largest value of each channel per 10 s or 60 s.

A summary stands for windows of one boot between two steps of its wall clock. Its rows begin at whole multiples of its
period on that clock. Layout of the columns before compression, deterministic CBOR (docs/formats/record.md §4):
`{1: [row numbers], 2: [samples], 3: [[code, index, step, counts, minima, spans, means] …], 4: [[row, code, index, flaw,
count] …]}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any, NamedTuple

import zstandard

from packseal.core import cbor, columns
from packseal.core.errors import FormatError
from packseal.core.quantities import BY_CODE, Channel
from packseal.core.sample import ClockQuality, Flaw

MAX_ROWS = 20_000
"""Two weeks of minutes, or two days of 10 s: bounds the work of unfolding a record."""

MAX_PERIOD_MS = 86_400_000  # a day
COLUMN_PARTS, FLAW_PARTS = 7, 5


class Cell(NamedTuple):
    """One channel in one row, as integers at the quantity's resolution; `said` is how many samples said it."""

    minimum: int
    mean: int
    maximum: int
    said: int


class Spread(NamedTuple):
    """One channel in one row, in the quantity's unit; `said` is how many samples said it."""

    minimum: float
    mean: float
    maximum: float
    said: int


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """What the samples of one stretch said; `wall_ms` is where it begins, UTC. `flaws`: how often each was seen."""

    wall_ms: int
    samples: int
    values: Mapping[Channel, Spread]
    flaws: Mapping[tuple[Channel, Flaw], int]


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a summary by column. `numbers`: a row's beginning divided by the period; None: not said in it."""

    numbers: Sequence[int]
    samples: Sequence[int]
    columns: Mapping[Channel, Sequence[Cell | None]]
    flaws: Mapping[tuple[int, Channel, Flaw], int]


@dataclass(frozen=True, slots=True)
class Summary:
    """Aggregates in the place of telemetry. `blob` is what `pack` made of them, kept as it was signed.

    Args:
        period_ms: how long a row is.
        first, last: sequence numbers of the first and last telemetry record that it stands for.
        boot_id: the boot in which they were read.
        quality: of the wall clock at that time.
        first_mono_ms, first_wall_ms: of the first sample, on both clocks.
        span_ms: from the first sample to the last.
        samples: how many.
        count: rows.
        blob: the packed table.
    """

    period_ms: int
    first: int
    last: int
    boot_id: bytes
    quality: ClockQuality
    first_mono_ms: int
    first_wall_ms: int
    span_ms: int
    samples: int
    count: int
    blob: bytes

    def table(self) -> Table:
        """Unfold the columns; raises FormatError, also when they are not those of this summary."""
        table = unpack(self.blob, self.count)
        if table.numbers[0] != self.first_wall_ms // self.period_ms or sum(table.samples) != self.samples:
            raise FormatError("summary columns do not fit the summary's start and samples")
        return table

    def rows(self) -> list[SummaryRow]:
        """Unfold the rows; raises like `table`."""
        table = self.table()
        values: list[dict[Channel, Spread]] = [{} for _ in table.numbers]
        flaws: list[dict[tuple[Channel, Flaw], int]] = [{} for _ in table.numbers]
        for channel, cells in table.columns.items():
            scale = 10**channel.quantity.decimals
            for row, cell in enumerate(cells):
                if cell is not None:
                    values[row][channel] = Spread(
                        cell.minimum / scale, cell.mean / scale, cell.maximum / scale, cell.said
                    )
        for (row, channel, flaw), count in table.flaws.items():
            flaws[row][channel, flaw] = count
        starts = [number * self.period_ms for number in table.numbers]
        return [SummaryRow(*row) for row in zip(starts, table.samples, values, flaws, strict=True)]


def encode(body: Summary) -> Mapping[int, object]:
    """Return the CBOR map of a summary's body; raises ValueError for too many rows."""
    if not 0 < body.count <= MAX_ROWS:
        raise ValueError(f"a summary of {body.count} rows; the limit is {MAX_ROWS}")
    place = {1: body.period_ms, 2: body.first, 3: body.last, 4: body.boot_id, 5: int(body.quality)}
    times = {6: body.first_mono_ms, 7: body.first_wall_ms, 8: body.span_ms}
    return {**place, **times, 9: body.samples, 10: body.count, 11: body.blob}


def decode(value: object, boot_id_bytes: int) -> Summary:
    """Return the summary of a body; raises FormatError. Its columns stay folded."""
    parts = cbor.as_map(value, "summary", tuple(range(1, 12)))
    period_ms = cbor.as_uint(parts[1], "summary period", MAX_PERIOD_MS + 1)
    first, last = (cbor.as_uint(parts[k], "summary record number") for k in (2, 3))
    count = cbor.as_uint(parts[10], "summary rows", MAX_ROWS + 1)
    if not period_ms or not count or last < first:
        raise FormatError("a summary has a period and rows, and its last record does not come before its first")
    boot_id = cbor.as_bytes(parts[4], "summary boot id", boot_id_bytes)
    quality = ClockQuality(cbor.as_code(parts[5], "clock quality", set(ClockQuality)))
    mono_ms, wall_ms, span_ms, samples = (cbor.as_uint(parts[k], "summary times") for k in (6, 7, 8, 9))
    blob = cbor.as_bytes(parts[11], "summary columns")
    return Summary(period_ms, first, last, boot_id, quality, mono_ms, wall_ms, span_ms, samples, count, blob)


def pack(table: Table) -> bytes:
    """Return the compressed columns."""
    body: dict[int, object] = {
        1: [b - a for a, b in zip((0, *table.numbers[:-1]), table.numbers, strict=True)],
        2: list(table.samples),
        3: [_column(c, table.columns[c]) for c in sorted(table.columns, key=_order)],
    }
    flaws = [[row, c.quantity.code, c.index, int(flaw), n] for (row, c, flaw), n in table.flaws.items()]
    if flaws:
        body[4] = sorted(flaws)
    return zstandard.ZstdCompressor(level=columns.ZSTD_LEVEL).compress(cbor.encode(body))


def unpack(blob: bytes, count: int) -> Table:
    """Return the table of `blob`; the inverse of `pack`.

    Raises:
        FormatError: not canonical, of another number of rows than `count`, or it names an unknown quantity.
    """
    data = cbor.decode(columns.decompress(blob), "summary columns")
    body = cbor.as_map(data, "summary columns", (1, 2, 3), (4,))
    numbers = _row_numbers(body[1])
    samples = [cbor.as_uint(n, "summary samples", cbor.SCALED_BELOW) for n in cbor.as_array(body[2], "summary samples")]
    if not len(numbers) == len(samples) == count or 0 in samples:
        raise FormatError("summary columns do not fit the summary's rows")
    found: dict[Channel, Sequence[Cell | None]] = {}
    last = (-1, 0)
    for column in cbor.as_array(body[3], "summary columns"):
        channel, cells = _read_column(column, samples)
        if _order(channel) <= last:
            raise FormatError("summary columns must be in order of quantity and index, each once")
        last = _order(channel)
        found[channel] = cells
    return Table(numbers, samples, found, _read_flaws(body.get(4), count))


def _order(channel: Channel) -> tuple[int, int]:
    return channel.quantity.code, channel.index


def _column(channel: Channel, cells: Sequence[Cell | None]) -> list[object]:
    said = [cell for cell in cells if cell is not None]
    step = gcd(*(c.minimum for c in said), *(c.maximum for c in said)) or 1
    minima = [c.minimum // step for c in said]
    return [
        channel.quantity.code,
        channel.index,
        step,
        [0 if c is None else c.said for c in cells],
        [b - a for a, b in zip((0, *minima[:-1]), minima, strict=True)],
        [(c.maximum - c.minimum) // step for c in said],
        [c.mean - c.minimum for c in said],
    ]


def _read_column(column: object, samples: Sequence[int]) -> tuple[Channel, Sequence[Cell | None]]:
    parts = cbor.as_array(column, "summary column")
    if len(parts) != COLUMN_PARTS:
        raise FormatError("a summary column has seven parts")
    quantity = BY_CODE[cbor.as_code(parts[0], "quantity", BY_CODE)]
    step = cbor.as_uint(parts[2], "column step", cbor.SCALED_BELOW)
    counts = [cbor.as_uint(n, "column count", cbor.SCALED_BELOW) for n in cbor.as_array(parts[3], "column counts")]
    rows = [row for row, n in enumerate(counts) if n]
    lists = [cbor.as_array(part, "summary column") for part in parts[4:]]
    if not rows or len(counts) != len(samples) or any(len(part) != len(rows) for part in lists):
        raise FormatError("a summary column does not say something at least once and as often as it counts")
    if any(n > most for n, most in zip(counts, samples, strict=True)):
        raise FormatError("a summary column counts more than there are samples")
    cells: list[Cell | None] = [None] * len(samples)
    minimum = 0
    for row, delta, span, mean in zip(rows, *lists, strict=True):
        minimum += cbor.as_int(delta, "column delta")
        cells[row] = _cell(minimum * step, cbor.as_uint(span, "column span") * step, mean, counts[row])
    said = [cell for cell in cells if cell is not None]
    if (gcd(*(c.minimum for c in said), *(c.maximum for c in said)) or 1) != step:
        raise FormatError("a summary column's step must be the greatest common divisor of its extremes")
    return Channel(quantity, cbor.as_uint(parts[1], "column index")), cells


def _cell(minimum: int, span: int, mean: object, count: int) -> Cell:
    least, most = cbor.as_scaled(minimum, "column minimum"), cbor.as_scaled(minimum + span, "column maximum")
    return Cell(least, least + cbor.as_uint(mean, "column mean", span + 1), most, count)


def _row_numbers(deltas: Any) -> list[int]:
    numbers: list[int] = []
    for delta in cbor.as_array(deltas, "summary rows"):
        step = cbor.as_uint(delta, "summary row")
        if numbers and not step:
            raise FormatError("summary rows must be in order, each once")
        numbers.append(step + (numbers[-1] if numbers else 0))
    return numbers


def _read_flaws(entries: object, count: int) -> dict[tuple[int, Channel, Flaw], int]:
    flaws: dict[tuple[int, Channel, Flaw], int] = {}
    if entries is None:
        return flaws
    last = (-1, 0, 0, 0)
    for entry in cbor.as_array(entries, "summary flaws") or (None,):
        parts = cbor.as_array(entry, "summary flaw")
        if len(parts) != FLAW_PARTS:
            raise FormatError("a summary flaw is [row, quantity, index, flaw, count]")
        row = cbor.as_uint(parts[0], "flaw row", below=count)
        code = cbor.as_code(parts[1], "quantity", BY_CODE)
        flaw = Flaw(cbor.as_code(parts[3], "flaw", set(Flaw)))
        place = (row, code, cbor.as_uint(parts[2], "flaw index"), int(flaw))
        number = cbor.as_uint(parts[4], "flaw count", cbor.SCALED_BELOW)
        if place <= last or not number:
            raise FormatError("summary flaws must be in order, each once and counted")
        last = place
        flaws[row, Channel(BY_CODE[code], place[2]), flaw] = number
    return flaws
