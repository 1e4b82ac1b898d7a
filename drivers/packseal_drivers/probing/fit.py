"""Fit: how well a profile explains what was seen of a bus, and why."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from packseal.core.sample import ClockQuality, Flaw, Frame, Instant, LinkCounts
from packseal_drivers.answers import Answers, address_of
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.decoding.codes import ANSWERS, GROUPS
from packseal_drivers.identify import Content, Identify
from packseal_drivers.probing.traffic import EXTENDED, Traffic
from packseal_drivers.profile import ProfileFile
from packseal_drivers.sampler import Sampler

PDU2 = 0xF0
"""From this format on, the low byte of a group is its own; below, it is a destination."""
FAR_NS = 1 << 62  # after any time of a recording
SHORT_SHARE = 0.25
"""More frames shorter than the profile says: they are others of the same id."""
UNUSABLE_SHARE = 0.6
"""More values out of range: likewise. A battery in trouble, or without contactor, still says most of them rightly."""
NEAR_SHARE = 0.5
"""With less of what proves a profile there it is not even shown as near."""
_MESSAGE = re.compile(rb"^BO_ (\d+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fit:
    """One profile held against the traffic. `share` is how much of what proves it was there, from 0 to 1."""

    file: ProfileFile
    share: float
    proofs: int
    reasons: tuple[str, ...]
    against: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether it is this BMS, as far as can be told."""
        return bool(self.proofs) and not self.against


def listen_for(files: Iterable[ProfileFile]) -> Traffic:
    """Return a Traffic that notes what these profiles are recognised by."""
    asking = {file.path: Answers(file.profile) for file in files if file.profile.request or file.profile.pgn}
    contents = {c for file in files if file.profile.identify for c in file.profile.identify.content}
    return Traffic(asking, contents)


def judge(files: Sequence[ProfileFile], traffic: Traffic) -> list[Fit]:
    """Return the profiles that fit, or of which at least half was seen; the best first.

    Raises:
        ConfigError: a profile and its DBC do not fit each other.
    """
    found = [fit for fit in (_judge(file, traffic) for file in files) if fit.fits or fit.share >= NEAR_SHARE]
    return sorted(found, key=lambda fit: (not fit.fits, -fit.proofs if fit.fits else -fit.share, fit.file.profile.name))


def known_ids(file: ProfileFile, traffic: Traffic) -> frozenset[int]:
    """Return the ids, of those seen, that a profile has a word for: messages, answers, groups, proofs."""
    messages = {int(number) for number in _MESSAGE.findall(file.dbc)}
    requests = {address_of(i) for r in file.profile.request for i in (r.to, r.answer)}
    identify = file.profile.identify
    proofs = {*identify.ids, *(c.id for c in identify.content)} if identify else set()
    known = messages | requests | proofs
    groups = {pgn.pgn for pgn in file.profile.pgn}
    return frozenset(a for a in traffic.ids if a in known or (a & EXTENDED and group_of(a) in groups))


def group_of(address: int) -> int:
    """Return the parameter group number that a 29-bit id has on a J1939 bus (SAE J1939-21 §5.1)."""
    group = address >> 8 & 0x3FFFF
    return group & ~0xFF if group >> 8 & 0xFF < PDU2 else group


def shown(address: int) -> str:
    """Return an address as people write it: three digits for 11 bits, eight for 29."""
    return f"0x{address & ~EXTENDED:08X}" if address & EXTENDED else f"0x{address:03X}"


def _judge(file: ProfileFile, traffic: Traffic) -> Fit:
    identify = file.profile.identify
    fit = _by_ids(file, identify, traffic) if identify else _by_answers(file, traffic)
    if not fit.fits:
        return fit
    noise = ("so many ids, that hardly come again, are noise",) if traffic.is_noise else ()
    against = noise or tuple(_by_values(file, traffic))
    return Fit(file, fit.share, fit.proofs, fit.reasons, against)


