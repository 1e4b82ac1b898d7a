"""Layout: where in which frames a profile's channels lie, from the DBC as its doctor understood it."""

import difflib
import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packseal.core.errors import ConfigError
from packseal_drivers import dbc_doctor
from packseal_drivers.decoding.encodings import WHOLE
from packseal_drivers.lines import Conversion
from packseal_drivers.profile import Mapped, ProfileFile

if TYPE_CHECKING:
    from cantools.database.can import Database, Message

EXTENDED = 0x8000_0000  # CAN_EFF_FLAG, linux/can.h
FLOAT_BITS = (16, 32, 64)  # IEEE 754 binary16, 32 and 64
MAX_NAMED = 8  # findings and names in one message

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bits:
    """One field of a frame: `shift` and `length` in the integer that the frame's bytes make in the field's byte order.

    `physical = raw * scale + offset`, integers where both are whole, as cantools has it.
    """

    shift: int
    length: int
    big_endian: bool
    signed: bool
    is_float: bool
    scale: float
    offset: float

    @property
    def mask(self) -> int:
        """As many ones as the field has bits."""
        return (1 << self.length) - 1

    @property
    def raw_limits(self) -> tuple[int, int]:
        """The least and the greatest integer of the field."""
        half = 1 << (self.length - 1)
        return (-half, half - 1) if self.signed and not self.is_float else (0, self.mask)

    def raw(self, pattern: int) -> int:
        """Return the integer that the bit pattern is in this field."""
        half = 1 << (self.length - 1)
        return (pattern & self.mask ^ half) - half if self.signed and not self.is_float else pattern & self.mask


@dataclass(frozen=True, slots=True)
class Field:
    """One channel's place. `slot` counts the profile's channels from 0; `sentinels` are raw integers of its field."""

    slot: int
    bits: Bits
    line: Conversion
    sentinels: tuple[int, ...]
    greatest: int | None = None
    """The greatest raw integer that is a value, whatever the profile's range."""
    unknown_from: int | None = None
    """From this raw integer on, the BMS says that it does not know."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A multiplexer: its field, and what else is in the frame for each id that the DBC knows."""

    bits: Bits
    groups: Mapping[int, "Group"]


@dataclass(frozen=True, slots=True)
class Group:
    """What lies in a frame: always, or for one multiplexer id."""

    fields: tuple[Field, ...]
    switches: tuple[Switch, ...]

    @property
    def is_empty(self) -> bool:
        """Whether no channel is in it."""
        return not self.fields and all(g.is_empty for s in self.switches for g in s.groups.values())


@dataclass(frozen=True, slots=True)
class MessageLayout:
    """One CAN id and what it carries. `address` has EXTENDED set for a 29-bit id; `length` is in bytes."""

    name: str
    address: int
    length: int
    group: Group


def read(file: ProfileFile) -> tuple[MessageLayout, ...]:
    """Return the layout of every message that the profile maps.

    Raises:
        ConfigError: the DBC cannot be read, or the profile names what is not in it.
    """
    if not file.profile.signal:
        return ()
    examined = dbc_doctor.examine(file.dbc, file.dbc_path)
    _tell(file, examined)
    database = examined.database
    found: dict[str, dict[str, tuple[int, Mapped]]] = {}
    for slot, mapped in enumerate(file.profile.mapped()):
        message = _message(file, database, mapped)
        _refuse_ambiguous(file, examined, mapped)
        if mapped.signal not in {s.name for s in message.signals}:
            names = (s.name for s in message.signals)
            reason = f"{mapped.signal} is not in message {message.name} of {file.dbc_path}{_near(mapped.signal, names)}"
            raise file.wrong(mapped.table, "signal", reason)
        taken = found.setdefault(message.name, {})
        if mapped.signal in taken:
            raise file.wrong(mapped.table, "signal", f"{message.name} {mapped.signal} is mapped twice: drop one table")
        taken[mapped.signal] = slot, mapped
    messages = {name: database.get_message_by_name(name) for name in found}
    layouts = tuple(_layout(file, messages[name], wanted) for name, wanted in found.items())
    _check_addresses(file, layouts)
    return layouts


def _tell(file: ProfileFile, examined: dbc_doctor.Examined) -> None:
    """Log what was wrong with the DBC."""
    if not examined.findings:
        return
    told = "; ".join(map(str, examined.findings[:MAX_NAMED]))
    more = f"; and {len(examined.findings) - MAX_NAMED} more" if len(examined.findings) > MAX_NAMED else ""
    log.log(logging.WARNING if examined.repaired else logging.INFO, "%s: %s%s", file.dbc_path, told, more)


