"""A record as plain JSON values, for programs: codes by name, bytes in hexadecimal, times in UTC milliseconds."""

import csv
from typing import Any, TextIO

from packseal.cli.present import utc
from packseal.cli.record_text import channel_name, columns_of
from packseal.core.bodies import Attributes, Event, Gap, Lifecycle, Telemetry
from packseal.core.columns import Row
from packseal.core.passport import Reading, Snapshot
from packseal.core.record import Record
from packseal.core.summary import Spread, Summary, SummaryRow


def as_json(entry: Record) -> dict[str, Any]:
    """Return all that is in a record; raises FormatError for broken telemetry columns."""
    header = entry.header
    return {
        "log": header.log_id.hex(),
        "sequence": header.sequence,
        "kind": entry.kind.name.lower(),
        "issuer": entry.issuer,
        "subject": entry.subject,
        "key": entry.kid.hex(),
        "wall_ms": header.wall_ms,
        "time": utc(header.wall_ms),
        "clock": header.quality.name.lower(),
        "boot": header.boot_id.hex(),
        "mono_ms": header.mono_ms,
        "previous": header.previous.hex(),
        "hash": entry.hash.hex(),
        "bytes": len(entry.raw),
        "body": _body(entry),
    }


def write_csv(body: Telemetry | Summary, to: TextIO) -> None:
    """Write a window as CSV: times, one column per channel in its unit, flaws at the end; raises FormatError.

    A summary has three columns per channel, `min`, `mean` and `max`, and how many samples said it.
    """
    if isinstance(body, Summary):
        _write_summary_csv(body.rows(), to)
        return
    rows = body.rows()
    channels = columns_of(rows)
    names = [channel_name(c, channels) for c in channels]
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(["time", "mono_ms", *names, "flaws"])
    for mono_ms, values, flaws in rows:
        cells = [f"{values[c]:.{c.quantity.decimals}f}" if c in values else "" for c in channels]
        flawed = " ".join(f"{n}:{flaws[c].name.lower()}" for n, c in zip(names, channels, strict=True) if c in flaws)
        writer.writerow([utc(body.first_wall_ms + mono_ms - body.first_mono_ms), mono_ms, *cells, flawed])


def _write_summary_csv(rows: list[SummaryRow], to: TextIO) -> None:
    channels = sorted({c for row in rows for c in row.values}, key=lambda c: (c.quantity.code, c.index))
    names = [f"{channel_name(c, channels)} {what}" for c in channels for what in ("min", "mean", "max", "samples")]
    writer = csv.writer(to, lineterminator="\n")
    writer.writerow(["time", "samples", *names, "flaws"])
    for row in rows:
        cells = [cell for c in channels for cell in _spread_cells(row.values.get(c), c.quantity.decimals)]
        flaws = " ".join(f"{channel_name(c, channels)}:{f.name.lower()}*{n}" for (c, f), n in row.flaws.items())
        writer.writerow([utc(row.wall_ms), row.samples, *cells, flaws])


def _spread_cells(spread: Spread | None, decimals: int) -> list[str]:
    if spread is None:
        return ["", "", "", "0"]
    return [*(f"{value:.{decimals}f}" for value in spread[:3]), str(spread.said)]


def _summary(body: Summary) -> dict[str, Any]:
    rows = body.rows()
    channels = sorted({c for row in rows for c in row.values}, key=lambda c: (c.quantity.code, c.index))
    return {
        "period_ms": body.period_ms,
        "first": body.first,
        "last": body.last,
        "boot": body.boot_id.hex(),
        "clock": body.quality.name.lower(),
        "first_wall_ms": body.first_wall_ms,
        "span_ms": body.span_ms,
        "samples": body.samples,
        "rows": [
            {
                "wall_ms": row.wall_ms,
                "samples": row.samples,
                "values": {channel_name(c, channels): v._asdict() for c, v in row.values.items()},
                "flaws": [[channel_name(c, channels), f.name.lower(), n] for (c, f), n in row.flaws.items()],
            }
            for row in rows
        ],
    }


def _body(entry: Record) -> dict[str, Any]:
    match entry.body:
        case Snapshot() as body:
            channels = list(body.present)
            return {
                "readings": {r.field.key: _reading(r) for r in body.readings},
                "present": {channel_name(c, channels): v for c, v in body.present.items()},
                "cells_mv": list(body.cells_mv),
                "began_ms": body.began_ms,
            }
        case Telemetry() as body:
            return {"first_wall_ms": body.first_wall_ms, "span_ms": body.span_ms, "samples": _samples(body.rows())}
        case Summary() as body:
            return _summary(body)
        case Gap() as body:
            span = {"from_wall_ms": body.from_wall_ms, "to_wall_ms": body.to_wall_ms}
            return {"cause": body.cause.name.lower(), **span, "attributes": _attributes(body.attributes)}
        case Event() | Lifecycle() as body:
            return {"code": body.code.name.lower(), "attributes": _attributes(body.attributes)}


def _reading(reading: Reading) -> dict[str, Any]:
    if reading.value is None:
        return {"missing": reading.missing.name.lower() if reading.missing else None, "unit": reading.field.unit}
    return {
        "value": reading.value,
        "unit": reading.field.unit,
        "originator": reading.originator.name.lower(),
        "method": reading.method.name.lower(),
        "last_update_ms": reading.last_update_ms,
        "uncertainty": reading.uncertainty,
        "coverage": reading.coverage,
    }


def _samples(rows: list[Row]) -> list[dict[str, Any]]:
    channels = columns_of(rows)
    return [
        {
            "mono_ms": mono_ms,
            "values": {channel_name(c, channels): v for c, v in values.items()},
            "flaws": {channel_name(c, channels): f.name.lower() for c, f in flaws.items()},
        }
        for mono_ms, values, flaws in rows
    ]


def _attributes(attributes: Attributes) -> dict[str, int | str]:
    return {name: fact.hex() if isinstance(fact, bytes) else fact for name, fact in attributes.items()}
