"""Snapshot ⇄ CBOR: integers at each field's resolution, so that a standard snapshot fits a 503-byte NFC tag.

`{1: [reading …], 2: [[code, index, value] …], 3: [middle mV, offsets, [[cell, mV] …]], 4: ms since counters began}`,
keys 2 to 4 only where present.
A reading is `[code, value, originator, method, age ms, uncertainty, coverage ‰]` with trailing nulls cut, or
`[code, null, reason]`. What no scaled integer can hold is written as flawed or left out, so that one absurd value
never makes a record that no reader takes.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from packseal.core import cbor
from packseal.core.errors import FormatError
from packseal.core.passport import FIELD_BY_CODE, Field, Method, Missing, Originator, Reading, Snapshot
from packseal.core.quantities import BY_CODE, Channel

PER_MILLE = 1000
_MISSING_PARTS = 3
_AT_BOUND = cbor.SCALED_BELOW - 1  # taken for more than a record can hold
CELL_REACH_MV = 127  # one byte per cell: middle - 127 … middle + 127 mV as 0 … 254
EXCESS = 1e-12  # what binary fractions add to a decimal number, as a share of it, is no excess
CELL_APART = 255  # and one value for a cell that is listed as an exception, or not known

_FIXED = {field: (field.code, 10**field.decimals, field.key) for field in Field}
_ORIGINATORS = {int(originator): originator for originator in Originator}
_METHODS = {int(method): method for method in Method}


def encode_snapshot(snapshot: Snapshot, wall_ms: int) -> dict[int, object]:
    """Return the CBOR map of `snapshot` for a record of wall time `wall_ms` (UTC, ms)."""
    body: dict[int, object] = {1: [_encode_reading(r, wall_ms) for r in snapshot.readings]}
    present = [
        [channel.quantity.code, channel.index, number]
        for channel, value in sorted(snapshot.present.items(), key=lambda item: (item[0].quantity.code, item[0].index))
        if (number := _scaled(value, 10**channel.quantity.decimals)) is not None
    ]
    if present:
        body[2] = present
    if any(mv is not None for mv in snapshot.cells_mv):
        body[3] = _encode_cells(snapshot.cells_mv)
    if snapshot.began_ms is not None:
        body[4] = wall_ms - snapshot.began_ms
    return body


def decode_snapshot(value: object, wall_ms: int) -> Snapshot:
    """Return the Snapshot of a record of wall time `wall_ms`; raises FormatError."""
    parts = cbor.as_map(value, "snapshot", (1,), (2, 3, 4))
    readings = _decode_readings(cbor.as_array(parts[1], "readings"), wall_ms)
    codes = [part[0] for part in parts[1]]
    if codes != sorted(set(codes)):
        raise FormatError("readings must be in order of their codes, each once")
    present = {}
    for entry in cbor.as_array(parts.get(2, ()), "present values"):
        triple = cbor.as_array(entry, "present value")
        if len(triple) != 3:  # noqa: PLR2004
            raise FormatError("a present value is [quantity, index, value]")
        quantity = BY_CODE[cbor.as_code(triple[0], "quantity", BY_CODE)]
        channel = Channel(quantity, cbor.as_uint(triple[1], "index"))
        present[channel] = cbor.as_scaled(triple[2], quantity.key) / 10**quantity.decimals
    began_ms = wall_ms - cbor.as_int(parts[4], "time since the counters began") if 4 in parts else None  # noqa: PLR2004
    return Snapshot(tuple(readings), present, _decode_cells(parts.get(3)), began_ms)


def _encode_reading(reading: Reading, wall_ms: int) -> list[object]:
    code, scale, _ = _FIXED[reading.field]
    if reading.value is None:
        return [code, None, int(reading.missing or 0)]
    number = _scaled(reading.value, scale)
    if number is None:
        return [code, None, int(Missing.FLAWED)]
    parts: list[object] = [
        code,
        number,
        int(reading.originator),
        int(reading.method),
        wall_ms - reading.last_update_ms,
        None if reading.uncertainty is None else _scaled_up(reading.uncertainty, scale),
        None if reading.coverage is None else min(PER_MILLE, round(reading.coverage * PER_MILLE)),
    ]
    while parts[-1] is None:
        parts.pop()
    return parts


def _encode_cells(cells_mv: Sequence[int | None]) -> list[object]:
    known = sorted(mv for mv in cells_mv if mv is not None)
    middle = known[(len(known) - 1) // 2]  # the lower median: one dead cell does not move it
    offsets = bytes(
        CELL_APART if mv is None or abs(mv - middle) > CELL_REACH_MV else mv - middle + CELL_REACH_MV for mv in cells_mv
    )
    apart = [[i, mv] for i, mv in enumerate(cells_mv) if mv is not None and offsets[i] == CELL_APART]
    return [middle, offsets, apart] if apart else [middle, offsets]


def _scaled(value: float, scale: int) -> int | None:
    """Return `value` at its resolution, None where it is no number or beyond what a record can hold."""
    scaled = value * scale
    return round(scaled) if abs(scaled) < cbor.SCALED_BELOW - 1 else None


def _scaled_up(uncertainty: float, scale: int) -> int | None:
    """Return an uncertainty at the field's resolution, never less than it is: rounded to 0 it would say "exact"."""
    if not uncertainty * scale < cbor.SCALED_BELOW - 1:
        return None
    nearest: int = round(uncertainty * scale)
    # Compared as it will be read: a number that was read before must be written as it was.
    return nearest if nearest / scale >= uncertainty * (1 - EXCESS) else nearest + 1


