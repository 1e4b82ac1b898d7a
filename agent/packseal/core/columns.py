"""Telemetry columns: a window of samples as delta-coded integer columns, compressed with zstd (RFC 8878).

Layout before compression, deterministic CBOR (docs/formats/record.md §telemetry):
`{1: [time deltas, ms], 2: [[code, index, step, [deltas or null]] …], 3: [[row, code, index, flaw] …]}`.
A column's values are integers at its quantity's resolution, divided by `step`, their greatest common divisor, so a
signal of 0.25 V steps costs one small integer per sample. The first delta is against zero; null is "not said". Columns
stand in order of code and index, flaws of row, code and index, each once; a column says something at least once.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import gcd

import zstandard

from packseal.core import cbor
from packseal.core.errors import FormatError
from packseal.core.quantities import BY_CODE, Channel
from packseal.core.sample import Flaw, Sample

NS_PER_MS = 1_000_000
ZSTD_LEVEL = 3
"""Level 19 saved 6 to 13 % on such columns for many times the work (measured, docs/adr/0002)."""

MAX_COLUMNS_BYTES = 16 << 20
"""Bound on what one telemetry record may unfold to, against a decompression bomb."""

ABSURD = 1e9
"""No battery reaches this in any quantity's unit, and at the finest resolution, 10⁻⁶, it has 15 digits."""

Row = tuple[int, Mapping[Channel, float], Mapping[Channel, Flaw]]
"""One decoded sample: monotonic milliseconds, values, flaws."""


