"""Profile: the TOML file that turns one BMS model's CAN signals or Modbus registers into quantities.

The Structs of this module are the tables of the file; their docstrings are the reference of whoever writes one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import packseal_dbc
from packseal.core.errors import ConfigError
from packseal.core.quantities import BY_KEY, Channel, Quantity
from packseal.core.toml_error import decode_toml, line_of
from packseal_drivers.ble.lines import BleField, BleMessage, BleTable
from packseal_drivers.identify import Identify
from packseal_drivers.lines import Conversion, Pgn, PgnField, Request, RequestField, Signal
from packseal_drivers.modbus.lines import Point, Reading, Register, Value
from packseal_drivers.models import Checked, Model
from packseal_drivers.version import parse_version

MAX_PERIOD_S = 600
"""The longest window of the sealer."""


def check_period(period_s: float) -> None:
    """Raise ValueError for a sampling period that is not allowed."""
    if not 0 <= period_s <= MAX_PERIOD_S:
        raise ValueError(f"period_s must be from 0 to {MAX_PERIOD_S} seconds")


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
        if self.until is not None and parse_version(self.until) is None:
            raise ValueError("until must be a version such as 1.11.0")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    name: str
    """VENDOR/MODEL, as the file and its directory are named."""
    title: str
    source: str
    """Where the knowledge comes from: a public document, or a measurement of ours."""
    dbc: str | None = None
    """The DBC file, beside the profile; needed for [[signal]]."""
    signal: tuple[Signal, ...] = ()
    request: tuple[Request, ...] = ()
    """What is asked for; without any the bus is only listened to."""
    pgn: tuple[Pgn, ...] = ()
    """The J1939 parameter groups; those with ask_s are asked for."""
    register: tuple[Register, ...] = ()
    """The Modbus registers of a vendor's map; such a profile has no other lines."""
    point: tuple[Point, ...] = ()
    """The points of SunSpec models; likewise."""
    modbus: Reading = Reading()
    ble: BleTable | None = None
    """What is spoken over Bluetooth; such a profile has no other lines."""
    unverified: tuple[str, ...] = ()
    """What nobody has checked against a real battery."""
    checked: Checked = "paper"
    """How well it is checked: on recorded frames of a real BMS, against a simulator, or only by its documents."""
    model: tuple[Model, ...] = ()
    """The models that one can buy, where it serves several by name; none: it is one of its own."""
    identify: Identify | None = None
    placeholder: tuple[Placeholder, ...] = ()
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        if not self.channels:
            raise ValueError(
                "at least one [[signal]], [[request.field]], [[pgn.field]], [[register]] or [[point]] is needed"
            )
        if bool(self.signal) is not (self.dbc is not None):
            raise ValueError("dbc names the DBC file of the [[signal]] tables: both are needed, or neither")
        kinds = bool(self.signal or self.request or self.pgn), bool(self.register), bool(self.point)
        if sum(kinds) > 1:
            raise ValueError("[[register]] and [[point]] each stand alone: a battery is read over one wire")
        if self.ble is not None and len(self.channels) != len(self.notified()):
            raise ValueError("[ble] stands alone: a battery is read over one wire")
        if len(set(self.channels)) != len(self.channels):
            raise ValueError("two tables give the same quantity at the same index: use index, or drop one")
        if len({m.name for m in self.model}) != len(self.model):
            raise ValueError("two [[model]] tables have the same name")
        names = [r.name for r in self.request] + [p.name for p in self.pgn]
        if len(set(names)) != len(names):
            raise ValueError("two [[request]] or [[pgn]] tables have the same name")

    def mapped(self) -> "list[Mapped]":
        """Return one entry per channel, in the order of the file."""
        return [_mapped(number, line, i) for number, line in enumerate(self.signal) for i in range(line.count)]

    def asked(self) -> "list[Asked]":
        """Return one entry per channel that is asked for, in the order of the file; their slots follow `mapped`."""
        return [place for number, request in enumerate(self.request) for place in _places(number, request.field)]

    def grouped(self) -> "list[Asked]":
        """Return one entry per channel of a parameter group, likewise; their slots follow `asked`."""
        return [place for number, pgn in enumerate(self.pgn) for place in _places(number, pgn.field)]

    def notified(self) -> "list[Asked]":
        """Return one entry per channel of a Bluetooth message, likewise; their slots follow `grouped`."""
        messages = () if self.ble is None else self.ble.message
        return [place for number, message in enumerate(messages) for place in _places(number, message.field)]

    @property
    def channels(self) -> "tuple[Channel, ...]":
        """One per slot of the decoders."""
        placed = (*self.asked(), *self.grouped(), *self.notified())
        read = (Channel(BY_KEY[line.quantity], line.index + i) for line in self.values for i in range(line.count))
        return tuple(m.channel for m in self.mapped()) + tuple(p.channel for p in placed) + tuple(read)

    @property
    def averaged(self) -> tuple[bool, ...]:
        """Per slot, whether a sample keeps the mean."""
        lines: list[Conversion] = [e.line for e in self.mapped()]
        lines += [e.line for e in (*self.asked(), *self.grouped(), *self.notified())]
        lines += [line for line in self.values for _ in range(line.count)]
        return tuple(line.reduce == "mean" for line in lines)

    @property
    def values(self) -> tuple[Value, ...]:
        """What is read over Modbus: the registers, or the points."""
        return (*self.register, *self.point)

    @property
    def delivers(self) -> frozenset[Quantity]:
        """The quantities that this BMS says."""
        return frozenset(channel.quantity for channel in self.channels)


