"""packseal probe: which profile fits a live bus or a recording, and what no profile knows."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.cli import probe_ble, probe_modbus, probe_text, wire
from packseal.core.errors import InputError, LinkError

if TYPE_CHECKING:
    from packseal_drivers.probing.fit import Fit
    from packseal_drivers.probing.traffic import Traffic
    from packseal_drivers.profile import ProfileFile

SECONDS = 10.0
"""Twice as long as most profiles need, so that a message once in five seconds is not missed."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a probe has found. `unknown` are ids that no profile knows, or all ids where `everything` is set."""

    where: str
    traffic: "Traffic"
    fits: "Sequence[Fit]"
    unknown: Sequence[int]
    everything: bool
    known: "dict[int, list[str]]"
    troubles: Sequence[str]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "recording", nargs="?", type=Path, metavar="RECORDING", help="a file: .log .asc .blf .mf4 .csv, or .gz"
    )
    parser.add_argument("--bus", metavar="B", help="only this bus of the recording, as the file names it")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, metavar="N", help="how long to listen (default: %(default)g)"
    )
    parser.add_argument(
        "--profile", action="append", default=[], metavar="FILE", help="try this .toml as well; may be repeated"
    )
    parser.add_argument("--all", action="store_true", help="list every id, also those that a profile knows")
    parser.add_argument("--json", action="store_true", help="for programs")
    wire.add_arguments(parser)
    probe_modbus.add_arguments(parser)
    probe_ble.add_arguments(parser)


def execute(args: argparse.Namespace) -> int:
    """Print the best fit, near misses and unknown ids; returns 0 when a profile fits, else 1."""
    if args.modbus is not None:
        return probe_modbus.execute(args)
    if args.ble:
        return probe_ble.execute(args)
    from packseal_drivers import profile  # noqa: PLC0415 - lazy, as every command is
    from packseal_drivers.probing import fit  # noqa: PLC0415

    files = [profile.load(name) for name in (*profile.names(), *args.profile)]
    traffic = fit.listen_for(files)
    where, troubles = _listen(args, traffic)
    fits = fit.judge(files, traffic)
    findings = _findings(args, where, traffic, files, fits, troubles)
    if args.json:
        print(json.dumps(probe_text.as_json(findings), indent=2, ensure_ascii=False))
    else:
        print("\n".join(probe_text.lines(findings)))
    return 0 if any(found.fits for found in fits) else 1


def _listen(args: argparse.Namespace, traffic: "Traffic") -> tuple[str, list[str]]:
    """Feed the traffic; return what it was, and what was wrong with it."""
    if args.recording is not None:
        if args.channel or args.config:
            raise InputError("either a recording or a live bus: one of the two")
        from packseal_drivers.recordings import read  # noqa: PLC0415

        recording = read(args.recording, args.bus)
        traffic.feed(recording)
        troubles = [recording.troubles.summary] if recording.troubles.count else []
        if args.bus is None and len(recording.buses) > 1:
            names = ", ".join(sorted(recording.buses))
            troubles.append(f"buses {names} are taken together; --bus takes one of them")
        return str(args.recording), troubles
    if args.channel is None and args.config is None:
        raise InputError("name a recording, or a live bus with --channel")
    return _hear(args, traffic), []


def _hear(args: argparse.Namespace, traffic: "Traffic") -> str:
    from packseal_drivers.listening import frame_of, listen  # noqa: PLC0415

    if not args.seconds > 0:
        raise InputError("--seconds must be above 0")
    begun_s: float | None = None
    with closing(listen(wire.link_of(args), args.seconds)) as ticks:
        if sys.stderr.isatty():
            print(f"listening for {args.seconds:g} s …", file=sys.stderr)
        for messages in ticks:
            for message in messages:
                begun_s = message.timestamp if begun_s is None else begun_s
                if not message.is_remote_frame:
                    traffic.feed((frame_of(message, begun_s),))
    if not traffic.frames and not traffic.error_frames:
        raise LinkError(f"nothing was heard in {args.seconds:g} s: is the bus awake, and its bit rate right?")
    return str(args.channel or args.config)


def _findings(
    args: argparse.Namespace,
    where: str,
    traffic: "Traffic",
    files: "Iterable[ProfileFile]",
    fits: "Sequence[Fit]",
    troubles: Sequence[str],
) -> Findings:
    from packseal_drivers.probing.fit import known_ids  # noqa: PLC0415

    known: dict[int, list[str]] = {}
    for file in files:
        for address in known_ids(file, traffic):
            known.setdefault(address, []).append(file.profile.name)
    everything = args.all or not any(found.fits for found in fits)
    ids = sorted(a for a in traffic.ids if everything or a not in known)
    return Findings(where, traffic, fits, ids, everything, known, troubles)
