"""Poller: asks a vehicle's control units for what a profile wants to know. Pure; a driver carries its frames.

All the control units of a bus share one rate, and each is asked one thing at a time.
"""

from collections.abc import Iterable, Sequence

from packseal.core.sample import NS_PER_S, Frame, Instant, LinkCounts, Notice
from packseal_drivers.allowlist import EFF_FLAG, can_address, is_functional
from packseal_drivers.ecu import Ecu, Line
from packseal_drivers.guard import Guard, Lane, Permitted
from packseal_drivers.lines import Request

PROTOCOLS = ("uds", "obd")
PER_SECOND = 20
SLOT_NS = NS_PER_S // PER_SECOND
"""Two requests on one bus are at least so far apart: under 1 % of a 500 kbit/s bus at some 120 bits a frame."""
QUIET_NS = 5 * NS_PER_S
"""A bus that was quiet for so long was asleep; the next frame means that it has woken up."""
BLOCK_SIZE = SEPARATION = 0
"""ISO 15765-4: a tester lets the ECU send all of its answer, as fast as it can."""

FIRST_PHYSICAL_ANSWER, LAST_PHYSICAL_ANSWER = 0x7E8, 0x7EF  # ISO 15765-4, legislated diagnostics
ANSWER_OFFSET = 8  # likewise: who is asked at 0x7E0 answers at 0x7E8


class Poller:
    """Asks the requests of one profile, and gives their answers as frames whose address is ANSWERS plus the number.

    Args:
        requests: all of the profile's; those of other protocols than uds and obd are left to others.
        guard: permits what is sent; made with the lanes of the same requests.
        counts: of the link.
        block_size: of flow control; 0: no blocks.
        separation: STmin of flow control, as ISO 15765-2 writes it.

    Raises:
        RefusedRequest: a request is not a read.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        guard: Guard,
        counts: LinkCounts,
        *,
        block_size: int = BLOCK_SIZE,
        separation: int = SEPARATION,
    ) -> None:
        lines: dict[int, list[Line]] = {}
        for number, request in enumerate(requests):
            if request.protocol not in PROTOCOLS:
                continue
            frame = guard.permit_request(request.protocol, request.to, request.payload)
            to = _physical(request)
            go_on = None if to is None else guard.permit_flow_control(request.protocol, to, block_size, separation)
            lines.setdefault(can_address(request.answer), []).append(Line(number, request, frame, go_on))
        self._ecus = {answer: Ecu(answer, own, counts, block_size) for answer, own in lines.items()}
        self.addresses = frozenset(self._ecus)
        self._slot_ns = 0
        self._heard_ns = 0

    def knows(self, address: int) -> bool:
        """Whether a frame of this address is part of an answer."""
        return address in self.addresses

    def opened(self, now: Instant) -> None:
        """Note that the wire is a new one."""
        self._heard_ns = now.mono_ns
        for ecu in self._ecus.values():
            ecu.opened()

    def take(self, frames: Iterable[Frame]) -> list[Frame]:
        """Return the frames with each answer that is now whole behind its last frame; the answers' own are left out."""
        passed: list[Frame] = []
        for frame in frames:
            self._wake(frame.mono_ns)
            ecu = self._ecus.get(frame.address)
            passed += [frame] if ecu is None else ecu.take(frame.data, frame.mono_ns)
        return passed

    def due(self, now: Instant) -> list[Permitted]:
        """Return what is to be sent now: flow control at once, and a request where its turn has come."""
        frames: list[Permitted] = []
        for ecu in self._ecus.values():
            frames += ecu.outgoing
            ecu.outgoing.clear()
        waiting = [(ecu, line) for ecu in self._ecus.values() if (line := ecu.ready(now.mono_ns)) is not None]
        if waiting and now.mono_ns >= self._slot_ns:
            ecu, line = min(waiting, key=lambda pair: pair[1].due_ns)
            frames.append(ecu.ask(line, now.mono_ns))
            self._slot_ns = now.mono_ns + SLOT_NS
        return frames

    def notices(self, now: Instant) -> list[Notice]:
        """Return what is to be told of the control units."""
        return [notice for ecu in self._ecus.values() for notice in ecu.notices(now)]

    def _wake(self, mono_ns: int) -> None:
        if mono_ns - self._heard_ns >= QUIET_NS:
            for ecu in self._ecus.values():
                ecu.wake(mono_ns)
        self._heard_ns = mono_ns


def lanes(requests: Iterable[Request]) -> list[Lane]:
    """Return where requests and the flow control of their answers go, for the guard."""
    found = []
    for request in requests:
        found.append(Lane(request.protocol, request.to))
        to = _physical(request)
        if to is not None:
            found.append(Lane(request.protocol, to))
    return found


def _physical(request: Request) -> int | None:
    """Return the CAN id of the one ECU that answers; of functional requests by the rules of ISO 15765-4."""
    if not is_functional(can_address(request.to)):
        return request.to
    answer = can_address(request.answer)
    if FIRST_PHYSICAL_ANSWER <= answer <= LAST_PHYSICAL_ANSWER:
        return request.answer - ANSWER_OFFSET
    if answer & EFF_FLAG and answer >> 16 & 0xFF == 0xDA:  # noqa: PLR2004 - normal fixed: target and source change places
        return request.answer & 0x1FFF_0000 | (request.answer & 0xFF) << 8 | request.answer >> 8 & 0xFF
    return None