def _by_ids(file: ProfileFile, identify: Identify, traffic: Traffic) -> Fit:
    seen = [i for i in identify.ids if i in traffic.ids]
    missing = [i for i in identify.ids if i not in traffic.ids]
    foreign = [i for i in identify.without if i in traffic.ids]
    unmet = _unmet(identify, traffic)
    against: list[str] = []
    if missing:
        against.append(f"{_listed(missing)} not seen")
        if traffic.span_s < identify.within_s:
            against.append(f"only {traffic.span_s:.1f} s were seen, and {identify.within_s:g} s may be needed")
    if foreign:
        against.append(f"{_listed(foreign)} seen, which a relative sends and this one does not")
    against += [f"{shown(c.id)} does not say {c.hex} from byte {c.at} on" for c in unmet]
    reasons = [f"{_listed(seen)} seen"] if seen else []
    reasons += [f"{shown(c.id)} says {c.hex}" for c in identify.content if c in traffic.met]
    reasons += _answered(file, traffic)
    places = len({(c.id, c.at) for c in identify.content})
    proofs = len(seen) + places - len(unmet)
    return Fit(file, proofs / (len(identify.ids) + places), proofs, tuple(reasons), tuple(against))


def _unmet(identify: Identify, traffic: Traffic) -> list[Content]:
    """Return one for each place where none of the allowed contents was met."""
    places: dict[tuple[int, int], list[Content]] = {}
    for content in identify.content:
        places.setdefault((content.id, content.at), []).append(content)
    return [contents[0] for contents in places.values() if traffic.met.isdisjoint(contents)]


def _by_answers(file: ProfileFile, traffic: Traffic) -> Fit:
    profile = file.profile
    count = len(profile.request) + len(profile.pgn)
    if not count:
        return Fit(file, 0.0, 0, (), ("it says nothing of how it is recognised",))
    reasons = _answered(file, traffic)
    share = len(reasons) / count
    against = () if share >= NEAR_SHARE else (f"only {len(reasons)} of its {count} answers or groups were seen",)
    return Fit(file, share, len(reasons), tuple(reasons), against)


def _answered(file: ProfileFile, traffic: Traffic) -> list[str]:
    """Return what was seen of a profile's answers and parameter groups, in words."""
    found = traffic.answered.get(file.path, {})
    requests, groups = file.profile.request, file.profile.pgn
    said = [f"{shown(address_of(r.answer))} answered {r.name}" for n, r in enumerate(requests) if ANSWERS + n in found]
    return said + [f"group {p.pgn} ({p.name}) seen" for n, p in enumerate(groups) if GROUPS + n in found]


def _by_values(file: ProfileFile, traffic: Traffic) -> Iterator[str]:
    """Decode the broadcast frames and groups that were kept; yield why they cannot be this profile's.

    Answers name what they answer, and some firmwares give shorter ones: nothing is to be seen from their values.
    """
    decoders = compile_decoders(file)
    answered = traffic.answered.get(file.path, {})
    groups = (f for address, kept in answered.items() if address >= GROUPS for f in kept)
    frames = sorted((*groups, *(f for a in decoders.table for f in _kept(traffic, a))), key=lambda f: f.mono_ns)
    counts = LinkCounts()
    sampler = Sampler(decoders, 0, counts)
    samples = [*sampler.feed(frames, _stamp), *sampler.finish(FAR_NS, _stamp)]
    if counts.short > SHORT_SHARE * len(frames):
        yield f"{counts.short} of {len(frames)} frames are shorter than those of this profile"
    good = sum(len(sample.values) for sample in samples)
    bad = sum(flaw in (Flaw.OUT_OF_RANGE, Flaw.NOT_A_NUMBER) for sample in samples for flaw in sample.flaws.values())
    if bad > UNUSABLE_SHARE * (good + bad):
        yield f"{bad} of {good + bad} values are out of range"


def _kept(traffic: Traffic, address: int) -> Iterable[Frame]:
    seen = traffic.ids.get(address)
    return seen.kept if seen else ()


def _stamp(mono_ns: int) -> Instant:
    return Instant(mono_ns, mono_ns, ClockQuality.UNSYNCHRONISED)


def _listed(addresses: Iterable[int]) -> str:
    return ", ".join(map(shown, addresses))
