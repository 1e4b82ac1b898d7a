"""`python -m bench`: measure, print one table, and exit with 1 when a gate fails."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import table
from bench.row import Effort, Row
from packseal.core.errors import PacksealError

MEASUREMENTS = {
    "decode": "bench.decode",
    "profiles": "bench.profiles",
    "receive": "bench.receive",
    "size": "bench.size",
    "sign": "bench.signing",
    "memory": "bench.memory",
    "start": "bench.start",
    "pipeline": "bench.pipeline",
    "splice": "bench.splice",
    "growth": "bench.growth",
    "disk": "bench.disk",
    "air": "bench.air",
    "catch-up": "bench.catch_up",
}
"""Name and module, whose `measure(effort)` returns rows. Imported one by one: a measurement may lack its peer."""
LONG = {"ten": "bench.ten"}
"""Likewise, but only taken when named with --only: eleven minutes, and one with --quick."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when no gate fails, 1 when one does."""
    args = _parser().parse_args(arguments)
    names = args.only or list(MEASUREMENTS)
    rows: list[Row] = []
    for place, name in enumerate(names):
        rows += _measure(name, Effort(args.quick, table.bar(name, place, len(names))))
    table.clear_bar()
    sys.stdout.write(table.show(rows) + "\n")
    if args.json:
        table.write_json(args.json, rows)
    return int(any(row.verdict == "FAIL" for row in rows))


def _measure(name: str, effort: Effort) -> list[Row]:
    effort.tell(0)
    try:
        rows: list[Row] = importlib.import_module((MEASUREMENTS | LONG)[name]).measure(effort)
    except ModuleNotFoundError as error:
        return [Row(name=name, unit="", skipped=f"the package {error.name} is missing: run `make bench`")]
    except PacksealError as error:
        return [Row(name=name, unit="", trouble=str(error))]
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What packseal costs, beside its peers.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*MEASUREMENTS, *LONG],
        metavar="NAME",
        help=f"one of {', '.join(MEASUREMENTS)}; or {', '.join(LONG)}, which takes long and is never taken unasked",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: shows that it runs, no figures to keep")
    return parser


if __name__ == "__main__":
    sys.exit(main())
