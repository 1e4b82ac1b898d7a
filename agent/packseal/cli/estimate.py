"""packseal estimate: every field with its uncertainty, and the capacity session by session, from a table of a log."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from packseal.cli import commission_from, estimate_plot, table_source
from packseal.cli.estimate_run import Report, Told, estimate
from packseal.cli.present import table, word
from packseal.cli.record_text import snapshot_lines
from packseal.core.declared import Declared
from packseal.core.errors import InputError
from packseal.core.passport import Reading

HEAD = ("t_s", "grade", "session Ah", "±", "from", "to", "°C", "moved Ah", "anchors", "estimate Ah", "±", "no update")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    columns = "t_s,v_v,i_a[,temp_c][,soc_pct][,soh_pct]"
    parser.add_argument("table", metavar="TABLE", type=Path, help=f"csv, csv.gz or parquet: {columns}; + is charging")
    parser.add_argument("--declared", type=Path, metavar="FILE", help="declared data (TOML or JSON)")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="one declared value")
    parser.add_argument("--sessions", action="store_true", help="one line per charge or discharge session")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="capacity over time, .svg or .png")
    parser.add_argument("--period", type=float, metavar="S", help="sample period, instead of the table's own")
    parser.add_argument("--keep-sign", action="store_true", help="do not turn a current of the wrong sign")


def execute(args: argparse.Namespace) -> int:
    """Print the report; returns 0, also where a field is not available."""
    if args.period is not None and not args.period > 0:
        raise InputError("--period must be above zero seconds")
    if args.plot is not None and args.plot.suffix not in (".svg", ".png"):
        raise InputError(f"--plot {args.plot}: the name must end in .svg or .png")
    said = commission_from.file(args.declared) if args.declared is not None else {}
    declared = commission_from.with_values(Declared(), said | commission_from.pairs(args.set))
    read = table_source.read(args.table)
    if declared.rated_capacity_ah is None:
        print("packseal estimate: rated_capacity_ah is not declared, so no capacity is estimated", file=sys.stderr)
    report = estimate(read, declared, args.period, keep_sign=args.keep_sign)
    if args.plot is not None:
        estimate_plot.write(report, args.plot)
    if args.json:
        json.dump(_document(report, sessions=args.sessions), sys.stdout, indent=2, ensure_ascii=False)
        print()
        return 0
    if args.sessions:
        print("\n".join([*table(HEAD, map(_cells, report.sessions), right=(0, 2, 3, 4, 5, 6, 7, 9, 10)), ""]))
    print("\n".join(_lines(report)))
    return 0


def _lines(report: Report) -> list[str]:
    told = Counter(word(notice.code) for notice in report.notices)
    graded = Counter(t.session.grade.name for t in report.sessions)
    return [
        *snapshot_lines(report.snapshot),
        "",
        f"sample period  {report.period_s:g} s",
        f"sessions       {', '.join(f'{n} {g}' for g, n in sorted(graded.items())) or 'none'}",
        f"events         {', '.join(f'{n} {name}' for name, n in sorted(told.items())) or 'none'}",
        f"state          {report.state_bytes} bytes",
        *(f"note           {note}" for note in report.notes),
    ]


def _cells(told: Told) -> tuple[str, ...]:
    s = told.session
    return (
        f"{told.t_s:.0f}",
        s.grade.name,
        _number(s.capacity_ah, 3),
        _number(s.sd_ah, 3),
        _percent(s.soc_from),
        _percent(s.soc_to),
        _number(s.temperature_c, 1),
        f"{s.charge_ah:.3f}",
        s.anchors,
        _number(told.capacity_ah, 3),
        _number(told.sd_ah, 3),
        s.reason,
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _document(report: Report, *, sessions: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "fields": {r.field.key: _reading(r) for r in report.snapshot.readings},
        "use": report.use,
        "period_s": report.period_s,
        "current_sign_reversed": report.flipped,
        "state_bytes": report.state_bytes,
        "notes": report.notes,
        "events": [
            {"t_s": _t_s(report, n.at.wall_ns / 1e9), "event": n.code.name.lower(), **n.attributes}
            for n in report.notices
        ],
    }
    if sessions:
        document["sessions"] = [_session(told) for told in report.sessions]
    return document


def _t_s(report: Report, wall_s: float) -> float:
    return round(wall_s - report.shift_s, 3)


def _reading(reading: Reading) -> dict[str, Any]:
    if reading.value is None:
        return {"missing": reading.missing.name.lower() if reading.missing else None, "unit": reading.field.unit}
    return {
        "value": reading.value,
        "uncertainty": reading.uncertainty,
        "unit": reading.field.unit,
        "originator": reading.originator.name.lower(),
        "method": reading.method.name.lower(),
        "last_update_ms": reading.last_update_ms,
        "coverage": reading.coverage,
    }


def _session(told: Told) -> dict[str, Any]:
    s = told.session
    return {
        "t_s": told.t_s,
        "grade": s.grade.name,
        "updated": not s.reason,
        "reason": s.reason or None,
        "session_capacity_ah": s.capacity_ah,
        "session_sd_ah": s.sd_ah,
        "soc_from": s.soc_from,
        "soc_to": s.soc_to,
        "temperature_c": s.temperature_c,
        "moved_ah": s.charge_ah,
        "anchors": s.anchors,
        "capacity_ah": told.capacity_ah,
        "sd_ah": told.sd_ah,
    }
