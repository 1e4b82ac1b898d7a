"""packseal journal list and show."""

import argparse
import json
import sys

from packseal.cli import ended_text
from packseal.cli.journal_source import CHUNK, Source, chosen, chosen_one, each
from packseal.cli.present import counted, safe, table, utc, word
from packseal.cli.record_json import as_json, write_csv
from packseal.cli.record_text import lines, summary
from packseal.core.bodies import Kind, Telemetry
from packseal.core.chain import SealedRecord
from packseal.core.errors import FormatError, InputError
from packseal.core.record import parse
from packseal.core.summary import Summary
from packseal.journal.contradictions import Contradiction
from packseal.journal.store import Journal, Log, LogStats

KIB = 1024


def run_list(args: argparse.Namespace, source: Source) -> int:
    """Print each log with its newest records."""
    kind = None if args.kind is None else Kind[args.kind.upper()]
    stats = {s.log: s for s in source.journal.stats()}
    ended = {one.log_id: one for one in source.journal.contradictions()}
    found = [(log, newest(source.journal, log, args.last, kind, args.since)) for log in chosen(source, args.log)]
    if args.json:
        print(json.dumps([_log_json(stats[log], entries, ended.get(log.log_id)) for log, entries in found], indent=2))
        return 0
    for log, entries in found:
        over = _ended_lines(ended.get(log.log_id))
        print("\n".join([*_log_lines(stats[log]), *over, *_table(entries, stats[log].delivered)]), end="\n\n")
    if not found:
        print("the journal holds no log yet")
    return 0


def run_show(args: argparse.Namespace, source: Source) -> int:
    """Print one record in full."""
    log = chosen_one(source, args.log)
    sealed = source.journal.record(log.log_id, args.sequence)
    if sealed is None:
        end = source.journal.head(log.log_id).next_sequence
        raise InputError(f"log {log.log_id.hex()[:8]} has no record {args.sequence}; it ends before {end}")
    entry = parse(sealed.raw)
    if args.csv:
        if not isinstance(entry.body, Telemetry | Summary):
            raise InputError(f"record {args.sequence} is a {word(entry.kind)}; --csv is for telemetry and summaries")
        write_csv(entry.body, sys.stdout)
    elif args.json:
        print(json.dumps(as_json(entry), indent=2))
    else:
        print("\n".join(lines(entry, args.rows)))
    return 0


def newest(
    journal: Journal, log: Log, count: int, kind: Kind | None = None, since_ms: int | None = None
) -> list[SealedRecord]:
    """Return the last `count` records of this kind and from this time on, oldest first, reading back from the end."""
    end = journal.head(log.log_id).next_sequence
    found: list[SealedRecord] = []
    while end > 0 and len(found) < count:
        start = max(0, end - CHUNK)
        chunk = list(each(journal, log, start, end))
        late = [e for e in chunk if since_ms is None or e.wall_ms >= since_ms]
        found = [e for e in late if kind in (None, e.kind)] + found
        if not late:
            break
        end = start
    return found[max(0, len(found) - count) :]


def _log_lines(stats: LogStats) -> list[str]:
    log = stats.log
    size = f"{stats.bytes / KIB:.1f} KiB"
    held = f"{stats.records} records, {size}, {stats.delivered} receipted by the sink"
    return [f"{word(log.kind)} {safe(log.subject)}", f"log {log.log_id.hex()}: {held}", *_gone_lines(stats)]


def _gone_lines(stats: LogStats) -> list[str]:
    """Say what is no longer there, and by whose word."""
    begins = f"  begins with record {stats.first}; what was before it is at the sink or was removed"
    return [
        *([begins] if stats.first else []),
        *(
            f"  {word(one.cause)}: {counted(one.records, 'record')} from {utc(one.from_wall_ms)} to "
            f"{utc(one.to_wall_ms)}, named by {counted(one.gaps, 'gap record')}"
            for one in stats.removed
        ),
    ]


def _ended_lines(ended: Contradiction | None) -> list[str]:
    return [] if ended is None else [f"  {ended_text.happened(ended)}", f"  {ended_text.ADVICE}"]


def _table(entries: list[SealedRecord], delivered: int) -> list[str]:
    rows = [
        (
            str(e.sequence),
            utc(e.wall_ms),
            word(e.kind),
            str(len(e.raw)),
            "yes" if e.sequence < delivered else "no",
            _says(e),
        )
        for e in entries
    ]
    return table(("seq", "time", "kind", "bytes", "receipt", "says"), rows, right=(0, 3))


def _says(entry: SealedRecord) -> str:
    try:
        return summary(parse(entry.raw))
    except FormatError as error:
        return f"DAMAGED: {error}"


def _log_json(stats: LogStats, entries: list[SealedRecord], ended: Contradiction | None) -> dict[str, object]:
    over = {} if ended is None else {"ended": ended_text.happened(ended)}
    return {
        "log": stats.log.log_id.hex(),
        "subject": stats.log.subject,
        "kind": stats.log.kind.name.lower(),
        "records": stats.records,
        "delivered": stats.delivered,
        "bytes": stats.bytes,
        "first": stats.first,
        "removed": [
            {
                "cause": word(one.cause),
                "records": one.records,
                "gaps": one.gaps,
                "from": utc(one.from_wall_ms),
                "to": utc(one.to_wall_ms),
            }
            for one in stats.removed
        ],
        **over,
        "listed": [
            {
                "sequence": e.sequence,
                "wall_ms": e.wall_ms,
                "time": utc(e.wall_ms),
                "kind": e.kind.name.lower(),
                "bytes": len(e.raw),
                "hash": e.hash.hex(),
                "says": _says(e),
            }
            for e in entries
        ],
    }
