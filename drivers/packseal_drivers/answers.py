"""Answers in recorded traffic: ISO-TP frames of all control units in, whole answers to a profile's requests out.

Pure, and asks nothing: the scan tool whose talk was recorded did.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from packseal.core.sample import Frame
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.framing.isotp import Broken, Fault, IsoTpFramer, Message
from packseal_drivers.lines import Request
from packseal_drivers.profile import Profile

EXTENDED = 0x8000_0000  # CAN_EFF_FLAG, linux/can.h
STANDARD_MAX = 0x7FF
LEGISLATED = range(0x7E8, 0x7F0)
"""Where control units answer OBD requests, ISO 15765-4 table 3: they are put together as well, and counted."""

NEGATIVE = 0x7F  # ISO 14229-1 §8.7: then the service that was asked, then why it is refused
PENDING = 0x78  # the answer itself comes later


def address_of(can_id: int) -> int:
    """Return an id of a [[request]] as it stands in frames: 29 bits where it is above 0x7FF."""
    return can_id | EXTENDED if can_id > STANDARD_MAX else can_id


@dataclass(slots=True)
class AnswerCounts:
    """What was met of questions and answers; only ever grows."""

    whole: int = 0
    """Messages put together."""
    decoded: int = 0
    """Of these, answers to requests of the profile."""
    refused: int = 0
    """Of these, a control unit's word that it will not, or not yet, answer."""
    other: int = 0
    """Of these, all the rest: answers to what the profile does not ask."""
    broken: Counter[Fault] = field(default_factory=Counter)
    """Messages given up, by why."""


class Answers:
    """Finds the answers to a profile's requests. `addresses` are those whose frames must be given."""

    def __init__(self, profile: Profile) -> None:
        self._requests: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        for number, request in enumerate(profile.request):
            self._requests[address_of(request.answer)].append((number, request.expected))
        self._framers: dict[int, IsoTpFramer] = {}
        self.addresses = frozenset(self._requests) | (frozenset(LEGISLATED) if profile.request else frozenset())
        self.asked = frozenset(address_of(request.to) for request in profile.request)
        self.counts = AnswerCounts()

    def feed(self, frame: Frame) -> list[Frame]:
        """Return what is whole with this frame of one of `addresses`, each as the decoders want it: at ANSWERS + n."""
        framer = self._framers.get(frame.address)
        if framer is None:
            framer = self._framers[frame.address] = IsoTpFramer()
        found = []
        for event in framer.feed(frame.data, frame.mono_ns):
            if isinstance(event, Broken):
                self.counts.broken[event.fault] += 1
            elif isinstance(event, Message):
                found += self._answer(self._requests.get(frame.address, ()), event.payload, frame.mono_ns)
        return found

    def finish(self) -> None:
        """Count what was under way when the recording ended."""
        if unfinished := sum(framer.busy for framer in self._framers.values()):
            self.counts.broken[Fault.TIMEOUT] += unfinished

    def _answer(self, requests: Iterable[tuple[int, bytes]], payload: bytes, mono_ns: int) -> list[Frame]:
        self.counts.whole += 1
        found = [Frame(ANSWERS + n, payload, mono_ns) for n, expected in requests if payload.startswith(expected)]
        if found:
            self.counts.decoded += 1
        elif payload[0] == NEGATIVE:
            self.counts.refused += 1
        else:
            self.counts.other += 1
        return found


def answered(profile: Profile, payload: bytes) -> list[tuple[int, Request]]:
    """Return the requests, with their numbers, that `payload` answers, whoever sent it."""
    return [(n, r) for n, r in enumerate(profile.request) if payload.startswith(r.expected)]
