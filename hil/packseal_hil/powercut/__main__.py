"""`python -m packseal_hil.powercut`: power cuts of disks of this machine, and more cuts of a recording."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from rich.console import Console

from packseal.core.errors import PacksealError
from packseal_hil import story as stories
from packseal_hil.powercut import here, verdicts
from packseal_hil.powercut.campaign import Campaign, Outcome
from packseal_hil.powercut.cut import Tear
from packseal_hil.powercut.disks import SAFE, UNSAFE
from packseal_hil.powercut.points import TEARS
from packseal_hil.rig.protocols import RigError
from packseal_hil.story import Story

FAILED = 1


def main() -> int:
    """Return 0 when all verdicts hold, 1 when one does not or the bench fails, with one line why."""
    args = _arguments()
    try:
        story = _record(args) if args.command == "here" else _cut(args)
    except (PacksealError, RigError, OSError) as error:
        Console(stderr=True).print(f"power cuts: {error}", soft_wrap=True, markup=False)
        return FAILED
    stories.write(args.directory / "story.json", story)
    for verdict in story.verdicts:
        print("ok  " if verdict.held else "FAIL", f"{verdict.title}: {verdict.found}")  # noqa: T201 - a command prints
    return 0 if story.is_well else FAILED


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m packseal_hil.powercut", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    record = commands.add_parser("here", help="record the agent and the control on disks of this machine, and cut them")
    record.add_argument("--pace", type=float, default=1.0, metavar="S", help="seconds per phase (default: 1)")
    cut = commands.add_parser("cut", help="cut recordings that `here` has made, again")
    for command in (record, cut):
        command.add_argument("directory", type=Path, metavar="DIR", help="where the recordings are, or will be")
        command.add_argument("--cuts", type=int, default=200, metavar="N", help="how many at least (default: 200)")
        command.add_argument("--seed", type=int, default=None, metavar="N", help="repeats a run (default: a new one)")
        command.add_argument("--sectors", action="store_true", help="tear writes at 512 bytes only")
    return parser.parse_args()


def _record(args: argparse.Namespace) -> Story:
    args.directory.mkdir(parents=True, exist_ok=True)
    if any(args.directory.iterdir()):
        raise RigError(f"{args.directory} is not empty: name a new directory, or cut what is in it again with `cut`")
    asyncio.run(here.record(args.directory, pace_s=args.pace))
    return _cut(args)


def _cut(args: argparse.Namespace) -> Story:
    began_wall_s = time.time()
    seed = time.time_ns() % (1 << 32) if args.seed is None else args.seed
    tears = [Tear.SECTORS] if args.sectors else TEARS
    outcomes: dict[str, Outcome] = {}
    for name, count in ((SAFE, args.cuts), (UNSAFE, max(12, args.cuts // 10))):
        outcomes[name] = Campaign(args.directory / name).run(count, seed, tears)
        verdicts.write(args.directory / name / "cuts.json", outcomes[name])
    return verdicts.to_story("again", "ext4 on logged disks", began_wall_s, outcomes[SAFE], outcomes[UNSAFE])


if __name__ == "__main__":
    sys.exit(main())