def _refuse_ambiguous(file: ProfileFile, examined: dbc_doctor.Examined, mapped: Mapped) -> None:
    for key, names in (("message", (mapped.message,)), ("signal", (mapped.message, mapped.signal))):
        if why := examined.ambiguous.get(names):
            raise file.wrong(mapped.table, key, f"{file.dbc_path}, {why}: correct the DBC")


def _message(file: ProfileFile, database: "Database", mapped: Mapped) -> "Message":
    try:
        return database.get_message_by_name(mapped.message)
    except KeyError:
        near = _near(mapped.message, (m.name for m in database.messages))
        reason = f"{mapped.message} is not in {file.dbc_path}{near}"
        raise file.wrong(mapped.table, "message", reason) from None


def _layout(file: ProfileFile, message: "Message", wanted: Mapping[str, tuple[int, Mapped]]) -> MessageLayout:
    address = message.frame_id | (EXTENDED if message.is_extended_frame else 0)
    fields = {name: _field(file, message, slot, mapped) for name, (slot, mapped) in wanted.items()}
    return MessageLayout(message.name, address, message.length, _group(message, message.signal_tree, fields))


def _group(message: "Message", tree: Iterable[Any], fields: Mapping[str, Field]) -> Group:
    plain: list[Field] = []
    switches: list[Switch] = []
    for node in tree:
        name, branches = next(iter(node.items())) if isinstance(node, dict) else (node, {})
        if name in fields:
            plain.append(fields[name])
        if branches:
            groups = {number: _group(message, branch, fields) for number, branch in branches.items()}
            if not all(g.is_empty for g in groups.values()):
                switches.append(Switch(_selector(message, name), groups))
    return Group(tuple(plain), tuple(switches))


def _field(file: ProfileFile, message: "Message", slot: int, mapped: Mapped) -> Field:
    bits = _bits(message, mapped.signal)
    if unusable := _why_unusable(bits, message):
        raise file.wrong(mapped.table, "signal", f"{mapped.signal} {unusable}")
    if mapped.line.encoding is not None:
        if bits.is_float or bits.length % WHOLE.get(mapped.line.encoding, 1):
            reason = f"{mapped.signal} is a field of {bits.length} bits that cannot be {mapped.line.encoding}"
            raise file.wrong(mapped.table, "encoding", reason)
        bits = replace(bits, signed=False)
    for pattern in mapped.line.not_available:
        if not -(1 << (bits.length - 1)) <= pattern <= bits.mask:
            reason = f"{pattern} does not fit into the {bits.length} bits of {mapped.signal}"
            raise file.wrong(mapped.table, "not_available", reason)
    return Field(slot, bits, mapped.line, tuple(bits.raw(p) for p in mapped.line.not_available))


def _selector(message: "Message", name: str) -> Bits:
    bits = _bits(message, name)
    unusable = "is a float" if bits.is_float else _why_unusable(bits, message)
    if unusable:
        raise ConfigError(f"the multiplexer {name} of {message.name} {unusable}: correct the DBC")
    return bits


def _why_unusable(bits: Bits, message: "Message") -> str:
    if bits.shift < 0 or bits.shift + bits.length > 8 * message.length:
        return f"does not fit into the {message.length} bytes of {message.name}"
    if not math.isfinite(bits.scale) or not math.isfinite(bits.offset) or not bits.scale:
        return f"has no usable scale and offset in {message.name}"
    if bits.is_float and bits.length not in FLOAT_BITS:
        return f"is a float of {bits.length} bits; 16, 32 or 64 are allowed"
    return ""


def _bits(message: "Message", name: str) -> Bits:
    signal = message.get_signal_by_name(name)
    big_endian = signal.byte_order == "big_endian"
    shift = signal.start
    if big_endian:
        # A DBC counts a big-endian field from its most significant bit, bits within a byte from the right.
        byte, bit = divmod(signal.start, 8)
        shift = 8 * (message.length - 1 - byte) + bit - signal.length + 1
    scale, offset = signal.conversion.scale, signal.conversion.offset
    is_float = signal.conversion.is_float
    if float(scale).is_integer() and float(offset).is_integer() and not is_float:
        scale, offset = int(scale), int(offset)
    return Bits(shift, signal.length, big_endian, signal.is_signed, is_float, scale, offset)


def _check_addresses(file: ProfileFile, layouts: Iterable[MessageLayout]) -> None:
    seen: dict[int, str] = {}
    for layout in layouts:
        other = seen.setdefault(layout.address, layout.name)
        if other != layout.name:
            raise ConfigError(f"{file.dbc_path}: messages {other} and {layout.name} have the same id: map one of them")


def _near(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=MAX_NAMED) or known[:MAX_NAMED]
    more = ", ..." if len(known) > len(close) else ""
    return f"; there are {', '.join(close)}{more}"
