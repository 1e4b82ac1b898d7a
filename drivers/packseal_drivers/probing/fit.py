"""Fit: how well a profile explains what was seen of a bus, and why."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from packseal.core.sample import ClockQuality, Flaw, Frame, Instant, LinkCounts
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.lines import Request
from packseal_drivers.probing.traffic import EXTENDED, Traffic
from packseal_drivers.profile import Content, Identify, ProfileFile
from packseal_drivers.sampler import Sampler

MAX_SFF = 0x7FF
FAR_NS = 1 << 62
SHORT_SHARE = 0.25
"""More frames shorter than the profile says: they are others of the same id."""
UNUSABLE_SHARE = 0.6
"""More values out of range: likewise. A battery in trouble, or without contactor, still says most of them rightly."""
NEAR_SHARE = 0.5
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
    profiles = [file.profile for file in files]
    answering = {answer_address(request) for profile in profiles for request in profile.request}
    contents = {content for profile in profiles if profile.identify for content in profile.identify.content}
    return Traffic(answering, contents)


def judge(files: Sequence[ProfileFile], traffic: Traffic) -> list[Fit]:
    """Return the profiles that fit, or of which at least half was seen; the best first.

    Raises:
        ConfigError: a profile and its DBC do not fit each other.
    """
    found = [fit for fit in (_judge(file, traffic) for file in files) if fit.fits or fit.share >= NEAR_SHARE]
    return sorted(found, key=lambda fit: (not fit.fits, -fit.proofs if fit.fits else -fit.share, fit.file.profile.name))


def known_ids(file: ProfileFile) -> frozenset[int]:
    """Return the ids that a profile has a word for: its DBC's messages, its answers, and its relatives'."""
    messages = {int(number) for number in _MESSAGE.findall(file.dbc)}
    requests = {a for r in file.profile.request for a in (address_of(r.to), answer_address(r))}
    identify = file.profile.identify
    proofs = {*identify.ids, *(c.id for c in identify.content)} if identify else set()
    return frozenset(messages | requests | proofs)


def answer_address(request: Request) -> int:
    """Return the address that frames of a request's answer have."""
    return address_of(request.answer)


def address_of(number: int) -> int:
    """Return a CAN id of a request as an address of a Frame."""
    return number | EXTENDED if number > MAX_SFF else number


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
    reasons += [f"{r.name} was answered" for r in _answered(file, traffic)]
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
    requests = file.profile.request
    answered = _answered(file, traffic)
    reasons = tuple(f"{shown(answer_address(r))} answered {r.name} ({r.ask})" for r in answered)
    if not requests:
        return Fit(file, 0.0, 0, (), ("it says nothing of how it is recognised",))
    share = len(answered) / len(requests)
    against = () if share >= NEAR_SHARE else (f"{len(answered)} of its {len(requests)} requests were answered",)
    return Fit(file, share, len(answered), reasons, against)


def _answered(file: ProfileFile, traffic: Traffic) -> list[Request]:
    def has(request: Request) -> bool:
        prefixes = traffic.answers.get(answer_address(request), {})
        return any(prefix.startswith(request.expected) for prefix in prefixes)

    return [request for request in file.profile.request if has(request)]


def _by_values(file: ProfileFile, traffic: Traffic) -> Iterator[str]:
    """Decode what was kept; yield why it cannot be this profile's."""
    decoders = compile_decoders(file)
    frames = sorted((f for a in decoders.table for f in _kept(traffic, a)), key=lambda f: f.mono_ns)
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