def encoded_size(value: Mapping[int, Any]) -> int | None:
    """Return how many bytes `value` has that `encode_snapshot` would make again of what `decode_snapshot` took from it.

    So bytes of that size that decode to `value` are its one encoding: every other one has a longer head somewhere.
    Several times as fast as to encode. None leaves it open, as for cell voltages and for numbers at the very bound.
    """
    readings, present = value[1], value.get(2, ())
    if list(value) not in ([1], [1, 2], [1, 4], [1, 2, 4]) or present == []:
        return None
    numbers = [number for part in (*readings, *present) for number in part]
    numbers += [value[4]] if 4 in value else []  # noqa: PLR2004
    said = [number for number in numbers if number is not None]
    if not {int, type(None)}.issuperset(map(type, numbers)) or max(map(abs, said), default=0) >= _AT_BOUND:
        return None
    places = [part[:2] for part in present]
    # Of a reading with a value, what is not known is left out at the end, and null in between.
    if any(part[-1] is None for part in readings) or any(one >= other for one, other in pairwise(places)):
        return None
    lists = len(cbor.encode_ordered(numbers)) - cbor.head_size(len(numbers)) + len(readings) + len(present)
    heads = cbor.head_size(len(readings)) + (cbor.head_size(len(present)) if present else 0)
    return 1 + len(value) + heads + lists


def _decode_readings(values: Sequence[Any], wall_ms: int) -> list[Reading]:
    try:
        return [
            _missing(value[0], value[2])
            if type(value) is list and len(value) == _MISSING_PARTS and value[1] is None
            else _decode_reading(value, wall_ms)
            for value in values
        ]
    except (ValueError, TypeError, FormatError):
        return [_decode_reading(value, wall_ms) for value in values]  # says which field is wrong


def _decode_reading(value: object, wall_ms: int) -> Reading:
    parts = cbor.as_array(value, "reading")
    if not 3 <= len(parts) <= 7:  # noqa: PLR2004 - see the module's docstring
        raise FormatError("a reading has three to seven parts")
    field = FIELD_BY_CODE[cbor.as_code(parts[0], "field", FIELD_BY_CODE)]
    try:
        if parts[1] is None:
            if len(parts) != _MISSING_PARTS:
                raise FormatError(f"{field.key}: a missing value carries its reason and nothing more")
            return _missing(field.code, parts[2])
        return _decode_valued(field, (*parts, None, None, None, None), wall_ms)
    except (ValueError, TypeError) as error:
        raise FormatError(f"{field.key}: {error}") from error


def _decode_valued(field: Field, parts: Sequence[Any], wall_ms: int) -> Reading:
    (_, scale, key), uncertainty, coverage = _FIXED[field], parts[5], parts[6]
    return Reading(
        field,
        cbor.as_scaled(parts[1], key) / scale,
        None,
        _ORIGINATORS.get(parts[2]) or Originator(parts[2]),
        _METHODS.get(parts[3]) or Method(parts[3]),
        wall_ms - cbor.as_int(parts[4], "age"),
        None if uncertainty is None else cbor.as_uint(uncertainty, "uncertainty", cbor.SCALED_BELOW) / scale,
        None if coverage is None else cbor.as_uint(coverage, "coverage", PER_MILLE + 1) / PER_MILLE,
    )


@cache  # as many as there are fields and reasons; what is no reason raises
def _missing(code: int, reason: int) -> Reading:
    return Reading(FIELD_BY_CODE[cbor.as_code(code, "field", FIELD_BY_CODE)], missing=Missing(reason))


def _decode_cells(value: object) -> Sequence[int | None]:
    """Return the cells; that `value` is what `_encode_cells` makes of them is checked with the whole payload."""
    if value is None:
        return ()
    parts = cbor.as_array(value, "cell voltages")
    if len(parts) not in (2, 3):
        raise FormatError("cell voltages are [middle mV, offsets] or [middle mV, offsets, exceptions]")
    # A cell that was discharged too far shows a negative voltage.
    middle, offsets = cbor.as_scaled(parts[0], "middle cell"), cbor.as_bytes(parts[1], "cell offsets")
    cells_mv = [None if offset == CELL_APART else middle + offset - CELL_REACH_MV for offset in offsets]
    for entry in cbor.as_array(parts[2], "cells apart") if len(parts) > 2 else ():  # noqa: PLR2004
        pair = cbor.as_array(entry, "cell apart")
        if len(pair) != 2:  # noqa: PLR2004
            raise FormatError("a cell apart is [cell, mV]")
        cells_mv[cbor.as_uint(pair[0], "cell", len(cells_mv))] = cbor.as_scaled(pair[1], "cell voltage")
    return tuple(cells_mv)
