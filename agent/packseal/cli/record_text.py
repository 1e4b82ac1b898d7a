"""A record for people: one line for a list, or everything in it."""

from collections.abc import Mapping, Sequence

from packseal.cli.present import counted, duration, safe, table, utc, word
from packseal.core.bodies import Attributes, Event, Gap, Lifecycle, Telemetry
from packseal.core.columns import Row
from packseal.core.passport import Reading, Snapshot
from packseal.core.quantities import Channel
from packseal.core.record import Record
from packseal.core.sample import Flaw
from packseal.core.summary import Spread, Summary

CELLS_PER_LINE = 12


def channel_name(channel: Channel, channels: Sequence[Channel]) -> str:
    """Return the quantity's key, with the index where there are several of it."""
    several = channel.index or sum(c.quantity is channel.quantity for c in channels) > 1
    return f"{channel.quantity.key}[{channel.index}]" if several else channel.quantity.key


def summary(entry: Record) -> str:
    """Return what a record says, in a few words."""
    match entry.body:
        case Snapshot() as body:
            given = sum(r.value is not None for r in body.readings)
            cells = f", {len(body.cells_mv)} cells" if body.cells_mv else ""
            return f"{given} of {len(body.readings)} fields available{cells}"
        case Telemetry() as body:
            return f"{counted(body.count, 'sample')} in {duration(body.span_ms)}"
        case Summary() as body:
            stands = f"for records {body.first} to {body.last}"
            return f"{body.count} rows of {duration(body.period_ms)}, {stands}: {body.samples} samples"
        case Gap() as body:
            span_ms = body.to_wall_ms - body.from_wall_ms
            span = duration(span_ms) if span_ms >= 0 else "of unknown length, the clock was not set"
            return f"{word(body.cause)}, {span}{_facts(body.attributes)}"
        case Event() | Lifecycle() as body:
            return word(body.code) + _facts(body.attributes)


def lines(entry: Record, rows: int = 10) -> list[str]:
    """Return all that is in a record; of telemetry the first `rows` rows. Raises FormatError for broken columns."""
    header = entry.header
    facts = [
        ("record", f"{header.sequence} of log {header.log_id.hex()}: {word(entry.kind)}, {len(entry.raw)} bytes"),
        ("battery", safe(entry.subject)),
        ("gateway", safe(entry.issuer)),
        ("key", entry.kid.hex()),
        ("time", f"{utc(header.wall_ms)} (clock: {word(header.quality)})"),
        ("uptime", f"{duration(header.mono_ms)} in boot {header.boot_id.hex()}"),
        ("previous", header.previous.hex()),
        ("hash", entry.hash.hex()),
    ]
    head = [f"{name:9} {text}" for name, text in facts]
    match entry.body:
        case Snapshot() as body:
            return [*head, "", *snapshot_lines(body)]
        case Telemetry() as body:
            return [*head, "", summary(entry), "", *telemetry_lines(body, rows)]
        case Summary() as body:
            return [*head, "", summary(entry), "", *summary_lines(body, rows)]
        case Gap() as body:
            head.append(f"missing   {utc(body.from_wall_ms)} to {utc(body.to_wall_ms)}")
    return [*head, f"says      {summary(entry)}"]


def snapshot_lines(body: Snapshot) -> list[str]:
    """Return a snapshot's readings, present values and cells as tables."""
    head = ("field", "value", "unit", "±", "from", "method", "last update", "coverage")
    text = table(head, map(_reading_cells, body.readings), right=(1, 3, 7))
    if body.began_ms is not None:
        text += ["", f"the counters run since {utc(body.began_ms)}"]
    if body.present:
        channels = list(body.present)
        rows = [
            (channel_name(c, channels), f"{v:.{c.quantity.decimals}f}", c.quantity.unit)
            for c, v in body.present.items()
        ]
        text += ["", *table(("present", "value", "unit"), rows, right=(1,))]
    return [*text, "", *_cell_lines(body.cells_mv)] if body.cells_mv else text


