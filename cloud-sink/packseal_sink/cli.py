"""The `packseal-sink` command."""

import argparse
import asyncio
import os
import re
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from packseal import __version__
from packseal.core.errors import InputError, PacksealError, StorageError
from packseal.keys import file
from packseal_sink import settings
from packseal_sink.database import Database
from packseal_sink.store import Store, read_gateways
from packseal_sink.views import utc_text

if TYPE_CHECKING:
    from packseal_sink.service import Service

FAILED, USAGE = 1, 2
CONFIG = "sink.toml"

TEMPLATE = """\
[sink]
id = "{id}"
key = "sink.key"        # sink.pub is its public half: give it to every gateway as sink_key
database = "sink.db"
# free_disk_mb = 200      # with less free on the database's disk, gateways are asked to wait
# early_log_mb = 256      # of one log, stored before its turn
# early_mb = 4096         # of all logs

[http]
host = "127.0.0.1"
port = 8080
# certificate = "server.pem"          # with these two it is HTTPS
# key = "server.key"
# client_authorities = "clients.pem"  # only clients with a certificate of these are served

# [mqtt]
# host = "127.0.0.1"
# port = 1883
# username = "sink"
# password_file = "mqtt.password"
# [mqtt.tls]
# authorities = "authorities.pem"
# certificate = "client.pem"
# key = "client.key"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed with one line why, 2 wrong usage."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.execute is None:
        parser.print_help()
        return USAGE
    try:
        args.execute(args)
    except PacksealError as error:
        print(f"packseal-sink: {error}", file=sys.stderr)
        return FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="packseal-sink",
        description="The operator's side: verifies, stores and shows what gateways send, and signs receipts for it.",
    )
    parser.add_argument("--version", action="version", version=f"packseal-sink {__version__}")
    parser.set_defaults(execute=None)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    init = commands.add_parser("init", help="make a configuration and the sink's key in a directory")
    init.add_argument("directory", metavar="DIR", type=Path)
    init.add_argument("--id", metavar="URI", help="the sink's URI, which its receipts carry (default: a random one)")
    init.set_defaults(execute=_init)
    run = commands.add_parser("run", help="receive, verify, store and show, until told to stop")
    _add_config(run)
    run.set_defaults(execute=_run)
    _add_gateway_commands(commands.add_parser("gateway", help="enrol, remove and list gateways"))
    return parser


def _add_gateway_commands(gateway: argparse.ArgumentParser) -> None:
    gateways = gateway.add_subparsers(metavar="COMMAND", title="commands", required=True)
    add = gateways.add_parser("add", help="enrol a gateway; a running sink takes note by itself")
    add.add_argument("public_key", metavar="PUBKEY", type=Path, help="the gateway's .pub file")
    add.add_argument("--id", metavar="URI", required=True, help="the gateway's id, as in its packseal.toml")
    add.add_argument("--name", metavar="N", default="", help="a name for people")
    _add_config(add)
    add.set_defaults(execute=_gateway_add)
    remove = gateways.add_parser("remove", help="refuse a gateway's records from now on; those stored stay")
    remove.add_argument("kid", metavar="KEY", help="the beginning of its key's thumbprint, as in the list")
    _add_config(remove)
    remove.set_defaults(execute=_gateway_remove)
    listing = gateways.add_parser("list", help="list the gateways")
    _add_config(listing)
    listing.set_defaults(execute=_gateway_list)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="F", type=Path, default=Path(CONFIG), help=f"default: {CONFIG}")


def _init(args: argparse.Namespace) -> None:
    path: Path = args.directory / CONFIG
    name = settings.check_uri(args.id, "--id") if args.id else uuid.uuid4().urn
    if path.exists():
        raise InputError(f"{path} exists already: remove it first, or use it")
    try:
        args.directory.mkdir(parents=True, exist_ok=True)
        file.create(args.directory / "sink.key")
        _write(path, TEMPLATE.format(id=re.sub(r'(["\\])', r"\\\1", name)))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    print(f"made {path} for sink {name}")
    print(f"next: packseal-sink gateway add GATEWAY.pub --id URI --config {path}")


def _write(path: Path, text: str) -> None:
    """Write the configuration; where that fails, remove it and the new key, so that it can be tried again."""
    try:
        with path.open("x", encoding="utf-8") as written:
            written.write(text)
            written.flush()
            os.fsync(written.fileno())  # else a power cut within half a minute leaves an empty file
    except OSError:
        for made in (path, path.with_name("sink.key"), path.with_name("sink.pub")):
            made.unlink(missing_ok=True)
        raise


def _gateway_add(args: argparse.Namespace) -> None:
    configuration = settings.load(args.config)
    issuer = settings.check_uri(args.id, "--id")
    try:
        pem = args.public_key.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {args.public_key}: {error.strerror}") from error
    with _store(configuration) as store:
        try:
            gateway = store.add_gateway(pem, issuer, args.name, time.time_ns() // 1_000_000)
        except InputError as error:
            raise InputError(f"{args.public_key}: {error}") from error
    print(f"enrolled {gateway.issuer} with {gateway.key.algorithm.name} key {gateway.key.kid.hex()}")


def _gateway_remove(args: argparse.Namespace) -> None:
    with _store(settings.load(args.config)) as store:
        gateway = store.remove_gateway(args.kid, time.time_ns() // 1_000_000)
    print(f"removed {gateway.issuer} with key {gateway.key.kid.hex()}")


@contextmanager
def _store(configuration: settings.Configuration) -> Iterator[Store]:
    database = Database(configuration.path(configuration.settings.sink.database), write=True)
    try:
        yield Store(database)
    finally:
        database.close()


def _gateway_list(args: argparse.Namespace) -> None:
    configuration = settings.load(args.config)
    path = configuration.path(configuration.settings.sink.database)
    if not path.exists():
        return
    database = Database(path, write=False)
    try:
        with database.reading() as connection:
            gateways = read_gateways(connection)
    finally:
        database.close()
    for kid, gateway in gateways.items():
        removed = "" if gateway.removed_ms is None else f"removed {utc_text(gateway.removed_ms)}"
        print("  ".join((kid.hex(), utc_text(gateway.added_ms), gateway.issuer, gateway.name, removed)).rstrip())


def _run(args: argparse.Namespace) -> None:
    from packseal_sink.service import Service  # noqa: PLC0415 - the other commands need no web server

    with Service(settings.load(args.config), _tell) as service:
        asyncio.run(_until_signalled(service))


async def _until_signalled(service: "Service") -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await service.run(stop)


def _tell(line: str) -> None:
    print(line, flush=True)
