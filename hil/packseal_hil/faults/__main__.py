"""`python -m packseal_hil.faults`: every fault on the real programs, or SIGKILL so often; 0 when nothing is lost."""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from packseal.core.errors import PacksealError
from packseal_hil.faults import kills, matrix, page, shim, starts
from packseal_hil.faults.station import Station
from packseal_hil.rig.protocols import RigError

BUDGET_MB = 5.0
FAST = 3000.0
"""Seconds of the recording per second, so that memory fills soon."""


def main() -> int:
    """Return 0 when all is as it should be, 1 when something is not or the bench fails, with one line why."""
    args = _arguments()
    try:
        args.directory.mkdir(parents=True)
        library = shim.build(args.directory)
        done = {"matrix": _matrix, "starts": _starts, "kills": _kills}[args.command](args, library)
    except (PacksealError, RigError, OSError) as error:
        sys.stderr.write(f"faults: {error}\n")
        return 1
    return int(not done)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m packseal_hil.faults", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    told = {
        "matrix": "each call on each file fails while agent and sink run",
        "starts": "each call of a start, and of the commands that write what must last, fails",
        "kills": "SIGKILL at random moments, of the agent and of the sink",
    }
    for name, text in told.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("directory", type=Path, metavar="DIR", help="a new directory for all that is made")
        command.add_argument("--markdown", type=Path, metavar="FILE", help="also write the table to FILE")
        if name == "kills":
            command.add_argument(
                "--agent", type=int, default=210, metavar="N", help="kills of the agent (default: 210)"
            )
            command.add_argument("--sink", type=int, default=210, metavar="N", help="kills of the sink (default: 210)")
            command.add_argument("--seed", type=int, default=None, metavar="N", help="repeats the moments of a run")
    return parser.parse_args()


def _matrix(args: argparse.Namespace, library: Path) -> bool:
    rows = []
    for row in _rows(args.directory, library):
        _tell(f"{'FAIL' if row.wrong else 'ok  '} {page.line(row)}")
        rows.append(row)
    if args.markdown:
        args.markdown.write_text(page.matrix(rows), "utf-8")
    wrong = sum(bool(row.wrong) for row in rows)
    _tell(f"{len(rows)} rows, {sum(row.met for row in rows)} calls failed; {wrong} rows not as they should be")
    return not wrong


def _rows(directory: Path, library: Path) -> Iterator[matrix.Row]:
    with Station(directory / "running", library) as station:
        station.start()
        for fault in matrix.faults(station):
            yield matrix.meet(station, fault)
        for of in (matrix.AGENT, matrix.SINK):
            yield matrix.vanish(station, of)
        yield matrix.ending(station)
    with Station(directory / "budget", library, mb_per_day=BUDGET_MB) as station:
        station.start()
        for fault in matrix.volume_faults():
            yield matrix.meet(station, fault)
        yield matrix.ending(station)
    with Station(directory / "fast", library, speed=FAST) as station:
        station.start()
        yield matrix.overflow(station)


def _starts(args: argparse.Namespace, library: Path) -> bool:
    tries = []
    for tried in _tries(args.directory, library):
        if tried.tries:
            verdict = "FAIL" if tried.wrong else "ok  "
            _tell(f"{verdict} {tried.name}: {tried.tries} tries, {tried.ended} ended with a sentence")
            for one in tried.wrong:
                _tell(f"       {one}")
            tries.append(tried)
    if args.markdown:
        args.markdown.write_text(page.starts(tries, args.directory), "utf-8")
    return not any(tried.wrong for tried in tries)


def _tries(directory: Path, library: Path) -> Iterator[starts.Tried]:
    for command in starts.COMMANDS:
        yield from starts.command_tries(command, directory, library)
    with Station(directory / "starting", library) as station:
        yield from starts.agent_starts(station)


def _kills(args: argparse.Namespace, library: Path) -> bool:
    seed = time.time_ns() % (1 << 32) if args.seed is None else args.seed
    _tell(f"seed {seed}")
    with Station(args.directory / "killed", library) as station:
        tally = kills.run(station, args.agent, args.sink, seed, _tell)
    _tell(tally.text())
    if args.markdown:
        args.markdown.write_text(tally.text() + "\n", "utf-8")
    return tally.is_well


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
