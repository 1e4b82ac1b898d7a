"""`python -m bench.peers`: every gateway through every trouble at every rate, then one table.

About 40 minutes; `--quick` takes one trouble of each kind at the lower rate.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from bench.peers import peer, report
from bench.peers.cell import Trouble, play
from bench.peers.contender import Contender
from bench.peers.ours import Packseal
from bench.peers.way import Fault
from bench.table import bar, clear_bar
from packseal.core.errors import InputError, PacksealError

RATES = (100, 400)
TROUBLES = (*(Trouble(fault, seconds) for fault, seconds in product(Fault, (20, 60))), Trouble(None))
QUICK = (Trouble(Fault.CLEAN, 20), Trouble(Fault.SILENT, 20), Trouble(None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 when packseal lost, doubled and disordered nothing that it does not name."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three troubles at 100 samples/s: about 12 minutes")
    parser.add_argument("--only", metavar="TEXT", default="", help="gateways whose name holds this")
    parser.add_argument("--write", action="store_true", help=f"put the table into {report.PAGE}")
    chosen = parser.parse_args(arguments)
    try:
        version = _version()
        lines = _all(chosen.quick, chosen.only)
    except PacksealError as error:
        print(f"bench.peers: {error}", file=sys.stderr)
        return 2
    print(report.table(lines))
    if chosen.write:
        report.write(lines, version)
    return 0 if all(_is_sound(line) for line in lines) else 1


def _contenders() -> list[Contender]:
    return [Packseal(), *(peer.ThingsBoard(store) for store in peer.STORES)]


def _all(quick: bool, only: str) -> list[report.Line]:  # noqa: FBT001 - one switch of the command line
    cells = [
        (trouble, rate, number)
        for trouble, rate in product(QUICK if quick else TROUBLES, RATES[:1] if quick else RATES)
        for number, contender in enumerate(_contenders())
        if only in contender.name
    ]
    lines = []
    for place, (trouble, rate, number) in enumerate(cells):
        contender = _contenders()[number]
        bar(f"{contender.name}: {trouble}, {rate}/s", place, len(cells))(0.0)
        lines.append(_line(contender, trouble, rate))
    clear_bar()
    return lines


def _line(contender: Contender, trouble: Trouble, rate: int) -> report.Line:
    with tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd(), ignore_cleanup_errors=True) as name:
        try:
            outcome = asyncio.run(play(contender, trouble, rate, Path(name)))
        except InputError as error:
            return report.Line(trouble, rate, contender.name, None, str(error).replace("|", "/"))
    return report.Line(trouble, rate, contender.name, outcome)


def _is_sound(line: report.Line) -> bool:
    if line.gateway != Packseal.name:
        return True
    got = line.outcome
    if got is None:
        return False
    is_named = got.lost <= 2 * line.rate_per_s and got.gaps_named > 0  # the open window and what was on its way to it
    return not got.doubled and not got.out_of_order and (not got.lost or is_named)


def _version() -> str:
    question = "from importlib.metadata import version; print(version('thingsboard-gateway'))"
    try:
        return subprocess.check_output([peer.PYTHON, "-c", question], text=True).strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"{peer.PYTHON} has no thingsboard-gateway: make bench-peers installs it") from error


if __name__ == "__main__":
    raise SystemExit(main())
