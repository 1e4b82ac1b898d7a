"""sink.toml: what a user may write about a sink, and where its files are."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from packseal.core.errors import ConfigError, InputError
from packseal.core.toml_error import decode_toml

MQTT_PORT, MQTTS_PORT = 1883, 8883  # IANA service names mqtt and secure-mqtt
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")  # RFC 3986 §3: a scheme, a colon and something

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class SinkTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who this sink is and where it keeps things."""

    id: str
    """The sink's URI, which its receipts carry."""
    key: str = "sink.key"
    database: str = "sink.db"
    free_disk_mb: Annotated[int, msgspec.Meta(ge=0)] = 200
    """Megabytes (2^20 bytes) that stay free on the database's disk: with less, gateways are told `busy`."""
    early_log_mb: Annotated[int, msgspec.Meta(ge=1)] = 256
    """How much of one log is stored before its turn; beyond it the gateway is asked to send in order."""
    early_mb: Annotated[int, msgspec.Meta(ge=1)] = 4096
    """The same over all logs."""
    gateway_mb_per_s: Annotated[float, msgspec.Meta(ge=0)] = 8
    """Megabytes (2^20 bytes) of records per second that one gateway may send, on the mean of a minute; 0: no limit."""
    gateway_requests_per_s: Annotated[float, msgspec.Meta(ge=0)] = 1000
    """The same of requests."""

    def __post_init__(self) -> None:
        check_uri(self.id, "id")


class HttpTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where HTTP is served; with a certificate it is HTTPS."""

    host: str = "127.0.0.1"
    port: Port = 8080
    """0 takes any free one and prints it."""
    certificate: str | None = None
    key: str | None = None
    client_authorities: str | None = None
    """With it, only clients with a certificate of these authorities are served."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key must be given together")
        if self.client_authorities is not None and self.certificate is None:
            raise ValueError("client_authorities needs certificate and key")


class TlsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to trust and who we are, as PEM files."""

    authorities: str | None = None
    """None trusts the machine's own list."""
    certificate: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key must be given together")


class MqttTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker."""

    host: str
    port: Port | None = None
    """None is 8883 with TLS and 1883 without."""
    username: str | None = None
    password_file: str | None = None
    tls: TlsTable | None = None

    def __post_init__(self) -> None:
        if self.password_file is not None and self.tls is None and not is_loopback(self.host):
            raise ValueError(f"the password for {self.host} would cross the network in plain text: add [mqtt.tls]")

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        return self.port or (MQTT_PORT if self.tls is None else MQTTS_PORT)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    sink: SinkTable
    http: HttpTable = HttpTable()
    mqtt: MqttTable | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, and the directory that their paths are relative to."""

    settings: Settings
    directory: Path

    def path(self, name: str) -> Path:
        """Return where a file named in the settings is."""
        return self.directory / name

    def optional_path(self, name: str | None) -> Path | None:
        """Return where a file is, or None when none is named."""
        return None if name is None else self.directory / name


def load(path: Path) -> Configuration:
    """Read a configuration file.

    Raises:
        ConfigError: it is wrong; names file, line, key and what is allowed.
        InputError: it cannot be read.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; packseal-sink init makes one") from error
    return Configuration(decode_toml(text, Settings, str(path)), path.absolute().parent)


def check_uri(text: str, what: str) -> str:
    """Return `text` when it is a URI; raises ConfigError, which as a ValueError a Struct reports with its place."""
    if not _URI.fullmatch(text):
        raise _UriError(f"{what} {text!r} must be a URI, such as urn:packseal:sink:north")
    return text


class _UriError(ConfigError, ValueError):
    """Not a URI."""


def is_loopback(host: str) -> bool:
    """Return whether `host` names this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
