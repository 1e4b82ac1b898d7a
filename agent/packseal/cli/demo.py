"""packseal demo: a simulated or recorded battery, an agent, a broker, a sink and its page, all on this machine."""

import argparse
import importlib.util
import math
from pathlib import Path

from packseal.core.errors import InputError
from packseal.demo.options import DemoOptions

NEEDED = {"can": "python-can", "cantools": "cantools", "rich": "rich", "starlette": "starlette", "uvicorn": "uvicorn"}
MAX_WINDOW_S = 600.0
MAX_PORT = 65535


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add = parser.add_argument
    add("--replay", type=Path, metavar="FILE", help="play a table of [trip,] t_s, v_v, i_a, temp_c, soc_pct (csv, gz)")
    add("--speed", type=_speed, default="max", metavar="N|max", help="recorded seconds per second (default: max)")
    add("--seconds", type=_above_zero, metavar="N", help="end after N seconds; what is not played by then is left out")
    add("--headless", action="store_true", help="plain lines in place of the live view")
    add("--report", type=Path, metavar="FILE", help="write what came of it as JSON (docs/demo.md)")
    add(
        "--declared", type=Path, metavar="FILE", help="TOML with the battery's declared data, such as rated_capacity_ah"
    )
    add("--profile", metavar="P", help="the frames' profile (default: packseal/reference96, in a replay bmw/i3_replay)")
    add("--dir", type=Path, dest="directory", metavar="DIR", help="keep all files in DIR (default: a temporary one)")
    add("--port", type=_port, metavar="N", help="the page's port (default: 8080, or a free one)")
    add("--window", type=_window, metavar="S", help="seconds per sealed window (default: 5, in a replay 60)")
    add("--uplink", choices=("mqtt", "http"), help="how records travel (default: mqtt where mosquitto is installed)")


def execute(args: argparse.Namespace) -> int:
    """Run the demo; returns 0 only when every record sealed was received, verified and receipted."""
    missing = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise InputError(f"the demo needs {', '.join(missing)}: pip install 'packseal[demo]'")
    from packseal.demo import show  # noqa: PLC0415 - `packseal demo --help` needs none of it

    return show.run(
        DemoOptions(
            replay=args.replay,
            speed=args.speed,
            seconds=args.seconds,
            headless=args.headless,
            report=args.report,
            declared=args.declared,
            profile=_profile(args.profile),
            directory=args.directory,
            port=args.port,
            window_s=args.window,
            uplink=args.uplink,
        )
    )


def _profile(name: str | None) -> str | None:
    # The configuration that names it lies elsewhere.
    return str(Path(name).absolute()) if name is not None and name.endswith(".toml") else name


def _speed(text: str) -> float | None:
    return None if text == "max" else _number(text, "max, or a number above zero", 0.0, math.inf)


def _above_zero(text: str) -> float:
    return _number(text, "a number above zero", 0.0, math.inf)


def _window(text: str) -> float:
    return _number(text, f"from 1 to {MAX_WINDOW_S:.0f}", math.nextafter(1, 0), MAX_WINDOW_S)


def _port(text: str) -> int:
    return round(_number(text, f"a whole number from 1 to {MAX_PORT}", 0, MAX_PORT, whole=True))


def _number(text: str, allowed: str, above: float, most: float, *, whole: bool = False) -> float:
    try:
        value = float(int(text) if whole else text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and above < value <= most):
        raise argparse.ArgumentTypeError(f"must be {allowed}, not {text!r}")
    return value
