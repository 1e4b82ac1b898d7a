"""packseal decode: what a recording, or one answer of a battery, says in quantities."""

import argparse
import json
import math
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from packseal.cli.decode_text import (
    FORMAT,
    answer_lines,
    json_sample,
    json_totals,
    names_of,
    sample_lines,
    totals_lines,
)
from packseal.core.errors import ConfigError, InputError
from packseal.core.sample import Sample

if TYPE_CHECKING:
    from packseal_drivers.offline import Totals
    from packseal_drivers.profile import Profile, ProfileFile
    from packseal_drivers.recordings.row import Troubles

LONGEST_S = 1.0
"""Of a sample, unless another is asked for: scan tools ask more often than the agent does."""

REFUSAL = 0x7F  # ISO 14229-1 §8.7: this byte, the service that was asked, why not
REFUSAL_BYTES = 3
REASONS = {  # ISO 14229-1 annex A
    0x10: "it does not say why",
    0x11: "it does not know this service",
    0x12: "it does not know this kind of the service",
    0x13: "the request has a wrong length",
    0x14: "the answer would be too long",
    0x21: "it is busy",
    0x22: "the conditions are not met",
    0x31: "it does not know this identifier",
    0x33: "security access is needed",
    0x78: "the answer comes later",
    0x7E: "not in this session, for this kind of the service",
    0x7F: "not in this session",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="a recording: .log .asc .blf .mf4 .csv .registers, or .gz"
    )
    parser.add_argument("--profile", required=True, metavar="P", help="VENDOR/MODEL, or a path that ends in .toml")
    text = "one answer in hexadecimal, as payload, as ISO-TP frames or as an ELM327 printed it; - reads it from stdin"
    parser.add_argument("--response", metavar="HEX", help=text)
    parser.add_argument("--json", action="store_true", help="for programs; see docs/decode.md")
    parser.add_argument(
        "--every", type=_seconds, metavar="S", help="a sample every S seconds (0: at every time; default: at most 1)"
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="stop after N samples")
    parser.add_argument("--bus", metavar="B", help="only this bus of the recording, as the file names it")


def execute(args: argparse.Namespace) -> int:
    """Print what is decoded, and of a recording what was met in it; returns 0, and 1 for an answer without a value."""
    from packseal_drivers import profile  # noqa: PLC0415 - lazy, as every command is

    if (args.file is None) is (args.response is None):
        raise InputError("name a recording, or give one answer with --response: one of the two")
    file = profile.load(args.profile)
    return _response(args, file) if args.file is None else _recording(args, file)


def _recording(args: argparse.Namespace, file: "ProfileFile") -> int:
    if file.profile.values:
        return _registers(args, file.profile)
    if file.profile.ble is not None:
        return _said(args, file)
    from packseal_drivers.decoding import compile_decoders  # noqa: PLC0415
    from packseal_drivers.offline import Offline  # noqa: PLC0415
    from packseal_drivers.recordings import read  # noqa: PLC0415

    recording = read(args.file, args.bus)
    period_s = min(file.profile.sampling.period_s, LONGEST_S) if args.every is None else args.every
    offline = Offline(file.profile, compile_decoders(file), period_s)
    samples = islice(offline.samples(recording), args.limit)
    if args.json:
        _print_json(file.profile, samples, offline.totals, recording.troubles)
    else:
        count = 0
        for sample in samples:
            count += 1
            print("\n".join(sample_lines(sample)))
        print("\n".join(totals_lines(count, offline.totals)))
    if recording.troubles.count:
        print(f"packseal decode: {recording.troubles.summary}", file=sys.stderr)
    return 0


def _registers(args: argparse.Namespace, profile: "Profile") -> int:
    """Decode a register dump of a Modbus device."""
    from packseal_drivers.modbus.replay import samples_of  # noqa: PLC0415
    from packseal_drivers.offline import Totals  # noqa: PLC0415

    totals = Totals()
    samples = islice(samples_of(args.file, profile, args.every or 0.0, totals, args.bus), args.limit)
    if args.json:
        _print_json(profile, samples, totals, None)
        return 0
    count = 0
    for sample in samples:
        count += 1
        print("\n".join(sample_lines(sample)))
    print(f"{count} samples of {totals.frames} polls; {totals.link.flawed} flawed values")
    return 0


