"""How a command is told of a live bus: by a configured battery, or by interface and channel."""

import argparse
from pathlib import Path

from packseal import config
from packseal.core.errors import InputError
from packseal_drivers.settings import LinkSettings, PythonCan, SocketCan

KERNEL = "socketcan"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a bus."""
    parser.add_argument("--channel", metavar="C", help="the bus: can0, or what the interface calls it")
    parser.add_argument(
        "--interface", metavar="I", default=KERNEL, help="python-can's name of the adapter (default: %(default)s)"
    )
    parser.add_argument("--bitrate", type=int, metavar="BIT/S", help="for adapters that are told it here")
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="passed to the adapter; may be repeated"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="take the bus of a battery in this configuration")
    parser.add_argument("--battery", metavar="URI", help="which battery of it (default: the first)")


def link_of(args: argparse.Namespace) -> LinkSettings:
    """Return the bus that the arguments name; raises InputError, ConfigError."""
    if (args.channel is None) is (args.config is None):
        raise InputError("which bus? Name it with --channel, or a configuration with --config: one of the two")
    if args.config is not None:
        return _configured(args.config, args.battery)
    if args.interface == KERNEL and args.bitrate is None and not args.option:
        return SocketCan(args.channel)
    return PythonCan(args.interface, args.channel, args.bitrate, dict(map(_option, args.option)))


def _configured(path: Path, battery_id: str | None) -> LinkSettings:
    for battery in config.load(path).file.battery:
        if battery.link is None:
            if battery_id == battery.id:
                raise InputError(f"{battery_id} has no bus of its own: name one of its parts")
        elif battery_id in (None, battery.id):
            return battery.link
    raise InputError(f"{path} has no battery {battery_id}")


def _option(text: str) -> tuple[str, str | int | float | bool]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise InputError(f"--option {text}: it must be KEY=VALUE")
    if value in ("true", "false"):
        return key, value == "true"
    for number in (int, float):
        try:
            return key, number(value)
        except ValueError:
            continue
    return key, value
