"""The agent's configuration file: TOML to a Config, or an error that names the line, the key and what is allowed.

The Structs are the tables of the file; their docstrings are its reference. Paths are relative to the file.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from packseal.config_keep import Keep
from packseal.config_power import Power
from packseal.config_publish import Publish
from packseal.config_tls import Tls
from packseal.config_uplink import Https, Mqtt, Uplink, check_together
from packseal.core import nesting
from packseal.core.changes import Change
from packseal.core.combining import Arrangement
from packseal.core.declared import ContradictionError, Declared, join
from packseal.core.errors import ConfigError
from packseal.core.passport import MAX_ID_BYTES
from packseal.core.toml_error import decode_toml, line_of
from packseal.registry import book
from packseal.registry.book import Entry
from packseal.uplink.tls import TlsFiles
from packseal_drivers.settings import LinkSettings, Recording, Stream
from packseal_drivers.version import parse_version

DEFAULT_PATHS = (Path("packseal.toml"), Path("/etc/packseal/packseal.toml"))
MAX_WINDOW_S = 600
MAX_BATTERIES = 64
MIN_PARTS = 2
MIN_PERIOD_S, MAX_PERIOD_S = 0.01, 60
"""Of a battery with parts, whose samples wait for the period's end."""
MAX_TOLERANCE_PCT = 100
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")  # RFC 3986 §3: a scheme, a colon, printable ASCII


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[gateway]: this gateway and what it keeps."""

    id: str
    """A URI: the issuer of every record."""
    key: str = "gateway.key"
    """The private key's PEM file."""
    journal: str = "journal.db"
    socket: str = "status.sock"
    """Where `packseal status` asks."""
    registry: str = "registry.json"
    """What `packseal commission` enters of each battery; it joins the battery's [battery.declared]."""
    window_s: float = 60.0
    """Seconds per sealed window: what a power cut can cost at most. 0 seals every sample at once, at a price."""
    drain_s: float = 10.0
    """How long a stop waits for the sink's receipts."""

    def __post_init__(self) -> None:
        _check_uri(self.id)
        if self.window_s != 0 and not 1 <= self.window_s <= MAX_WINDOW_S:
            raise ValueError(f"window_s must be 0 or from 1 to {MAX_WINDOW_S} seconds")
        if not 0 <= self.drain_s <= MAX_WINDOW_S:
            raise ValueError(f"drain_s must be from 0 to {MAX_WINDOW_S} seconds")


class Battery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[battery]]: one battery beside this gateway: on a link with a profile, or made of others by `parts`."""

    id: str
    """A URI: the subject of its records, as in its passport."""
    profile: str | None = None
    """VENDOR/MODEL of a profile that comes with packseal, or a path that ends in .toml."""
    link: LinkSettings | None = None
    parts: tuple[str, ...] = ()
    """Ids of the batteries that this one is made of, in the order in which their cells are numbered."""
    arrangement: Arrangement | None = None
    """How the parts are connected: series or parallel."""
    tolerance_pct: float | None = None
    """How far the parts' currents (series) or voltages (parallel) may lie apart. Default: 5 and 2.5 %."""
    period_s: float | None = None
    """Seconds per sample in place of the profile's; 0 makes one of every distinct frame time.

    With parts: above 0, and by default the longest of theirs, at least 1.
    """
    gap_s: float | None = None
    """An interval longer than this is a gap, not integrated. Default: 10 s, or three sample periods if that is more."""
    firmware: str | None = None
    """Version of the BMS's own program, such as 1.12.0. Without it the BMS counts as one that sends placeholders."""
    declared: Declared = Declared()

    def __post_init__(self) -> None:
        _check_uri(self.id)
        if self.firmware is not None and parse_version(self.firmware) is None:
            raise ValueError(f"firmware must be a version such as 1.12.0, not {self.firmware!r}")
        if self.gap_s is not None and not (math.isfinite(self.gap_s) and self.gap_s > 0):
            raise ValueError("gap_s must be above zero")
        if self.parts or self.arrangement is not None:
            self._check_parts()
        elif self.profile is None or self.link is None:
            missing = "profile" if self.profile is None else "link"
            raise ValueError(f"{missing} is missing: a battery needs profile and link, or parts and arrangement")
        elif self.tolerance_pct is not None:
            raise ValueError("tolerance_pct belongs to a battery with parts")

    def _check_parts(self) -> None:
        if (self.profile, self.link, self.firmware) != (None, None, None):
            raise ValueError("a battery with parts has no profile, link or firmware of its own")
        if len(self.parts) < MIN_PARTS or self.arrangement is None:
            raise ValueError('parts (at least two ids) and arrangement ("series" or "parallel") are needed together')
        if self.period_s is not None and not MIN_PERIOD_S <= self.period_s <= MAX_PERIOD_S:
            raise ValueError(f"period_s of a battery with parts must be from {MIN_PERIOD_S} to {MAX_PERIOD_S} seconds")
        if self.tolerance_pct is not None and not 0 < self.tolerance_pct <= MAX_TOLERANCE_PCT:
            raise ValueError(f"tolerance_pct must be above 0 and at most {MAX_TOLERANCE_PCT}")


class ConfigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    gateway: Gateway
    battery: tuple[Battery, ...]
    uplink: Mqtt | Https | tuple[Mqtt | Https, ...] | None = None
    keep: Keep = Keep()
    publish: tuple[Publish, ...] = ()
    power: Power | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.battery) <= MAX_BATTERIES:
            raise ValueError(f"from 1 to {MAX_BATTERIES} [[battery]] tables are needed")
        ids = [self.gateway.id, *(b.id for b in self.battery)]
        for twice in {i for i in ids if ids.count(i) > 1}:
            raise ValueError(f"id {twice} is used twice: each battery and the gateway need their own")
        if isinstance(self.uplink, tuple):
            check_together(self.uplink)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration as it was read. `text` is the file's bytes, `directory` what its paths are relative to.

    `changes` is what the registry says happened to each battery.
    """

    file: ConfigFile
    path: Path
    text: bytes
    changes: Mapping[str, Sequence[Change]] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """The directory that the file's paths are relative to."""
        return self.path.parent

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.directory / self.file.gateway.journal

    @property
    def key(self) -> Path:
        """Where the gateway's private key is."""
        return self.directory / self.file.gateway.key

    @property
    def socket(self) -> Path:
        """Where the running agent answers `packseal status`."""
        return self.directory / self.file.gateway.socket

    @property
    def registry(self) -> Path:
        """Where the registry of batteries is."""
        return self.directory / self.file.gateway.registry

    @property
    def uplinks(self) -> Sequence[Uplink]:
        """Every way to the sink, the preferred one first."""
        said = self.file.uplink
        return () if said is None else said if isinstance(said, tuple) else (said,)

    @property
    def sink_key(self) -> Path | None:
        """Where the sink's public key is; None without an uplink."""
        return self.directory / self.uplinks[0].sink_key if self.uplinks else None

    @property
    def cache(self) -> Path:
        """Where decoders made from DBC files are kept."""
        return self.journal.with_name("cache")

    def tls(self, tls: Tls | None) -> TlsFiles | None:
        """Return the files of a TLS table."""
        if tls is None:
            return None
        return TlsFiles(*(self.optional(name) for name in (tls.authorities, tls.certificate, tls.key)))

    def optional(self, name: str | None) -> Path | None:
        """Return where an optional file is, such as a broker's password."""
        return None if name is None else self.directory / name


def load(path: Path | None = None) -> Config:
    """Read the configuration at `path`, or the first of DEFAULT_PATHS that exists, and the registry it names.

    Raises:
        ConfigError: naming the file and, where it can be known, line, key and what is allowed.
        StorageError: the registry cannot be read.
    """
    config = read(path)
    return _with(config, book.read(config.registry))


def again(config: Config) -> Config:
    """Return the same configuration with what its registry says now.

    Raises:
        ConfigError: the two contradict each other.
        StorageError: the registry is damaged, gone or cannot be read.
    """
    written = decode_toml(config.text, ConfigFile, str(config.path))
    return _with(replace(config, file=written), book.whole(config.registry))


def _with(config: Config, entries: Mapping[str, Entry]) -> Config:
    batteries = tuple(
        msgspec.structs.replace(b, declared=joined(config, number, entries[b.id].declared)) if b.id in entries else b
        for number, b in enumerate(config.file.battery)
    )
    file = msgspec.structs.replace(config.file, battery=batteries)
    return replace(config, file=file, changes={name: entry.changes for name, entry in entries.items()})


def read(path: Path | None = None) -> Config:
    """Read the configuration without the registry; raises ConfigError as `load` does."""
    found = path or next(_existing(), None)
    if found is None:
        tried = " nor ".join(map(str, DEFAULT_PATHS))
        raise ConfigError(
            f"no configuration: neither {tried} exists; make one with packseal init, or name it: --config"
        )
    try:
        text = found.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {found}: {error.strerror}") from error
    file = decode_toml(text, ConfigFile, str(found))
    _check_nesting(file, text.decode(), str(found))
    return Config(file, found.absolute(), text)


def joined(config: Config, number: int, entered: Declared) -> Declared:
    """Return what [battery.declared] of the battery at `number` and the registry say together; each may say a part.

    Raises:
        ConfigError: they contradict each other, or do not fit together.
    """
    try:
        return join(config.file.battery[number].declared, entered)
    except ContradictionError as error:
        line = line_of(config.text.decode(), ("battery", number, "declared", error.name))
        raise ConfigError(
            f"{config.path}, line {line}: {error.name} is {error.first} here and {error.second} in the registry "
            f"{config.registry}: remove it here, and correct the registry with packseal commission if it is wrong"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{config.path} and the registry {config.registry} do not fit together: {error}") from None


def _check_nesting(file: ConfigFile, text: str, what: str) -> None:
    """Refuse parts that cannot be put together; raises ConfigError."""
    parts = {battery.id: battery.parts for battery in file.battery}
    wrong = nesting.trouble(parts)
    if wrong is None:
        replayed: dict[str, bool] = {b.id: isinstance(b.link, Recording | Stream) for b in file.battery}
        for whole in nesting.parts_first(parts):
            kinds = {replayed[part] for part in parts[whole]}
            if len(kinds) > 1:
                wrong = whole, "some are live and some replayed: their clocks cannot be brought together"
                break
            replayed[whole] = kinds.pop() if kinds else replayed[whole]
    if wrong is not None:
        number = list(parts).index(wrong[0])
        line = line_of(text, ("battery", number, "parts"))
        raise ConfigError(f"{what}, line {line}: battery[{number}].parts: {wrong[1]}")


def _existing() -> Iterator[Path]:
    return (path for path in DEFAULT_PATHS if path.exists())


def _check_uri(text: str) -> None:
    if not _URI.fullmatch(text):
        raise ValueError(f"{text!r} must be a URI, such as urn:example:battery:4711")
    if len(text) > MAX_ID_BYTES:
        raise ValueError(f"an id may have at most {MAX_ID_BYTES} characters, {text[:20]}… has {len(text)}")
