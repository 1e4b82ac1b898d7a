"""What the product makes of frames: its decoders, its askers and its sampler, fed without a wire."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from packseal.core.quantities import Channel
from packseal.core.sample import NS_PER_S, ClockQuality, Flaw, Frame, Instant, LinkCounts
from packseal_drivers import asking
from packseal_drivers import profile as profiles
from packseal_drivers.decoding import Decoders, answer, compile_decoders, layout
from packseal_drivers.decoding.layout import Field, Group
from packseal_drivers.decoding.physical import good_raws, physical
from packseal_drivers.sampler import Sampler
from packseal_hil.faces import CanFace, UdsFace
from packseal_hil.rig.protocols import CanFrame

Said = dict[Channel, float]
Flaws = dict[Channel, Flaw]

WITH_DBC = [name for name in profiles.names() if profiles.load(name).profile.signal]
WITH_GROUPS = [name for name in profiles.names() if profiles.load(name).profile.pgn]
ASKED = [name for name in profiles.names() if profiles.load(name).profile.request]


def stamp(mono_ns: int) -> Instant:
    return Instant(mono_ns, mono_ns, ClockQuality.UNSYNCHRONISED)


@cache
def decoders_of(name: str) -> Decoders:
    """Return them made once: a path must not be used again for another profile."""
    return compile_decoders(profiles.load(name))


@cache
def face_of(name: str) -> CanFace:
    return CanFace(name)


@cache
def fields_of(name: str) -> dict[Channel, Field]:
    """Return the field of every channel."""
    file = profiles.load(name)
    channels = file.profile.channels
    found: dict[Channel, Field] = {}

    def walk(group: Group) -> None:
        found.update({channels[f.slot]: f for f in group.fields})
        for switch in group.switches:
            for branch in switch.groups.values():
                walk(branch)

    for message in (*layout.read(file), *answer.read(file)):
        walk(message.group)
    return found


def range_of(field: Field) -> tuple[float, float]:
    """Return the least and greatest value that the field and the profile allow; of a float, the profile's."""
    bits, line = field.bits, field.line
    if bits.is_float:
        return (
            -1e3 if line.minimum is None else line.minimum,
            1e3 if line.maximum is None else line.maximum,
        )
    low, high = good_raws(bits, line)
    if field.greatest is not None:
        high = min(high, field.greatest)
    ends = sorted((physical(bits, line, low), physical(bits, line, high)))
    return ends[0], ends[1]


def step_of(field: Field) -> float:
    """Return the distance between two values of the field."""
    bits = field.bits
    return 0.01 if bits.is_float else abs(bits.scale * field.line.factor)


def heard(name: str, frames: Iterable[CanFrame]) -> tuple[Said, Flaws]:
    """Return what the product reads out of frames that all come at one moment."""
    profile = face_of(name).profile
    sampler = Sampler(decoders_of(name), 0, LinkCounts())
    asker = asking.ask(profile, LinkCounts()).asker if profile.pgn or profile.request else None
    raw = [Frame(f.address, f.data, NS_PER_S) for f in frames]
    sampler.feed(asker.take(raw) if asker else raw, stamp)
    samples = sampler.finish(2 * NS_PER_S, stamp)
    return (dict(samples[0].values), dict(samples[0].flaws)) if samples else ({}, {})


class Conversation:
    """The product asks a face, tick by tick of a clock of their own."""

    def __init__(self, name: str, face: UdsFace, tick_s: float = 0.01) -> None:
        self.face = face
        self.counts = LinkCounts()
        self.asking = asking.ask(face.profile, self.counts)
        self.sampler = Sampler(decoders_of(name), 0, self.counts)
        self.said: Said = {}
        self.flaws: Flaws = {}
        self.sent: list[CanFrame] = []
        self.now_s = 1.0
        self.tick_s = tick_s
        self.notices: list[Any] = []
        self.asking.asker.opened(stamp(NS_PER_S))

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        pending: list[CanFrame] = []
        guard = self.asking.guard
        assert guard is not None
        while self.now_s < end_s:
            self.now_s += self.tick_s
            now_ns = round(self.now_s * NS_PER_S)
            frames = self.asking.asker.take([Frame(f.address, f.data, now_ns) for f in pending])
            for sample in [*self.sampler.feed(frames, stamp), *self.sampler.finish(now_ns, stamp)]:
                self.said.update(sample.values)
                self.flaws.update(sample.flaws)
            pending = self.face.tick(self.now_s)
            for permitted in self.asking.asker.due(stamp(now_ns)):
                address, data = guard.check(permitted)
                pending += self.face.hear(CanFrame(address, bytes(data)), self.now_s)
            self.sent += pending
            self.notices += self.asking.asker.notices(stamp(now_ns))


def values_at(name: str, part: float, spread: Mapping[Channel, float] | None = None) -> Said:
    """Return a value for every channel, `part` of the way through its range; `spread` shifts single ones."""
    values: Said = {}
    for number, (channel, field) in enumerate(fields_of(name).items()):
        low, high = range_of(field)
        own = (part + 0.137 * number) % 1 if spread is None else spread.get(channel, part)
        values[channel] = low + own * (high - low)
    return values
