"""packseal init: a configuration to start from, and the gateway's key."""

import argparse
import os
import re
import uuid
from pathlib import Path

import msgspec

from packseal import config
from packseal.core.cose import Algorithm
from packseal.core.errors import InputError, StorageError
from packseal.core.toml_error import decode_toml
from packseal.keys import file as key_file
from packseal_drivers import profile as profiles
from packseal_drivers.profile import Profile

CONFIG_NAME, KEY_NAME = "packseal.toml", "gateway.key"
SERIAL_LINE = "/dev/ttyUSB0"
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")

TEMPLATE = """\
# The agent's configuration. Paths are relative to this file. `packseal doctor` checks it.

[gateway]
id = "{gateway}"
key = "{key}"
journal = "journal.db"
socket = "status.sock"
window_s = 60       # seconds per sealed window: what a power cut can cost at most

# Where records go. Without this table they are only kept. Several, and their budgets: docs/uplinks.md
# [uplink]
# kind = "mqtt"                # or kind = "https" with url = "https://sink.example"
# sink_key = "sink.pub"        # the sink's public key: only its receipts count
# host = "broker.example"
# port = 8883
# username = "gateway"
# password_file = "mqtt.password"
# [uplink.tls]
# authorities = "authorities.pem"

[[battery]]
id = "{battery}"
profile = "{profile}"

[battery.link]
{link}

# What the manufacturer declares in the static passport. What is left out makes the fields that need it "not available".
# packseal commission asks for it and keeps it in registry.json; here or there, but not different things in both.
[battery.declared]
# category = "ev"              # ev, lmt, stationary or industrial
# rated_capacity_ah = 60
# rated_energy_kwh = 21.6
# cells_in_series = 96
# temperature_min_c = -20
# temperature_max_c = 45
# cell_voltage_min_v = 2.8
# cell_voltage_max_v = 4.2
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("directory", type=Path, nargs="?", default=Path(), help="where to write (default: here)")
    parser.add_argument("--gateway", metavar="URI", help="this gateway's id (default: a new urn:uuid)")
    parser.add_argument(
        "--battery", metavar="URI", help="the battery's id, as in its passport (default: a new urn:uuid)"
    )
    parser.add_argument(
        "--profile", default="packseal/reference96", help="the battery's profile (default: %(default)s)"
    )
    parser.add_argument(
        "--channel",
        help="the CAN interface (default: can0); of a Modbus battery its serial line or HOST[:PORT]; of one over "
        "Bluetooth its address, or the name that it advertises",
    )
    parser.add_argument("--p256", action="store_true", help="an ECDSA P-256 key in place of Ed25519")


def execute(args: argparse.Namespace) -> int:
    """Write both files; refuses to overwrite one. Returns 0."""
    link = _link(profiles.load(args.profile).profile, args.channel)
    path, key = args.directory / CONFIG_NAME, args.directory / KEY_NAME
    for existing in (path, key):
        if existing.exists():
            raise InputError(f"{existing} exists: move it away or name another directory")
    gateway = args.gateway or uuid.uuid4().urn
    text = TEMPLATE.format(
        gateway=gateway,
        battery=args.battery or uuid.uuid4().urn,
        key=KEY_NAME,
        profile=args.profile,
        link=link,
    )
    decode_toml(text.encode(), config.ConfigFile, "the configuration made of these arguments")
    try:
        args.directory.mkdir(parents=True, exist_ok=True)
        signer = key_file.create(key, Algorithm.ES256 if args.p256 else Algorithm.EDDSA)
        _write(path, text, (key, key.with_suffix(".pub")))
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or path}: {error.strerror}") from error
    print(f"wrote {path}, {key} and {key.with_suffix('.pub')}")
    print(f"key thumbprint {signer.kid.hex()}")
    print(f"next: edit {path}, run packseal doctor --config {path},")
    print(f"and give {key.with_suffix('.pub')} to the sink's operator, who enrols it:")
    print(f"packseal-sink gateway add {key.with_suffix('.pub').name} --id {gateway}")
    return 0


def _link(profile: Profile, channel: str | None) -> str:
    """Return the lines of the [battery.link] table."""
    if profile.ble is not None:
        return _bluetooth(profile, channel)
    if not profile.values:
        return f'kind = "socketcan"\nchannel = "{channel or "can0"}"'
    where = channel or SERIAL_LINE
    if where.startswith("/"):
        return f'kind = "modbus"\ntransport = "rtu"\ndevice = "{where}"\nbaud = 9600\nunit = 1'
    host, colon, port = where.rpartition(":")
    return f'kind = "modbus"\nhost = "{host if colon else where}"\nport = {port if colon else 502}\nunit = 1'


def _bluetooth(profile: Profile, channel: str | None) -> str:
    if channel is None:
        raise InputError(
            f"{profile.name} is read over Bluetooth: name the battery with --channel, by the address or the name that "
            "packseal probe --ble lists"
        )
    key = "address" if MAC.fullmatch(channel) else "name"
    return f'kind = "ble"\n{key} = {msgspec.json.encode(channel).decode()}'


def _write(path: Path, text: str, others: tuple[Path, ...]) -> None:
    """Write a new file; where that fails, remove it and what was made with it, so that it can be tried again."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            # Else a power cut within half a minute leaves an empty file, and a key without its id.
            os.fsync(file.fileno())
    except OSError:
        for made in (path, *others):
            made.unlink(missing_ok=True)
        raise
