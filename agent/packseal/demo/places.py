"""Places: the demo's directory, with the keys and configurations of the sink, the broker and the agent."""

import contextlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from packseal.core import cose
from packseal.core.declared import Declared
from packseal.core.errors import InputError, StorageError
from packseal.keys import file as key_file

HOST = "127.0.0.1"
GATEWAY, BATTERY, SINK = "urn:packseal:gateway:demo", "urn:packseal:battery:demo", "urn:packseal:sink:demo"
USUAL_PORT = 8080
DRAIN_S = 60.0

FURTHER_PORTS = 8

Scalar = str | int | float | Mapping[str, str | int | float]


class Claim(NamedTuple):
    """A loopback port that no other demo takes until `holder` is closed."""

    port: int
    holder: socket.socket


@dataclass(frozen=True, slots=True)
class Places:
    """Where each file of the demo is."""

    directory: Path

    def __getitem__(self, name: str) -> Path:
        return self.directory / name

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self["packseal.toml"]

    @property
    def sink_config(self) -> Path:
        """The sink's configuration."""
        return self["sink.toml"]

    @property
    def journal(self) -> Path:
        """The agent's journal."""
        return self["journal.db"]

    @property
    def sink_database(self) -> Path:
        """The sink's database."""
        return self["sink.db"]

    @property
    def status(self) -> Path:
        """The agent's status socket."""
        return self["status.sock"]

    @property
    def bus(self) -> Path:
        """The socket that frames are streamed over."""
        return self["bus.sock"]

    @property
    def progress(self) -> Path:
        """Where the feeder says how far it is."""
        return self["feeder.json"]

    def public_key(self, name: str) -> cose.PublicKey:
        """Return a public key of the demo, `gateway` or `sink`."""
        return cose.public_key_from_pem(self[f"{name}.pub"].read_bytes())


def prepare(directory: Path | None, *, fresh: bool) -> Places:
    """Make the directory with its keys, or take an earlier demo's.

    Args:
        directory: None makes a temporary one.
        fresh: whether records of an earlier run would spoil this one.

    Raises:
        InputError, StorageError: it cannot be used.
    """
    if directory is None:
        return _with_keys(Places(Path(tempfile.mkdtemp(prefix="packseal-demo-"))))
    places = Places(directory.absolute())
    if fresh and places.journal.exists():
        raise InputError(f"{directory} holds an earlier demo's records: name an empty directory")
    try:
        places.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {directory}: {error.strerror}") from error
    return _with_keys(places)


def write_sink(places: Places, http_port: int, broker_port: int | None) -> None:
    """Write sink.toml."""
    tables: dict[str, Mapping[str, Scalar]] = {
        "sink": {"id": SINK, "key": "sink.key", "database": places.sink_database.name},
        "http": {"host": HOST, "port": http_port},
    }
    if broker_port is not None:
        tables["mqtt"] = {"host": HOST, "port": broker_port}
    _write(places.sink_config, tables)


def write_broker(places: Places, port: int) -> Path:
    """Write mosquitto.conf (mosquitto.conf(5)): loopback only, nothing kept on disk."""
    path = places["mosquitto.conf"]
    lines = [f"listener {port} {HOST}", "allow_anonymous true", "set_tcp_nodelay true"]
    if os.geteuid() == 0:
        lines.append("user root")  # else it gives up its rights and cannot read its configuration
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def write_agent(
    places: Places,
    *,
    window_s: float,
    uplink: Mapping[str, Scalar],
    battery: Mapping[str, Scalar],
    link: Mapping[str, Scalar],
    declared: Declared,
) -> None:
    """Write packseal.toml."""
    told = {k: v for k, v in msgspec.structs.asdict(declared).items() if v is not None}
    gateway = {"id": GATEWAY, "key": "gateway.key", "journal": places.journal.name, "socket": places.status.name}
    _write(
        places.config,
        {
            "gateway": {**gateway, "window_s": window_s, "drain_s": DRAIN_S},
            "uplink": {"sink_key": "sink.pub", **uplink},
            "[battery]": {"id": BATTERY, **battery},
            "battery.link": link,
            "battery.declared": told,
        },
    )


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a loopback port that nobody uses now."""
    with socket.socket(type=kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def claim_port(wanted: int | None) -> Claim:
    """Return the page's port: the wanted one, else 8080 where it is free, else any; raises InputError when taken."""
    ports = (wanted,) if wanted is not None else (USUAL_PORT, *(free_port() for _ in range(FURTHER_PORTS)))
    why = ""
    for port in ports:
        holder = socket.socket(socket.AF_UNIX)
        try:
            # An abstract name (unix(7)) is gone with its process: another demo that has not begun to listen is seen.
            holder.bind(f"\0packseal-demo-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((HOST, port))
        except OSError as error:
            holder.close()
            why = error.strerror or str(error)
        else:
            return Claim(port, holder)
    raise InputError(f"port {ports[0]} cannot be used ({why}): name another with --port")


def wait_for_port(port: int, check: Callable[[], None], limit_s: float = 15.0) -> None:
    """Return when something listens on a loopback port; `check` is called meanwhile and may raise."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        check()
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1.0):
            return
        time.sleep(0.02)
    raise InputError(f"nothing listens on port {port} after {limit_s:g} s")


def _with_keys(places: Places) -> Places:
    for name in ("gateway", "sink"):
        if not places[f"{name}.key"].exists():
            key_file.create(places[f"{name}.key"])
    return places


def _write(path: Path, tables: Mapping[str, Mapping[str, Scalar]]) -> None:
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items()), ""]
    try:
        path.write_text("\n".join(lines), "utf-8")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def _toml(value: Scalar) -> str:
    # A JSON string is a TOML basic string (toml.io/en/v1.0.0#string), and repr of a finite float is a TOML float.
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(part)}' for key, part in value.items())} }}"
    return json.dumps(value) if isinstance(value, str) else repr(value)