def pack(samples: Sequence[Sample]) -> bytes:
    """Return the compressed columns of `samples`, which are in order of their monotonic time."""
    times = [s.at.mono_ns // NS_PER_MS for s in samples]
    channels = sorted({c for s in samples for c, v in s.values.items() if -ABSURD < v < ABSURD}, key=_order)
    flaws = [
        [row, channel.quantity.code, channel.index, int(flaw)]
        for row, sample in enumerate(samples)
        for channel, flaw in sorted(_flaws(sample).items(), key=lambda item: _order(item[0]))
    ]
    body: dict[int, object] = {1: _deltas(times), 2: [_column(c, samples) for c in channels]}
    if flaws:
        body[3] = flaws
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(cbor.encode(body))


def unpack(blob: bytes, first_mono_ms: int, count: int) -> list[Row]:
    """Return the rows of `blob`; the inverse of `pack` at the quantities' resolution.

    Raises:
        FormatError: not canonical, of another length than `count`, or it names an unknown quantity.
    """
    body = cbor.as_map(cbor.decode(decompress(blob), "telemetry columns"), "telemetry columns", (1, 2), (3,))
    times = _undelta([cbor.as_uint(d, "time delta") for d in cbor.as_array(body[1], "time column")])
    if len(times) != count or (times and times[0] != first_mono_ms):
        raise FormatError("telemetry columns do not fit the window's count and start")
    values: list[dict[Channel, float]] = [{} for _ in times]
    last = (-1, 0)
    for column in cbor.as_array(body[2], "telemetry columns"):
        channel, numbers = _read_column(column, count)
        if _order(channel) <= last:
            raise FormatError("telemetry columns must be in order of quantity and index, each once")
        last = _order(channel)
        scale = 10**channel.quantity.decimals
        for row, number in enumerate(numbers):
            if number is not None:
                values[row][channel] = number / scale
    flaws = _read_flaws(body.get(3), count)
    if any(flaw.keys() & value.keys() for flaw, value in zip(flaws, values, strict=True) if flaw):
        raise FormatError("a telemetry value cannot be there and flawed at once")
    return list(zip(times, values, flaws, strict=True))


def is_sound(blob: bytes, first_mono_ms: int, count: int, span_ms: int) -> bool:
    """Return True only where `unpack` gives a row or more over `span_ms`; False leaves it open, as with flaws.

    The same rules, ten times as fast: no row is made, and each column is looked at as a whole.
    """
    data = decompress(blob)
    body = cbor.loads(data, "telemetry columns")
    if not isinstance(body, dict) or list(body) != [1, 2] or cbor.encode_ordered(body) != data:
        return False
    times, columns = body[1], body[2]
    if type(times) is not list or set(map(type, times)) != {int} or len(times) != count:
        return False
    if times[0] != first_mono_ms or min(times) < 0 or sum(times) - times[0] != span_ms:
        return False
    if type(columns) is not list or not all(_is_sound_column(column, count) for column in columns):
        return False
    places = [(column[0], column[1]) for column in columns]
    return all(before < after for before, after in pairwise(places))


def _is_sound_column(column: object, count: int) -> bool:
    if type(column) is not list or len(column) != 4:  # noqa: PLR2004 - the four parts named in the module's docstring
        return False
    code, index, step, deltas = column
    if not type(code) is type(index) is type(step) is int or type(deltas) is not list or len(deltas) != count:
        return False
    said = [delta for delta in deltas if delta is not None]
    if (
        code not in BY_CODE
        or not 0 <= index < 1 << 64
        or not 0 < step < cbor.SCALED_BELOW
        or set(map(type, said)) != {int}
    ):
        return False
    numbers = list(accumulate(said))
    # The step is the greatest common divisor of the values where the values in steps have none, or are all zero.
    divisor = gcd(*numbers) or step
    lowest, highest = min(numbers) * step, max(numbers) * step
    return divisor == 1 and lowest > -cbor.SCALED_BELOW and highest < cbor.SCALED_BELOW


def _order(channel: Channel) -> tuple[int, int]:
    return channel.quantity.code, channel.index


def _flaws(sample: Sample) -> Mapping[Channel, Flaw]:
    """Return the sample's flaws and, as out of range, the values that no column can hold."""
    absurd = [c for c, v in sample.values.items() if not -ABSURD < v < ABSURD]
    return {**sample.flaws, **dict.fromkeys(absurd, Flaw.OUT_OF_RANGE)} if absurd else sample.flaws


def _column(channel: Channel, samples: Sequence[Sample]) -> list[object]:
    scale = 10**channel.quantity.decimals
    values = (s.values.get(channel) for s in samples)
    numbers = [round(v * scale) if v is not None and -ABSURD < v < ABSURD else None for v in values]
    step = gcd(*(n for n in numbers if n is not None)) or 1
    deltas: list[int | None] = []
    last = 0
    for number in numbers:
        if number is None:
            deltas.append(None)
        else:
            deltas.append(number // step - last)
            last = number // step
    return [channel.quantity.code, channel.index, step, deltas]


def _read_column(column: object, count: int) -> tuple[Channel, list[int | None]]:
    parts = cbor.as_array(column, "telemetry column")
    if len(parts) != 4:  # noqa: PLR2004 - the four parts named in the module's docstring
        raise FormatError("a telemetry column has four parts")
    quantity = BY_CODE[cbor.as_code(parts[0], "quantity", BY_CODE)]
    step = cbor.as_uint(parts[2], "column step", cbor.SCALED_BELOW)
    deltas = cbor.as_array(parts[3], "column deltas")
    if len(deltas) != count or not step:
        raise FormatError("a telemetry column does not have one delta per sample and a step above zero")
    numbers: list[int | None] = []
    last = 0
    for delta in deltas:
        if delta is None:
            numbers.append(None)
            continue
        last += cbor.as_int(delta, "column delta")
        numbers.append(cbor.as_scaled(last * step, "column value"))
    said = [n for n in numbers if n is not None]
    if not said or (gcd(*said) or 1) != step:
        raise FormatError("a telemetry column's step must be the greatest common divisor of its values")
    return Channel(quantity, cbor.as_uint(parts[1], "column index")), numbers


def _read_flaws(entries: object, count: int) -> list[dict[Channel, Flaw]]:
    flaws: list[dict[Channel, Flaw]] = [{} for _ in range(count)]
    if entries is None:
        return flaws
    if not cbor.as_array(entries, "telemetry flaws"):
        raise FormatError("telemetry flaws must be left out where there are none")
    last = (-1, 0, 0)
    for entry in cbor.as_array(entries, "telemetry flaws"):
        parts = cbor.as_array(entry, "telemetry flaw")
        if len(parts) != 4:  # noqa: PLR2004
            raise FormatError("a telemetry flaw is [row, quantity, index, flaw]")
        place = (
            cbor.as_uint(parts[0], "flaw row", below=count),
            cbor.as_code(parts[1], "quantity", BY_CODE),
            cbor.as_uint(parts[2], "flaw index"),
        )
        if place <= last:
            raise FormatError("telemetry flaws must be in order, each once")
        last = place
        flaws[place[0]][Channel(BY_CODE[place[1]], place[2])] = Flaw(cbor.as_code(parts[3], "flaw", set(Flaw)))
    return flaws


def _deltas(numbers: Sequence[int]) -> list[int]:
    return [b - a for a, b in zip((0, *numbers[:-1]), numbers, strict=True)] if numbers else []


def _undelta(deltas: Sequence[int]) -> list[int]:
    total, numbers = 0, []
    for delta in deltas:
        total += delta
        numbers.append(total)
    return numbers


def decompress(blob: bytes) -> bytes:
    """Return the columns' CBOR; raises FormatError when it is no single zstd frame or too large."""
    try:
        if zstandard.frame_content_size(blob) > MAX_COLUMNS_BYTES:
            raise FormatError(f"telemetry columns unfold to more than {MAX_COLUMNS_BYTES} bytes")
        return zstandard.ZstdDecompressor(max_window_size=MAX_COLUMNS_BYTES).decompress(
            blob, max_output_size=MAX_COLUMNS_BYTES, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise FormatError(f"telemetry columns cannot be decompressed: {error}") from error
