"""packseal probe --ble: which batteries are on the air, how well they are heard, and which profile fits."""

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING

from packseal.cli.present import safe, table
from packseal.core.errors import InputError

if TYPE_CHECKING:
    from packseal_drivers.ble.probing import Guess, Heard

NAME_CHARACTERS = 40
LIBRARY = "aiobmsble/any"
WEAK_DBM = -85
"""Below it connections break off often; a controller's limit is about -95 dBm."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a search over Bluetooth is told."""
    parser.add_argument(
        "--ble", action="store_true", help="search for batteries over Bluetooth LE; nothing is sent to them"
    )
    parser.add_argument("--adapter", metavar="A", help="with --ble: the adapter, such as hci0 (default: the first)")


def execute(args: argparse.Namespace) -> int:
    """Print what was heard, batteries first; returns 0 when a profile fits one by more than its service, else 1."""
    from packseal_drivers import profile  # noqa: PLC0415 - lazy, as every command is
    from packseal_drivers.ble import probing  # noqa: PLC0415

    if not args.seconds > 0:
        raise InputError("--seconds must be above 0")
    if args.recording is not None or args.channel or args.config:
        raise InputError("either a search over Bluetooth, or a bus or recording: one of the two")
    known = [profile.load(name).profile for name in (*profile.names(), *args.profile)]
    if sys.stderr.isatty():
        print(f"listening for {args.seconds:g} s …", file=sys.stderr)
    heard = asyncio.run(probing.scan(args.adapter, args.seconds))
    found = [(device, probing.guess(device, known)) for device in heard]
    if args.json:
        print(json.dumps([_json(device, guesses) for device, guesses in found], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(found, everything=args.all)))
    return 0 if any(guess.by != "service" for _, guesses in found for guess in guesses) else 1


def _json(device: "Heard", guesses: "list[Guess]") -> dict[str, object]:
    return {
        "address": device.address,
        "name": device.name,
        "rssi_dbm": device.rssi_dbm,
        "services": list(device.services),
        "profiles": [{"profile": guess.profile, "by": guess.by} for guess in guesses],
        "aiobmsble_type": device.library_type,
    }


def _fits(device: "Heard", guess: "Guess") -> str:
    if guess.by == "service":
        return f"perhaps {guess.profile}"
    return f'{guess.profile} with type = "{device.library_type}"' if guess.profile == LIBRARY else guess.profile


def _lines(found: "list[tuple[Heard, list[Guess]]]", *, everything: bool) -> list[str]:
    shown = [(device, guesses) for device, guesses in found if guesses or everything]
    rows = [
        (
            device.address,
            safe(device.name or "", NAME_CHARACTERS),
            f"{device.rssi_dbm} dBm" + (" weak" if device.rssi_dbm < WEAK_DBM else ""),
            ", ".join(_fits(device, guess) for guess in guesses),
        )
        for device, guesses in shown
    ]
    others = len(found) - len(shown)
    lines = table(("address", "name", "heard", "profile"), rows) if rows else ["no battery was recognised"]
    more = [f"{others} other devices were heard; --all lists them"] if others else []
    connected = ["a BMS that is connected to something else, such as a phone's app, is not heard"] if not rows else []
    return [*lines, *more, *connected]