def _cell_lines(cells_mv: Sequence[int | None]) -> list[str]:
    known = [mv for mv in cells_mv if mv is not None]
    low, high = min(known), max(known)
    silent = f", {len(cells_mv) - len(known)} not known" if len(known) < len(cells_mv) else ""
    text = [f"{len(cells_mv)} cells, {low} to {high} mV, {high - low} mV apart{silent}"]
    for start in range(0, len(cells_mv), CELLS_PER_LINE):
        shown = " ".join(f"{'-' if mv is None else mv:>5}" for mv in cells_mv[start : start + CELLS_PER_LINE])
        text.append(f"  from cell {start:3}: {shown}")
    return text


def telemetry_lines(body: Telemetry, limit: int) -> list[str]:
    """Return the first `limit` rows of a window as a table; raises FormatError."""
    rows = body.rows()
    channels = columns_of(rows)
    head = ["UTC", *(channel_name(c, channels) for c in channels)]
    shown = [
        [utc(body.first_wall_ms + mono_ms - body.first_mono_ms), *(_cell(c, values, flaws) for c in channels)]
        for mono_ms, values, flaws in rows[:limit]
    ]
    text = table(head, shown, right=range(1, len(head)))
    return [*text, f"… {len(rows) - limit} more rows: --rows N or --csv"] if len(rows) > limit else text


def summary_lines(body: Summary, limit: int) -> list[str]:
    """Return the first `limit` rows of a summary as a table, each value as least … mean … most; raises FormatError."""
    rows = body.rows()
    channels = sorted({c for row in rows for c in row.values}, key=lambda c: (c.quantity.code, c.index))
    head = ["UTC", "samples", *(channel_name(c, channels) for c in channels)]
    shown = [
        [utc(row.wall_ms), str(row.samples), *(_spread(c, row.values.get(c)) for c in channels)] for row in rows[:limit]
    ]
    text = table(head, shown, right=range(1, len(head)))
    return [*text, f"… {len(rows) - limit} more rows: --rows N or --csv"] if len(rows) > limit else text


def _spread(channel: Channel, spread: Spread | None) -> str:
    if spread is None:
        return ""
    return " … ".join(f"{v:.{channel.quantity.decimals}f}" for v in (spread.minimum, spread.mean, spread.maximum))


def columns_of(rows: Sequence[Row]) -> list[Channel]:
    """Return every channel that these rows speak of, in order of code and index."""
    said = {c for _, values, flaws in rows for c in (*values, *flaws)}
    return sorted(said, key=lambda c: (c.quantity.code, c.index))


def _cell(channel: Channel, values: Mapping[Channel, float], flaws: Mapping[Channel, Flaw]) -> str:
    if channel in values:
        return f"{values[channel]:.{channel.quantity.decimals}f}"
    return word(flaws[channel]) if channel in flaws else ""


def _reading_cells(reading: Reading) -> Sequence[str]:
    field = reading.field
    unit = "" if field.unit == "1" else field.unit
    if reading.value is None:
        why = word(reading.missing) if reading.missing else ""
        return (field.value.title, "-", unit, "", "", f"not available: {why}", "", "")
    return (
        field.value.title,
        field.word(reading.value) or f"{reading.value:.{field.decimals}f}",
        unit,
        "" if reading.uncertainty is None else f"{reading.uncertainty:.{field.decimals}f}",
        word(reading.originator),
        word(reading.method),
        utc(reading.last_update_ms),
        "" if reading.coverage is None else f"{100 * reading.coverage:.1f} %",
    )


def _facts(attributes: Attributes) -> str:
    shown = ", ".join(
        f"{safe(n, 40)} {v.hex() if isinstance(v, bytes) else safe(str(v))}" for n, v in attributes.items()
    )
    return f" ({shown})" if shown else ""
