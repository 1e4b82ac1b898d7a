"""Profile: the TOML file that turns one BMS model's CAN signals into quantities.

The Structs of this module are the tables of the file; their docstrings are the reference of whoever writes one.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

import packseal_dbc
from packseal.core.errors import ConfigError
from packseal.core.quantities import BY_KEY, Channel, Quantity
from packseal.core.toml_error import decode_toml, line_of

MAX_CHANNELS = 1000
"""Of one signal line: more than any pack has cells in series."""

MAX_PERIOD_S = 600
"""The longest window of the sealer."""


def check_period(period_s: float) -> None:
    """Raise ValueError for a sampling period that is not allowed."""
    if not 0 <= period_s <= MAX_PERIOD_S:
        raise ValueError(f"period_s must be from 0 to {MAX_PERIOD_S} seconds")


class Signal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[signal]]: one DBC signal, or `count` of them, and the quantity it is."""

    message: str
    """DBC message name. `{i}` stands for the channel's number where `count` is given."""
    signal: str
    """DBC signal name, with `{i}` likewise."""
    quantity: str
    """A quantity's key, such as pack_current_a."""
    count: int = 1
    index: int = 0
    """The first channel's index: which cell or sensor of the pack it is, from 0."""
    first: int = 1
    """What `{i}` is for the first channel."""
    per_message: int = 0
    """How many of them one message holds; `{m}` then counts messages from `first`. 0: `{m}` is not used."""
    factor: float = 1.0
    """Multiplies the DBC's physical value: unit conversion, and -1 where the BMS counts discharging as positive."""
    offset: float = 0.0
    """Added after the factor."""
    minimum: float | None = None
    """In the quantity's own unit; a value below is flagged out of range."""
    maximum: float | None = None
    not_available: tuple[int, ...] = ()
    """Raw field contents by which the BMS says that it does not know: the integer, or the bit pattern of a float."""
    reduce: Literal["last", "mean"] = "last"
    """What one sample keeps of several frames within its period."""

    def __post_init__(self) -> None:
        if self.quantity not in BY_KEY:
            raise ValueError(f"quantity must be one of {', '.join(sorted(BY_KEY))}")
        if self.count < 1 or self.index < 0 or self.count + self.index > MAX_CHANNELS:
            raise ValueError(f"count must be at least 1, index at least 0, and both together at most {MAX_CHANNELS}")
        if self.first < 0 or self.per_message < 0:
            raise ValueError("first and per_message must not be negative")
        bounds = [b for b in (self.minimum, self.maximum) if b is not None]
        if self.factor == 0 or not all(map(math.isfinite, (self.factor, self.offset, *bounds))):
            raise ValueError("factor must not be 0, and factor, offset, minimum and maximum must be finite")
        if self.minimum is not None and self.maximum is not None and self.minimum >= self.maximum:
            raise ValueError("minimum must be below maximum")


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[sampling]: how frames become samples."""

    period_s: float = 1.0
    """Length of one sample; 0 makes one of every distinct frame time."""
    silent_after_s: float = 5.0
    """Without a known frame for so long the battery counts as silent."""

    def __post_init__(self) -> None:
        check_period(self.period_s)
        if not 0 < self.silent_after_s < math.inf:
            raise ValueError("silent_after_s must be above 0")


class Identify(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[identify]: which traffic proves that it is this BMS. Used by `packseal probe`, never to refuse a battery."""

    ids: tuple[int, ...]
    """CAN ids that must all be seen; 0x8000_0000 added for a 29-bit id."""
    without: tuple[int, ...] = ()
    """Ids of relatives that must not be seen."""
    within_s: float = 5.0
    """How long a bus must be listened to before a missing id counts."""

    def __post_init__(self) -> None:
        if not self.ids or set(self.ids) & set(self.without):
            raise ValueError("ids must not be empty, and none of them may stand in without as well")


