"""CanFace: what a battery broadcasts, as the CAN frames of a profile, each message at its own cycle time."""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from packseal.core.quantities import Channel
from packseal_drivers import profile as profiles
from packseal_drivers.decoding import layout
from packseal_drivers.decoding.layout import Bits, Field, Group, MessageLayout
from packseal_drivers.profile import ProfileFile
from packseal_hil.faces import j1939
from packseal_hil.faces.patterns import FieldWriter, assemble
from packseal_hil.rig.protocols import CanFrame

DEFAULT_CYCLE_S = 1.0
"""Of a profile that takes every frame time for a sample of its own, and so says nothing about how often they come."""

CLASSIC_BYTES = 8
FD_LENGTHS: tuple[int, ...] = (*range(9), 12, 16, 20, 24, 32, 48, 64)
"""The lengths that a frame can have, ISO 11898-1 table 5; up to eight it is a classic one."""

# What Vector's tools call the cycle time, in milliseconds: for all messages, and for one by its id, whose top bit says
# that it has 29 bits.
_DEFAULT = re.compile(rb'^\s*BA_DEF_DEF_\s+"GenMsgCycleTime"\s+([\d.]+)\s*;', re.MULTILINE)
_OWN = re.compile(rb'^\s*BA_\s+"GenMsgCycleTime"\s+BO_\s+(\d+)\s+([\d.]+)\s*;', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """One frame that a message can be: with what its multiplexers say, the channels that are then in it.

    `length` is that of the message; on the wire it is filled up to the next that CAN FD has.
    """

    address: int
    length: int
    selectors: tuple[tuple[Bits, int], ...]
    fields: tuple[tuple[Channel, FieldWriter], ...]
    is_group: bool = False

    def says_any_of(self, channels: Collection[Channel]) -> bool:
        """Whether it has anything to say when only these are known."""
        return any(channel in channels for channel, _ in self.fields)

    def frames(self, values: Mapping[Channel, float]) -> list[CanFrame]:
        """Return its frames: one, or those of a transfer of a parameter group that is longer than a frame."""
        parts = [*self.selectors, *((w.field.bits, w.pattern(values.get(channel))) for channel, w in self.fields)]
        data = assemble(self.length, parts)
        if self.is_group:
            return j1939.frames(self.address, data)
        return [CanFrame(self.address, data.ljust(wire_length(self.length), b"\0"))]


@dataclass(frozen=True, slots=True)
class Message:
    """A message, its pages and how often it is sent; `in_turn`: one page every cycle, else all within one."""

    cycle_s: float
    in_turn: bool
    pages: tuple[Page, ...]

    def due(self, from_s: float, to_s: float) -> Iterator[tuple[float, Page]]:
        """Yield its pages within the half-open interval, at multiples of the cycle since the battery's beginning."""
        apart_s = self.cycle_s if self.in_turn else self.cycle_s / len(self.pages)
        for number in range(_first_at(from_s, apart_s), _first_at(to_s, apart_s)):
            yield number * apart_s, self.pages[number % len(self.pages)]


class CanFace:
    """Speaks as the profile `name`: its DBC's messages and its J1939 groups. What is only asked for, `UdsFace` answers.

    A page of which the battery knows nothing is not sent; within one, what it does not know is "not available".

    Args:
        name: VENDOR/MODEL, or a path that ends in .toml.
        phase_s: seconds by which all its cycles are late, as those of a second device are.

    Raises:
        ConfigError: there is no such profile, or its DBC does not fit it.
    """

    def __init__(self, name: str, phase_s: float = 0.0) -> None:
        file = profiles.load(name)
        self.profile = file.profile
        self.messages = tuple(_messages(file))
        self._phase_s = phase_s

    def frames(self, values: Mapping[Channel, float], from_s: float, to_s: float) -> list[tuple[float, CanFrame]]:
        """Return the frames due from `from_s` on and before `to_s`, in seconds of battery time, in their order."""
        late_s = self._phase_s
        due = [
            (at_s + late_s, frame)
            for message in self.messages
            for at_s, page in message.due(max(0.0, from_s - late_s), max(0.0, to_s - late_s))
            if page.says_any_of(values)
            for frame in page.frames(values)
        ]
        due.sort(key=lambda pair: pair[0])
        return due

    def round(self, values: Mapping[Channel, float]) -> list[CanFrame]:
        """Return every page once, whatever its cycle."""
        said = (page for message in self.messages for page in message.pages if page.says_any_of(values))
        return [frame for page in said for frame in page.frames(values)]


def wire_length(length: int) -> int:
    """Return the least length of a frame that holds so many bytes."""
    return FD_LENGTHS[bisect_left(FD_LENGTHS, length)]


def _messages(file: ProfileFile) -> Iterator[Message]:
    channels = file.profile.channels
    spread_s = file.profile.sampling.period_s or DEFAULT_CYCLE_S
    given_ms, own_ms = _cycles(file.dbc)
    for message in layout.read(file):
        cycle_ms = own_ms.get(message.address, given_ms)
        pages = _telling(list(_pages(message, channels)))
        if pages:
            yield Message(cycle_ms / 1000 or spread_s, in_turn=cycle_ms > 0, pages=pages)
    for address, group in j1939.groups(file):
        fields = _written(group.group.fields, channels)
        pages = (Page(address, group.length, (), fields, is_group=True),)
        yield Message(spread_s, in_turn=False, pages=pages)


def _pages(message: MessageLayout, channels: tuple[Channel, ...]) -> Iterator[Page]:
    for selectors, fields in _branches(message.group):
        if fields:
            yield Page(message.address, message.length, selectors, _written(fields, channels))


def _telling(pages: list[Page]) -> tuple[Page, ...]:
    """Leave out a page of which another one says all, such as that of a shorter last row of cells."""
    said = [frozenset(channel for channel, _ in page.fields) for page in pages]
    kept = [
        page
        for i, page in enumerate(pages)
        if not any(said[i] < other or (said[i] == other and k < i) for k, other in enumerate(said))
    ]
    return tuple(kept)


def _written(fields: Iterable[Field], channels: tuple[Channel, ...]) -> tuple[tuple[Channel, FieldWriter], ...]:
    return tuple((channels[field.slot], FieldWriter.of(field)) for field in fields)


def _branches(group: Group) -> Iterator[tuple[tuple[tuple[Bits, int], ...], tuple[Field, ...]]]:
    """Yield what multiplexers say, and the fields that are then in the frame."""
    if not group.switches:
        yield (), group.fields
    for switch in group.switches:
        for number, branch in switch.groups.items():
            for selectors, fields in _branches(branch):
                raw = round((number - switch.bits.offset) / switch.bits.scale)
                yield ((switch.bits, raw), *selectors), (*group.fields, *fields)


def _cycles(dbc: bytes) -> tuple[float, dict[int, float]]:
    """Return the cycle in ms that the DBC gives all messages, 0 where none, and those of single ones by address."""
    default = _DEFAULT.search(dbc)
    own = {int(number): float(cycle) for number, cycle in _OWN.findall(dbc)}
    return float(default.group(1)) if default else 0.0, own


def _first_at(at_s: float, apart_s: float) -> int:
    """Return the number of the first multiple at or after `at_s`; a millionth of a step is taken for rounding."""
    return ceil(at_s / apart_s - 1e-6)
