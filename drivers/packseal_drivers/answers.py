"""Answers in recorded traffic: frames of all control units in, whole answers and groups that a profile names out.

Pure, and asks nothing: the scan tool whose talk was recorded did.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from packseal.core.sample import Frame
from packseal_drivers.decoding.codes import ANSWERS
from packseal_drivers.framing import j1939, sdo
from packseal_drivers.framing.isotp import Broken, Fault, IsoTpFramer, Message
from packseal_drivers.framing.sdo import SdoFramer
from packseal_drivers.groups import Groups
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
    broken: Counter[Fault | j1939.Fault | sdo.Fault] = field(default_factory=Counter)
    """Messages given up, by why."""


class Answers:
    """Finds the answers to a profile's requests, and its parameter groups.

    `addresses` contain those whose frames must be given, `asked` those of questions.
    """

    def __init__(self, profile: Profile) -> None:
        self._requests: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
        objects: set[int] = set()
        for number, request in enumerate(profile.request):
            self._requests[address_of(request.answer)].append((number, request.expected))
            if request.protocol == "sdo":
                objects.add(request.answer)
        self._framers: dict[int, IsoTpFramer] = {}
        self._objects = {address: SdoFramer() for address in objects}
        self._groups = Groups(profile.pgn)
        legislated = any(request.protocol != "sdo" for request in profile.request)
        answers = frozenset(self._requests) | (frozenset(LEGISLATED) if legislated else frozenset())
        self.addresses = _Addresses(answers, self._groups)
        self.asked = frozenset(address_of(request.to) for request in profile.request)
        self.counts = AnswerCounts()

    def feed(self, frame: Frame) -> list[Frame]:
        """Return what is whole with this frame of one of `addresses`, each as the decoders want it: at ANSWERS + n."""
        found = self._group(frame) if frame.address in self._groups else []
        payloads = self._object(frame) if frame.address in self._objects else self._messages(frame)
        for payload in payloads:
            found += self._answer(self._requests.get(frame.address, ()), payload, frame.mono_ns)
        return found

    def finish(self) -> None:
        """Count what was under way when the recording ended."""
        unfinished = sum(f.busy for f in self._framers.values()) + sum(f.busy for f in self._objects.values())
        if unfinished := unfinished + self._groups.busy:
            self.counts.broken[Fault.TIMEOUT] += unfinished

    def _group(self, frame: Frame) -> list[Frame]:
        broken_before = self._groups.broken.copy()
        found = self._groups.feed(frame)
        self._groups.events.clear()
        self.counts.broken.update(self._groups.broken - broken_before)
        self.counts.whole += len(found)
        self.counts.decoded += len(found)
        return found

    def _object(self, frame: Frame) -> list[bytes]:
        events = self._objects[frame.address].feed(frame.data, frame.mono_ns)
        self.counts.broken.update(event.fault for event in events if isinstance(event, sdo.Broken))
        self.counts.refused += sum(isinstance(event, sdo.Aborted) for event in events)
        return [event.payload for event in events if isinstance(event, sdo.Value)]

    def _messages(self, frame: Frame) -> list[bytes]:
        if frame.address not in self.addresses.answers:
            return []
        framer = self._framers.get(frame.address)
        if framer is None:
            framer = self._framers[frame.address] = IsoTpFramer()
        events = framer.feed(frame.data, frame.mono_ns)
        self.counts.broken.update(event.fault for event in events if isinstance(event, Broken))
        return [event.payload for event in events if isinstance(event, Message)]

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


@dataclass(frozen=True, slots=True)
class _Addresses:
    """The ids of answers, and those of parameter groups, which no list could name."""

    answers: frozenset[int]
    groups: Groups

    def __contains__(self, address: object) -> bool:
        return address in self.answers or address in self.groups