def _said(args: argparse.Namespace, file: "ProfileFile") -> int:
    """Decode what was said over Bluetooth."""
    from packseal_drivers.ble import offline  # noqa: PLC0415
    from packseal_drivers.decoding import compile_decoders  # noqa: PLC0415
    from packseal_drivers.offline import Totals  # noqa: PLC0415
    from packseal_drivers.recordings.row import Troubles  # noqa: PLC0415

    offline.check(args.file)
    if args.bus is not None:
        raise InputError("a .ble file is of one battery: leave out --bus")
    totals, troubles = Totals(), Troubles(args.file)
    period_s = min(file.profile.sampling.period_s, LONGEST_S) if args.every is None else args.every
    found = offline.samples_of(args.file, file.profile, compile_decoders(file), period_s, totals, troubles)
    samples = islice(found, args.limit)
    if args.json:
        _print_json(file.profile, samples, totals, troubles)
    else:
        count = 0
        for sample in samples:
            count += 1
            print("\n".join(sample_lines(sample)))
        link = totals.link
        print(
            f"{count} samples of {totals.frames} lines, {link.answers} whole messages in them: {link.cut} cut, "
            f"{link.doubted} doubted; {link.flawed} flawed values"
        )
    if troubles.count:
        print(f"packseal decode: {troubles.summary}", file=sys.stderr)
    return 0


def _response(args: argparse.Namespace, file: "ProfileFile") -> int:
    from packseal_drivers.answers import STANDARD_MAX, answered  # noqa: PLC0415
    from packseal_drivers.decoding import compile_decoders  # noqa: PLC0415
    from packseal_drivers.framing.written import payloads  # noqa: PLC0415
    from packseal_drivers.offline import Totals, sample_of  # noqa: PLC0415

    requests = file.profile.request
    if not requests:
        raise ConfigError(f"profile {file.profile.name} asks nothing, so it knows no answers: use one with requests")
    text = sys.stdin.read() if args.response == "-" else args.response
    found = payloads(text, {i for r in requests for i in (r.answer, r.to) if i > STANDARD_MAX})
    for payload in found:
        _check(payload, file)
    totals = Totals()
    sample = sample_of(file.profile, compile_decoders(file), found, totals)
    samples = iter(() if sample is None else (sample,))
    if args.json:
        _print_json(file.profile, samples, totals, None)
        return int(sample is None)
    for payload in found:
        print("\n".join(answer_lines(payload, [r for _, r in answered(file.profile, payload)])))
    for said in samples:
        print("\n".join(sample_lines(said, timed=False)))
    if totals.link.short:
        print("shorter than the profile knows it: shown is what it holds")
    return int(sample is None)


def _check(payload: bytes, file: "ProfileFile") -> None:
    """Raise InputError where the payload is no answer that can be decoded."""
    from packseal_drivers.answers import answered  # noqa: PLC0415

    if payload[0] == REFUSAL:
        code = payload[2] if len(payload) >= REFUSAL_BYTES else 0x10
        asked = f" of service {payload[1]:02X}" if len(payload) > 1 else ""
        why = REASONS.get(code, "for a reason of its own")
        raise InputError(f"the control unit refuses the request{asked} with code {code:02X}: {why}")
    if not answered(file.profile, payload):
        known = ", ".join(dict.fromkeys(r.expected.hex(" ").upper() for r in file.profile.request[:8]))
        more = ", …" if len(file.profile.request) > 8 else ""  # noqa: PLR2004 - as many as were named
        start = payload[:3].hex(" ").upper()
        raise InputError(f"{start} … answers no request of {file.profile.name}; its answers begin with {known}{more}")


def _print_json(profile: "Profile", samples: Iterator[Sample], totals: "Totals", troubles: "Troubles | None") -> None:
    """Print one JSON document, sample by sample, so that a long recording needs no memory."""
    count, names = 0, names_of(profile.channels)
    print(f'{{"format": {json.dumps(FORMAT)}, "profile": {json.dumps(profile.name)}, "samples": [', end="")
    for sample in samples:
        print(",\n" if count else "\n", json.dumps(json_sample(sample, names), ensure_ascii=False), sep="", end="")
        count += 1
    notes = [troubles.summary] if troubles is not None and troubles.count else []
    totalled = json_totals(count, totals) | {"notes": notes}
    print(f'\n], "totals": {json.dumps(totalled, ensure_ascii=False)}}}')


def _seconds(text: str) -> float:
    value = float(text) if re.fullmatch(r"\d+(\.\d*)?", text) else math.nan
    if not 0 <= value <= 600:  # noqa: PLR2004 - the longest window of the sealer
        raise argparse.ArgumentTypeError("seconds from 0 to 600 are allowed")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("a count from 1 on is allowed")
    return int(text)
