"""Report: what a demo sealed, delivered and derived, for machines (docs/demo.md) and as lines for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from packseal import __version__
from packseal.demo import watch
from packseal.demo.audit import LogAudit
from packseal.demo.plan import Plan
from packseal.demo.watch import Glance

REPORT_VERSION = 1
ERRORS = ("short", "flawed", "unknown", "dropped", "error_frames")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went. `sink` and `snapshots` are its own documents; `complaints` is empty when all is well."""

    wall_s: float
    stopped_by: str
    glance: Glance
    logs: Sequence[LogAudit] = ()
    sink: Mapping[str, Any] = field(default_factory=dict)
    snapshots: Mapping[str, Any] = field(default_factory=dict)
    complaints: Sequence[str] = ()

    @property
    def is_well(self) -> bool:
        """Whether every record sealed was received, verified and receipted."""
        return not self.complaints


def ask_snapshots(port: int, logs: Sequence[LogAudit]) -> dict[str, Any]:
    """Return the sink's newest snapshot of every battery; None for one that it has none of."""
    names = [log.subject for log in logs if log.is_battery]
    return {name: watch.ask_sink(port, f"/batteries/{quote(name, safe='')}/snapshot") for name in names}


def document(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """Return the report as docs/demo.md describes it."""
    glance = outcome.glance
    link = glance.battery.get("link", {})
    gateway = glance.agent.get("gateway", {})
    return {
        "version": REPORT_VERSION,
        "program": f"packseal {__version__}",
        "ok": outcome.is_well,
        "complaints": list(outcome.complaints),
        "stopped_by": outcome.stopped_by,
        "records": _records(outcome.logs),
        "sink": dict(outcome.sink),
        "frames": {"played": glance.feeder.frames, "taken": link.get("frames", 0)},
        "samples": {"taken": link.get("samples", 0), "sealed": sum(log.samples for log in outcome.logs)},
        "decode_errors": {name: link.get(name, 0) for name in ERRORS},
        "gaps": _gaps(outcome.logs),
        "durations": _durations(plan, outcome),
        "table": _table(plan, glance),
        "agent": {name: gateway.get(name) for name in ("cpu_s", "peak_memory_mib")},
        "settings": _settings(plan),
        "declared": msgspec.to_builtins(plan.declared),
        "batteries": [_battery(name, snapshot) for name, snapshot in outcome.snapshots.items()],
    }


def failure(complaint: str) -> dict[str, Any]:
    """Return the report of a demo that could not be started."""
    counts = dict.fromkeys(("sealed", "received", "verified", "receipted"), 0)
    return {
        "version": REPORT_VERSION,
        "program": f"packseal {__version__}",
        "ok": False,
        "complaints": [complaint],
        "records": counts,
        "batteries": [],
    }


def _records(logs: Sequence[LogAudit]) -> dict[str, Any]:
    kinds: Counter[str] = sum((log.kinds for log in logs), Counter())
    return {
        **{name: sum(getattr(log, name) for log in logs) for name in ("sealed", "received", "verified", "receipted")},
        "foreign": sum(log.foreign for log in logs),
        "by_kind": dict(sorted(kinds.items())),
        "logs": [
            {
                "subject": log.subject,
                "log_id": log.log_id,
                **{k: getattr(log, k) for k in ("sealed", "received", "verified", "receipted", "foreign")},
            }
            for log in logs
        ],
    }


def _gaps(logs: Sequence[LogAudit]) -> dict[str, Any]:
    causes: dict[str, tuple[int, float]] = {}
    for log in logs:
        for cause, (count, seconds) in log.gaps.items():
            counted, summed = causes.get(cause, (0, 0.0))
            causes[cause] = counted + count, summed + seconds
    return {
        "count": sum(count for count, _ in causes.values()),
        "seconds": round(sum(seconds for _, seconds in causes.values()), 3),
        "by_cause": {cause: {"count": c, "seconds": round(s, 3)} for cause, (c, s) in sorted(causes.items())},
    }


def _durations(plan: Plan, outcome: Outcome) -> dict[str, float]:
    survey = plan.survey
    wall_s = round(outcome.wall_s, 3)
    if survey is None:
        return {"wall_s": wall_s, "recorded_s": wall_s}
    return {"wall_s": wall_s, "recorded_s": survey.recorded_s, "span_s": survey.span_s}


def _table(plan: Plan, glance: Glance) -> dict[str, Any] | None:
    if plan.survey is None or plan.options.replay is None:
        return None
    return {
        "file": plan.options.replay.name,
        "rows": plan.survey.rows,
        "rows_played": glance.feeder.rows,
        "trips": plan.survey.trips,
        "columns": sorted(plan.survey.columns),
    }


def _settings(plan: Plan) -> dict[str, Any]:
    return {
        "profile": plan.options.profile_name,
        "window_s": plan.options.window,
        "gap_limit_s": plan.gap_s,
        "speed": "max" if plan.survey is not None and plan.options.speed is None else plan.options.speed or 1,
        "uplink": "https" if plan.broker is None else "mqtt",
        "bus": plan.bus_title,
    }


def _battery(name: str, snapshot: Mapping[str, Any] | None) -> dict[str, Any]:
    if snapshot is None:
        return {"id": name, "fields": {}, "present": [], "cells_v": []}
    wanted = ("value", "unit", "originator", "method", "uncertainty", "coverage", "missing", "last_update")
    return {
        "id": name,
        "log_id": snapshot["log_id"],
        "sequence": snapshot["sequence"],
        "time": snapshot["time"],
        "clock_quality": snapshot["clock_quality"],
        "verification": snapshot["verification"]["state"],
        "fields": {reading["field"]: {key: reading[key] for key in wanted} for reading in snapshot["readings"]},
        "present": snapshot["present"],
        "cells_v": snapshot["cells_v"],
    }
