"""Snapshot ⇄ CBOR: integers at each field's resolution, so that a standard snapshot fits a 503-byte NFC tag.

`{1: [reading …], 2: [[code, index, value] …], 3: [lowest mV, step mV, offsets]}`, keys 2 and 3 only where present.
A reading is `[code, value, originator, method, age ms, uncertainty, coverage ‰]` with trailing nulls cut, or
`[code, null, reason]`. What no scaled integer can hold is written as flawed or left out, so that one absurd value
never makes a record that no reader takes.
"""

from collections.abc import Sequence

from packseal.core import cbor
from packseal.core.errors import FormatError
from packseal.core.passport import FIELD_BY_CODE, Method, Missing, Originator, Reading, Snapshot
from packseal.core.quantities import BY_CODE, Channel

PER_MILLE = 1000
CELL_OFFSET_MAX = 255  # one byte per cell


def encode_snapshot(snapshot: Snapshot, wall_ms: int) -> dict[int, object]:
    """Return the CBOR map of `snapshot` for a record of wall time `wall_ms` (UTC, ms)."""
    body: dict[int, object] = {1: [_encode_reading(r, wall_ms) for r in snapshot.readings]}
    present = [
        [channel.quantity.code, channel.index, number]
        for channel, value in sorted(snapshot.present.items(), key=lambda item: (item[0].quantity.code, item[0].index))
        if (number := _scaled(value, channel.quantity.decimals)) is not None
    ]
    if present:
        body[2] = present
    if snapshot.cells_mv:
        body[3] = _encode_cells(snapshot.cells_mv)
    return body


def decode_snapshot(value: object, wall_ms: int) -> Snapshot:
    """Return the Snapshot of a record of wall time `wall_ms`; raises FormatError."""
    parts = cbor.as_map(value, "snapshot", (1,), (2, 3))
    readings = [_decode_reading(r, wall_ms) for r in cbor.as_array(parts[1], "readings")]
    codes = [r.field.code for r in readings]
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
    return Snapshot(tuple(readings), present, _decode_cells(parts.get(3)))


def _encode_reading(reading: Reading, wall_ms: int) -> list[object]:
    field = reading.field
    if reading.value is None:
        return [field.code, None, int(reading.missing or 0)]
    number = _scaled(reading.value, field.decimals)
    if number is None:
        return [field.code, None, int(Missing.FLAWED)]
    parts: list[object] = [
        field.code,
        number,
        int(reading.originator),
        int(reading.method),
        wall_ms - reading.last_update_ms,
        None if reading.uncertainty is None else _scaled(reading.uncertainty, field.decimals),
        None if reading.coverage is None else min(PER_MILLE, round(reading.coverage * PER_MILLE)),
    ]
    while parts[-1] is None:
        parts.pop()
    return parts


def _encode_cells(cells_mv: Sequence[int]) -> list[object]:
    lowest = min(cells_mv)
    step = max(1, -(-(max(cells_mv) - lowest) // CELL_OFFSET_MAX))
    # Rounded up: only so does the highest cell, as read back, ask for the same step again.
    return [lowest, step, bytes(-(-(mv - lowest) // step) for mv in cells_mv)]


def _scaled(value: float, decimals: int) -> int | None:
    """Return `value` at its resolution, None where it is no number or beyond what a record can hold."""
    scaled = value * 10**decimals
    return round(scaled) if abs(scaled) < cbor.SCALED_BELOW - 1 else None


def _decode_reading(value: object, wall_ms: int) -> Reading:
    parts = list(cbor.as_array(value, "reading"))
    if not 3 <= len(parts) <= 7:  # noqa: PLR2004 - see the module's docstring
        raise FormatError("a reading has three to seven parts")
    field = FIELD_BY_CODE[cbor.as_code(parts[0], "field", FIELD_BY_CODE)]
    scale = 10**field.decimals
    try:
        if parts[1] is None:
            if len(parts) != 3:  # noqa: PLR2004
                raise FormatError(f"{field.key}: a missing value carries its reason and nothing more")
            return Reading(field, missing=Missing(parts[2]))
        parts += [None] * (7 - len(parts))
        return Reading(
            field,
            value=cbor.as_scaled(parts[1], field.key) / scale,
            originator=Originator(parts[2]),
            method=Method(parts[3]),
            last_update_ms=wall_ms - cbor.as_int(parts[4], "age"),
            uncertainty=None if parts[5] is None else cbor.as_uint(parts[5], "uncertainty", cbor.SCALED_BELOW) / scale,
            coverage=None if parts[6] is None else cbor.as_uint(parts[6], "coverage", PER_MILLE + 1) / PER_MILLE,
        )
    except (ValueError, TypeError) as error:
        raise FormatError(f"{field.key}: {error}") from error


def _decode_cells(value: object) -> Sequence[int]:
    if value is None:
        return ()
    parts = cbor.as_array(value, "cell voltages")
    if len(parts) != 3:  # noqa: PLR2004
        raise FormatError("cell voltages are [lowest mV, step mV, offsets]")
    # A cell that was discharged too far shows a negative voltage.
    lowest, step = cbor.as_scaled(parts[0], "lowest cell"), cbor.as_uint(parts[1], "step", cbor.SCALED_BELOW)
    return tuple(lowest + step * offset for offset in cbor.as_bytes(parts[2], "cell offsets"))
