"""`python -m packseal_hil.battery`: run one simulated battery, say how fast, and show what was true."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from packseal.core.errors import PacksealError
from packseal.core.toml_error import decode_toml
from packseal_hil.battery import loads, runs
from packseal_hil.battery.battery import SimulatedBattery, open_battery
from packseal_hil.battery.spec import BatterySpec
from packseal_hil.rig.protocols import RigError

S_PER_H = 3600.0


class SpecFile(msgspec.Struct, frozen=True):
    """A scenario, of which only the [battery] table matters here."""

    battery: BatterySpec = BatterySpec()


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, 1 with one line why the run is not possible, or 130 when it was interrupted."""
    args = _parser().parse_args(arguments)
    try:
        battery = open_battery(_spec(args), args.seed)
        took_s = _run(battery, args)
        written = f"written: {args.csv} and {runs.truth_path(args.csv)}\n" if args.csv else ""
        sys.stdout.write(_summary(battery, took_s) + written)
        sys.stdout.flush()
    except (RigError, PacksealError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output, such as `head`, is gone; the interpreter must not try to flush to it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m packseal_hil.battery", description="Run one simulated battery: say how fast, and what was true."
    )
    parser.add_argument("--spec", type=Path, help="a scenario's TOML file, for its [battery] table")
    parser.add_argument("--chemistry", choices=("nmc", "lfp"))
    parser.add_argument("--load", help=f"one of {', '.join(loads.names())}".replace("%", "%%"))
    parser.add_argument("--age", type=_share, help="0 = new, 1 = the end of the ageing trajectory")
    parser.add_argument("--hours", type=_positive, default=24.0, help="of the battery's time (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--csv", type=Path, help="write what the BMS says here, and the truth beside it")
    parser.add_argument("--every", type=_positive, default=1.0, help="seconds between rows (default: %(default)g)")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above zero")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value


def _spec(args: argparse.Namespace) -> BatterySpec:
    spec = BatterySpec()
    if args.spec:
        try:
            spec = decode_toml(args.spec.read_bytes(), SpecFile, str(args.spec)).battery
        except OSError as error:
            raise RigError(f"cannot read {args.spec}: {error.strerror}") from error
    told = {name: getattr(args, name) for name in ("chemistry", "load", "age") if getattr(args, name) is not None}
    return msgspec.structs.replace(spec, **told)


def _run(battery: SimulatedBattery, args: argparse.Namespace) -> float:
    seconds, began = args.hours * S_PER_H, time.perf_counter()
    if args.csv:
        runs.write_csv(args.csv, battery, seconds, args.every)
        runs.write_truth(runs.truth_path(args.csv), battery)
    else:
        battery.advance(seconds)
    return time.perf_counter() - began


def _summary(battery: SimulatedBattery, took_s: float) -> str:
    spec, truth = battery.spec, battery.truth()
    lines = [
        f"{spec.cells} cells {spec.chemistry}, {spec.capacity_ah:g} Ah, load {spec.load}, age {spec.age:g}",
        f"{battery.time_s / S_PER_H:g} h in {took_s:.2f} s: {battery.time_s / took_s:,.0f} times as fast as real time",
        "",
        *(f"{field.value.title:42}{value:12.3f} {field.unit}" for field, value in truth.items()),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
