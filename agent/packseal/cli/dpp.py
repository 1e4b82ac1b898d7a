"""packseal dpp: what the operator's passport backends took of each battery, and what they refused and why."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from packseal import config
from packseal.cli.present import safe, utc
from packseal.config_dpp import Dpp
from packseal.core.errors import InputError
from packseal.publish.dpp.positions import BatteryPositions, Kept, Position, read
from packseal.runtime.opening_dpp import configuration_of, positions_path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: packseal.toml here or in /etc/packseal")
    parser.add_argument("--battery", metavar="ID", help="only this battery's")
    parser.add_argument("--json", action="store_true", help="the whole of it, for programs")


def execute(args: argparse.Namespace) -> int:
    """Print what was taken and refused; returns 0 when nothing is refused, else 1. The agent need not run."""
    found = config.load(args.config)
    backends = [each for each in found.file.publish if isinstance(each, Dpp)]
    if not backends:
        raise InputError(f'{found.path} has no [[publish]] with kind = "dpp"')
    is_refused = False
    for settings in backends:
        kept = read(positions_path(found, settings)) or Kept(target=settings.url)
        for battery in list(kept.batteries):
            if args.battery not in (None, battery):
                del kept.batteries[battery]
        is_refused |= any(positions.refused for positions in kept.batteries.values())
        if args.json:
            print(json.dumps(msgspec.to_builtins(kept), indent=2))
        else:
            print("\n".join(_lines(settings, kept)))
    return int(is_refused)


def _lines(settings: Dpp, kept: Kept) -> Iterator[str]:
    yield f"backend   {settings.url}, {settings.dialect}"
    if not kept.batteries:
        yield "          nothing was sent there yet"
    for battery, positions in kept.batteries.items():
        yield f"battery   {safe(battery)}"
        yield from _battery_lines(positions, configuration_of(settings))


def _battery_lines(positions: BatteryPositions, configuration: str) -> Iterator[str]:
    yield f"passport  {safe(positions.passport)}"
    for key, position in positions.taken.items():
        if key not in positions.refused:
            yield f"  taken   {_told(key, position)}"
    for key, position in positions.refused.items():
        yield f"  REFUSED {_told(key, position)}"
        yield f"          {safe(position.reason)}"
        again = "with its next change or the next day"
        if position.configuration != configuration:
            again = "at once: the configuration has changed since"
        yield f"          it is tried again {again}"


def _told(key: str, position: Position) -> str:
    values = ", ".join(f"{name} {value:g}" for name, value in position.values.items())
    path = key.removeprefix("$['").removesuffix("']").partition("']['")[2].replace("']['", ".")
    return f"{path}: {values}, of {utc(position.last_update_ms)}, at {utc(position.at_ms)}"