class Placeholder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[[placeholder]]: a constant that a firmware sends in place of a measured value; it is never taken for one."""

    quantity: str
    equals: float
    """In the quantity's own unit, after the profile's conversion."""
    firmware: str
    """Which firmware does so, for people."""
    until: str | None = None
    """The last version that does, such as 1.11.0; None: every one so far. An unknown version counts as such a one."""
    source: str
    """Where that was seen."""

    def __post_init__(self) -> None:
        if self.quantity not in BY_KEY:
            raise ValueError(f"quantity must be one of {', '.join(sorted(BY_KEY))}")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    name: str
    """VENDOR/MODEL, as the file and its directory are named."""
    title: str
    source: str
    """Where the knowledge comes from: a public document, or a measurement of ours."""
    dbc: str
    """The DBC file, beside the profile."""
    signal: tuple[Signal, ...]
    unverified: tuple[str, ...] = ()
    """What nobody has checked against a real battery."""
    checked: Literal["recording", "simulator", "paper"] = "paper"
    """How well it is checked: on recorded frames of a real BMS, against a simulator, or only by its documents."""
    identify: Identify | None = None
    placeholder: tuple[Placeholder, ...] = ()
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        if not self.signal:
            raise ValueError("at least one [[signal]] is needed")
        channels = [m.channel for m in self.mapped()]
        if len(set(channels)) != len(channels):
            raise ValueError("two [[signal]] tables give the same quantity at the same index: use index, or drop one")

    def mapped(self) -> "list[Mapped]":
        """Return one entry per channel, in the order of the file."""
        return [_mapped(number, line, i) for number, line in enumerate(self.signal) for i in range(line.count)]

    @property
    def delivers(self) -> frozenset[Quantity]:
        """The quantities that this BMS says."""
        return frozenset(BY_KEY[line.quantity] for line in self.signal)


@dataclass(frozen=True, slots=True)
class Mapped:
    """One channel and the DBC signal it is read from. `table` counts the file's [[signal]] tables from 0."""

    channel: Channel
    message: str
    signal: str
    line: Signal
    table: int


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A profile with the bytes it was made of, which name its decoders in the cache."""

    profile: Profile
    text: bytes
    dbc_path: Path
    dbc: bytes
    path: Path

    def wrong(self, table: int, key: str, reason: str) -> ConfigError:
        """Return the error that says where in the file `key` of a [[signal]] is, and what is wrong with it."""
        line = line_of(self.text.decode(), ("signal", table, key))
        return ConfigError(f"profile {self.path}, line {line}: signal[{table}].{key}: {reason}")


def load(name: str, directory: Path | None = None) -> ProfileFile:
    """Read a profile: VENDOR/MODEL of those that come with packseal, or a path (relative to `directory`) to a .toml.

    Raises:
        ConfigError: names file, line, key and what is allowed.
    """
    path = (directory or Path()) / name if name.endswith(".toml") else _packaged(name)
    text = _read(path)
    profile = decode_toml(text, Profile, f"profile {path}")
    dbc_path = path.parent / profile.dbc
    return ProfileFile(profile, text, dbc_path, _read(dbc_path), path)


def names() -> list[str]:
    """Return VENDOR/MODEL of every profile that comes with packseal."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in _root().glob("*/*.toml"))


def _root() -> Path:
    return Path(packseal_dbc.__path__[0])  # importlib.resources would load half a megabyte of zip readers


def _packaged(name: str) -> Path:
    if name not in names():
        raise ConfigError(f"profile {name!r} is unknown: use a path that ends in .toml, or one of {', '.join(names())}")
    return _root() / f"{name}.toml"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _mapped(table: int, line: Signal, i: int) -> Mapped:
    number = line.first + i
    message_number = line.first + i // line.per_message if line.per_message else number
    message, signal = (
        t.replace("{i}", str(number)).replace("{m}", str(message_number)) for t in (line.message, line.signal)
    )
    return Mapped(Channel(BY_KEY[line.quantity], line.index + i), message, signal, line, table)
