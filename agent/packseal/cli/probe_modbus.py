"""packseal probe --modbus: what the units of a Modbus connection are."""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packseal.cli.present import safe
from packseal.core.errors import InputError

if TYPE_CHECKING:
    from packseal_drivers.modbus.probing import Fit, Unit
    from packseal_drivers.settings import Modbus

MAX_UNITS = 247
NEAR_SHARE, NEAR = 0.5, 4
_UNITS = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names a Modbus connection."""
    parser.add_argument("--modbus", metavar="WHERE", help="ask a Modbus device: HOST, HOST:PORT or /dev/tty…")
    parser.add_argument("--units", default="1", metavar="N-M", help="which unit ids, as 1-16 or 1,3 (default: 1)")
    parser.add_argument("--rtu", action="store_true", help="HOST passes the frames of a serial line on")
    parser.add_argument("--baud", type=int, default=9600, metavar="BIT/S", help="of a serial line (default: 9600)")
    parser.add_argument("--parity", default="none", choices=("none", "even", "odd"), help="likewise (default: none)")
    parser.add_argument("--stop-bits", type=int, default=1, choices=(1, 2), help="likewise (default: 1)")
    parser.add_argument("--timeout", type=float, default=0.5, metavar="S", help="per request (default: 0.5)")


def execute(args: argparse.Namespace) -> int:
    """Print what each unit is; returns 0 when a profile fits one, else 1."""
    units = _units(args.units)
    settings = _settings(args, units[0])
    if sys.stderr.isatty():
        print(f"asking {len(units)} unit ids of {settings.where} …", file=sys.stderr)
    found, requests = asyncio.run(_probe(args, settings, units))
    if args.json:
        print(json.dumps({"where": settings.where, "units": [_as_json(unit) for unit in found]}, indent=2))
    else:
        print(f"{settings.where}: {len(found)} of {len(units)} unit ids answer, {requests} requests")
        for unit in found:
            print("\n".join(_lines(unit)))
    return 0 if any(fit.fits for unit in found for fit in unit.fits) else 1


async def _probe(args: argparse.Namespace, settings: "Modbus", units: Sequence[int]) -> "tuple[list[Unit], int]":
    from packseal_drivers import profile  # noqa: PLC0415 - lazy, as every command is
    from packseal_drivers.modbus.bus import ModbusBus  # noqa: PLC0415
    from packseal_drivers.modbus.probing import Prober  # noqa: PLC0415

    profiles = [profile.load(name).profile for name in (*profile.names(), *args.profile)]
    bus = ModbusBus(settings, Path())
    prober = Prober(bus, [p for p in profiles if p.values], args.timeout, patient=len(units) == 1)
    bus.join()
    try:
        found = [await prober.unit(number) for number in units]
    finally:
        bus.leave()
    return [unit for unit in found if unit is not None], prober.counts.requests


def _settings(args: argparse.Namespace, unit: int) -> "Modbus":
    from packseal_drivers.settings import Modbus  # noqa: PLC0415 - lazy, as every command is

    try:
        if args.modbus.startswith("/"):
            return Modbus(
                transport="rtu",
                device=args.modbus,
                unit=unit,
                baud=args.baud,
                parity=args.parity,
                stop_bits=args.stop_bits,
                timeout_s=args.timeout,
            )
        host, colon, port = args.modbus.rpartition(":")
        return Modbus(
            transport="rtu_over_tcp" if args.rtu else "tcp",
            host=host if colon else args.modbus,
            port=int(port) if colon else None,
            unit=unit,
            timeout_s=args.timeout,
        )
    except ValueError as error:
        raise InputError(f"--modbus {args.modbus}: {error}") from error


def _units(text: str) -> list[int]:
    units: list[int] = []
    for part in text.split(","):
        match = _UNITS.fullmatch(part)
        if match is None:
            raise InputError(f"--units {text}: it must be unit ids such as 1-16 or 1,3")
        units += range(int(match[1]), int(match[2] or match[1]) + 1)
    if not units or len(units) > MAX_UNITS or max(units) > MAX_UNITS + 8:
        raise InputError(f"--units {text}: from 1 to {MAX_UNITS} of them, none above 255")
    return units


def _lines(unit: "Unit") -> Iterator[str]:
    said = ", ".join(f"{key} {safe(text)}" for key, text in unit.said.items())
    yield ""
    yield f"unit {unit.number}: {said or 'it does not say what it is'}"
    if unit.chain.base is not None:
        numbers = ", ".join(str(model.number) for model in unit.chain.models)
        yield f"  SunSpec map at register {unit.chain.base}, models {numbers}"
        if unit.chain.trouble:
            yield f"  note: {unit.chain.trouble}"
    fitting = [fit for fit in unit.fits if fit.fits]
    for fit in fitting:
        yield f"  fits: {fit.profile.name} ({fit.profile.title}; checked: {fit.profile.checked})"
        yield f"    {', '.join(fit.reasons)}"
    if not fitting:
        yield "  no profile fits"
    for fit in [f for f in unit.fits if not f.fits and f.share >= NEAR_SHARE][:NEAR]:
        yield f"  near miss: {fit.profile.name}: {'; '.join(fit.against)}"


def _as_json(unit: "Unit") -> dict[str, Any]:
    models = [{"model": m.number, "address": m.address, "registers": m.words} for m in unit.chain.models]
    return {
        "unit": unit.number,
        "said": unit.said,
        "sunspec": {"base": unit.chain.base, "models": models, "trouble": unit.chain.trouble},
        "fits": [_fit(fit) for fit in unit.fits if fit.fits],
        "near": [_fit(fit) for fit in unit.fits if not fit.fits and fit.share >= NEAR_SHARE],
    }


def _fit(fit: "Fit") -> dict[str, Any]:
    return {
        "profile": fit.profile.name,
        "title": fit.profile.title,
        "checked": fit.profile.checked,
        "share": round(fit.share, 3),
        "reasons": list(fit.reasons),
        "against": list(fit.against),
    }