@dataclass(frozen=True, slots=True)
class Mapped:
    """One channel and the DBC signal it is read from. `table` counts the file's [[signal]] tables from 0."""

    channel: Channel
    message: str
    signal: str
    line: Signal
    table: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One channel and its place: in which [[request]], [[pgn]] or [[ble.message]], from 0, and its first byte there."""

    channel: Channel
    table: int
    line: RequestField
    at: int


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

    def wrong_field(self, place: Asked, key: str, reason: str) -> ConfigError:
        """Return the error that says where `key` of a field that is not a [[signal]] is, and what is wrong."""
        kind, tables = self._tables(place.line)
        number = tables[place.table].field.index(place.line)
        line = line_of(self.text.decode(), (*kind, place.table, "field", number, key))
        where = f"{'.'.join(kind)}[{place.table}].field[{number}].{key}"
        return ConfigError(f"profile {self.path}, line {line}: {where}: {reason}")

    def _tables(self, line: RequestField) -> tuple[tuple[str, ...], Sequence[Request | Pgn | BleMessage]]:
        if isinstance(line, BleField) and self.profile.ble is not None:
            return ("ble", "message"), self.profile.ble.message
        return (("pgn",), self.profile.pgn) if isinstance(line, PgnField) else (("request",), self.profile.request)


def load(name: str, directory: Path | None = None) -> ProfileFile:
    """Read a profile: VENDOR/MODEL of those that come with packseal, or a path (relative to `directory`) to a .toml.

    Raises:
        ConfigError: names file, line, key and what is allowed.
    """
    path = (directory or Path()) / name if name.endswith(".toml") else _packaged(name)
    text = _read(path)
    profile = decode_toml(text, Profile, f"profile {path}")
    if profile.dbc is None:
        return ProfileFile(profile, text, path, b"", path)
    dbc_path = path.parent / profile.dbc
    return ProfileFile(profile, text, dbc_path, _read(dbc_path), path)


def names() -> list[str]:
    """Return VENDOR/MODEL of every profile that comes with packseal."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in _root().glob("*/*.toml"))


def _root() -> Path:
    return Path(packseal_dbc.__path__[0])  # importlib.resources would load half a megabyte of zip readers


def _packaged(name: str) -> Path:
    if name not in names():
        from difflib import get_close_matches  # noqa: PLC0415 - only for the message

        near = get_close_matches(name, names(), n=3)
        every = f"name one of {', '.join(names())}"
        there = f"is it {' or '.join(near)}? packseal profiles lists them" if near else every
        raise ConfigError(f"profile {name!r} is unknown: {there}; or a path that ends in .toml")
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


def _places(table: int, lines: Iterable[RequestField]) -> "list[Asked]":
    return [
        Asked(Channel(BY_KEY[line.quantity], line.index + i), table, line, line.at + i * line.stride)
        for line in lines
        for i in range(line.count)
    ]
