"""Guard: the one class through which every outgoing frame passes. Links send nothing else.

A frame must be on the allow-list, and go where the profile's requests go. It is looked at twice: when it is permitted,
and by the link just before it leaves, so a forged permission is worth nothing.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from packseal.core.errors import LinkError
from packseal.core.sample import LinkCounts
from packseal_drivers.allowlist import (
    ABORT,
    CLEAR_TO_SEND,
    EFF_FLAG,
    END_OF_MESSAGE_ACK,
    MANAGEMENT_FORMAT,
    REQUEST_FORMAT,
    SDO_BASE,
    SEGMENTS,
    UPLOAD,
    Protocol,
    can_address,
    refusal,
)
from packseal_drivers.framing.isotp import flow_control, single_frame

MAX_REASONS = 64
"""So many different reasons are counted apart; the rest together."""
J1939_PRIORITY = 6  # SAE J1939-21: of requests; of transport management 7 is the default, 6 is heard as well


class RefusedRequest(LinkError):  # noqa: N818 - it is the request that is wrong, not the link
    """Someone wanted to send what must not leave the gateway. It has been counted and was not sent."""


@dataclass(frozen=True, slots=True, eq=False)
class Permitted:
    """A frame that may leave. Only a Guard makes one that a link accepts: `seal` is known to nobody else."""

    address: int
    data: bytes
    seal: object


class Lane(NamedTuple):
    """Where a profile's requests go. `to`: CAN id as in the profile; for J1939 our own source address."""

    protocol: Protocol
    to: int


class Guard:
    """Permits or refuses, and counts what it refuses: `counts.refused`, and by reason in `refused`.

    Args:
        lanes: of one profile; nothing is sent anywhere else.
        counts: of the link.
    """

    def __init__(self, lanes: Iterable[Lane], counts: LinkCounts) -> None:
        self._lanes = frozenset(lanes)
        self._counts = counts
        self._seal = object()
        self.refused: Counter[str] = Counter()

    def permit_request(self, protocol: Protocol, to: int, payload: bytes) -> Permitted:
        """Permit a UDS or OBD request of one frame; raises RefusedRequest."""
        try:
            data = single_frame(payload)
        except ValueError:
            self._refuse("a request of more than one frame" if payload else "an empty request")
        return self.permit_frame(protocol, can_address(to), data)

    def permit_flow_control(self, protocol: Protocol, to: int, block_size: int = 0, separation: int = 0) -> Permitted:
        """Permit that the ECU which is asked at `to` goes on with its answer; raises RefusedRequest."""
        return self.permit_frame(protocol, can_address(to), flow_control(block_size & 0xFF, separation & 0xFF))

    def permit_pgn_request(self, source: int, destination: int, pgn: int) -> Permitted:
        """Permit the question for a parameter group; `destination` 255 asks all nodes; raises RefusedRequest."""
        return self._permit_j1939(REQUEST_FORMAT, source, destination, _pgn(pgn))

    def permit_clear_to_send(self, source: int, destination: int, packets: int, first: int, pgn: int) -> Permitted:
        """Permit that a node sends `packets` of its transfer, from number `first` on; raises RefusedRequest."""
        head = bytes((CLEAR_TO_SEND, packets & 0xFF, first & 0xFF, 0xFF, 0xFF))
        return self._permit_j1939(MANAGEMENT_FORMAT, source, destination, head + _pgn(pgn))

    def permit_end_of_message(self, source: int, destination: int, size: int, packets: int, pgn: int) -> Permitted:
        """Permit the word that a transfer has arrived; raises RefusedRequest."""
        head = bytes((END_OF_MESSAGE_ACK,)) + (size & 0xFFFF).to_bytes(2, "little") + bytes((packets & 0xFF, 0xFF))
        return self._permit_j1939(MANAGEMENT_FORMAT, source, destination, head + _pgn(pgn))

    def permit_upload(self, node: int, index: int, subindex: int) -> Permitted:
        """Permit the reading of an object (CiA 301, SDO upload); raises RefusedRequest."""
        return self.permit_frame("sdo", SDO_BASE + node, _sdo(UPLOAD, index, subindex, 0))

    def permit_segment(self, node: int, *, toggle: bool) -> Permitted:
        """Permit the reading of the next segment; raises RefusedRequest."""
        return self.permit_frame("sdo", SDO_BASE + node, _sdo(SEGMENTS[toggle], 0, 0, 0))

    def permit_upload_abort(self, node: int, index: int, subindex: int, code: int) -> Permitted:
        """Permit the end of an upload before its end; raises RefusedRequest."""
        return self.permit_frame("sdo", SDO_BASE + node, _sdo(ABORT, index, subindex, code))

    def permit_frame(self, protocol: Protocol, address: int, data: bytes) -> Permitted:
        """Permit a frame as it is; raises RefusedRequest.

        Args:
            protocol: whose allow-list it must be on.
            address: CAN id, with 0x8000_0000 set for 29 bits.
            data: its bytes.
        """
        reason = self._reason(protocol, address, data)
        if reason:
            self._refuse(reason)
        return Permitted(address, bytes(data), self._seal)

    def check(self, permitted: Permitted) -> tuple[int, bytes]:
        """Return address and data of what this guard has permitted; raises RefusedRequest for all else."""
        if type(permitted) is not Permitted:
            self._refuse("a frame that no guard has seen")
        if permitted.seal is not self._seal:
            self._refuse("a forged permission")
        address, data = permitted.address, permitted.data
        whole = type(address) is int and type(data) is bytes
        if not whole or all(self._reason(protocol, address, data) for protocol in {p for p, _ in self._lanes}):
            self._refuse("a permission changed afterwards")
        return address, data

    def _permit_j1939(self, pdu_format: int, source: int, destination: int, data: bytes) -> Permitted:
        identifier = J1939_PRIORITY << 26 | pdu_format << 16 | (destination & 0xFF) << 8 | source & 0xFF
        return self.permit_frame("j1939", EFF_FLAG | identifier, data)

    def _reason(self, protocol: Protocol, address: int, data: bytes) -> str | None:
        if not self._goes_there(protocol, address):
            return "an id that no request of the profile has"
        return refusal(protocol, address, data)

    def _goes_there(self, protocol: Protocol, address: int) -> bool:
        if protocol == "j1939":
            return Lane(protocol, address & 0xFF) in self._lanes
        return any(lane.protocol == protocol and can_address(lane.to) == address for lane in self._lanes)

    def _refuse(self, reason: str) -> NoReturn:
        self._counts.refused += 1
        self.refused[reason if reason in self.refused or len(self.refused) < MAX_REASONS else "others"] += 1
        raise RefusedRequest(f"not sent, because packseal only reads: {reason}")


def _pgn(pgn: int) -> bytes:
    return (pgn & 0xFF_FFFF).to_bytes(3, "little")


def _sdo(command: int, index: int, subindex: int, value: int) -> bytes:
    head = bytes((command,)) + (index & 0xFFFF).to_bytes(2, "little") + bytes((subindex & 0xFF,))
    return head + (value & 0xFFFF_FFFF).to_bytes(4, "little")
