"""Allow-list: which frames may leave the gateway, by protocol. Pure; what is not named here is refused.

`refusal` looks at the very bytes of a frame, so whoever made them need not be believed. docs/read-only.md is its page.
"""

from typing import Literal

from packseal_drivers.framing.isotp import CLASSIC_BYTES, CONTINUE, FLOW_CONTROL, PADDING, SINGLE, single_frame

Protocol = Literal["uds", "obd", "j1939", "sdo"]

EFF_FLAG = 0x8000_0000  # linux/can.h
SFF_MASK, EFF_MASK = 0x7FF, 0x1FFF_FFFF  # likewise

READ_DATA, READ_FAULTS, TESTER_PRESENT = 0x22, 0x19, 0x3E  # ISO 14229-1
OBD_READS = (0x01, 0x09)  # SAE J1979: current data, vehicle information
LOWEST_DIAGNOSTIC = 0x680
"""Control frames and CANopen lie below; ISO 15765-4 uses 0x7DF to 0x7EF, BMW 0x6F1, Renault 0x79B."""
FUNCTIONAL = 0x7DF  # ISO 15765-4: every ECU hears it
DIAGNOSTIC_FORMATS = (0xDA, 0xDB, 0xCD, 0xCE)  # ISO 15765-2: normal fixed and mixed, physical and functional
FUNCTIONAL_FORMATS = (0xDB, 0xCD)  # of these

REQUEST_FORMAT, MANAGEMENT_FORMAT = 0xEA, 0xEC  # SAE J1939-21: PGN 59904, and TP.CM of PGN 60416
REQUEST_BYTES = 3  # a request is the PGN that is asked for
CLEAR_TO_SEND, END_OF_MESSAGE_ACK = 17, 19  # control bytes of TP.CM
GLOBAL = 0xFF  # the destination that means all
ADDRESS_CLAIMED, BROADCAST = 0xEE00, 0xF000  # PGNs: from BROADCAST on, parameters that are sent to all
MAX_PGN = 0x1_FFFF  # both data pages
CLEARS_FAULTS = (0xFECC, 0xFED3)
"""SAE J1939-73, DM3 and DM11: to ask for them is to clear the trouble codes."""

SDO_BASE, SDO_NODES = 0x600, 127  # CiA 301: node n is asked at 0x600 + n
UPLOAD, SEGMENTS, ABORT = 0x40, (0x60, 0x70), 0x80  # CiA 301 §7.2.4.3: a client's first byte; segments by toggle bit


def can_address(can_id: int) -> int:
    """Return the address of a CAN id as a profile writes it: the flag of 29 bits is added above 0x7FF."""
    return can_id | EFF_FLAG if can_id > SFF_MASK else can_id


def refusal(protocol: Protocol, address: int, data: bytes) -> str | None:
    """Return why a frame may not leave, in a few words; None where it may.

    Args:
        protocol: what the other side is spoken to in.
        address: CAN id with the flag of 29 bits where it has so many.
        data: all of the frame's bytes.
    """
    limit = EFF_MASK if address & EFF_FLAG else SFF_MASK
    if not 0 <= address & ~EFF_FLAG <= limit:
        return "no data frame's id"
    if protocol == "j1939":
        return _j1939(address, data)
    if protocol == "sdo":
        return _sdo(address, data)
    return _iso_tp(protocol, address, data)


def request_refusal(protocol: Protocol, to: int, payload: bytes) -> str | None:
    """Return why a profile's request may not leave; None where it may."""
    if not 0 < len(payload) < CLASSIC_BYTES:
        return "a request of more than one frame"
    return refusal(protocol, can_address(to), single_frame(payload))


def is_functional(address: int) -> bool:
    """Whether every ECU hears what is sent there, and not one alone."""
    if not address & EFF_FLAG:
        return address == FUNCTIONAL
    return not _page(address) and _format(address) in FUNCTIONAL_FORMATS


def _iso_tp(protocol: Protocol, address: int, data: bytes) -> str | None:
    if address & EFF_FLAG:
        if not _page(address) and _format(address) not in DIAGNOSTIC_FORMATS:
            return "an id that J1939 uses for control"
    elif address < LOWEST_DIAGNOSTIC:
        return f"an id below 0x{LOWEST_DIAGNOSTIC:X}, where control frames are"
    if len(data) != CLASSIC_BYTES:
        return "a frame that has not 8 bytes"
    if data[0] >> 4 == FLOW_CONTROL:
        return _flow_control(address, data)
    return _single(protocol, address, data)


def _flow_control(address: int, data: bytes) -> str | None:
    if is_functional(address):
        return "flow control to every ECU"
    return _padded(data, 3) if data[0] == CONTINUE else "flow control that does not let the sender go on"


def _single(protocol: Protocol, address: int, data: bytes) -> str | None:
    if data[0] >> 4 != SINGLE:
        return "a request of more than one frame"
    if not 0 < data[0] < CLASSIC_BYTES:
        return "a wrong length"
    payload = data[1 : 1 + data[0]]
    reason = _obd(payload) if protocol == "obd" else _uds(payload, functional=is_functional(address))
    return reason or _padded(data, 1 + data[0])


def _uds(payload: bytes, *, functional: bool) -> str | None:
    service, rest = payload[0], payload[1:]
    if service not in (READ_DATA, READ_FAULTS, TESTER_PRESENT):
        return f"UDS service 0x{service:02X}"
    if functional:
        return "UDS to every ECU"
    if service == READ_DATA:
        return None if rest and len(rest) % 2 == 0 else "UDS service 0x22 without whole identifiers"
    if service == TESTER_PRESENT:
        return None if rest in (b"\x00", b"\x80") else "UDS service 0x3E with a sub-function"
    return None if rest else "UDS service 0x19 without a sub-function"


def _obd(payload: bytes) -> str | None:
    if payload[0] not in OBD_READS:
        return f"OBD service 0x{payload[0]:02X}"
    return None if len(payload) > 1 else "an OBD service without a parameter"


def _j1939(address: int, data: bytes) -> str | None:
    if not address & EFF_FLAG or _page(address):
        return "no J1939 id"
    if _format(address) == REQUEST_FORMAT:
        return _pgn_request(data)
    if _format(address) != MANAGEMENT_FORMAT:
        return f"J1939 PDU format 0x{_format(address):02X}"
    if len(data) != CLASSIC_BYTES or data[0] not in (CLEAR_TO_SEND, END_OF_MESSAGE_ACK):
        return "a J1939 transfer of our own"
    return "J1939 flow control to every node" if address >> 8 & 0xFF == GLOBAL else None


def _pgn_request(data: bytes) -> str | None:
    if len(data) != REQUEST_BYTES:
        return "a J1939 request that has not 3 bytes"
    pgn = int.from_bytes(data, "little")
    if pgn in CLEARS_FAULTS:
        return f"J1939 request of PGN {pgn}, which clears trouble codes"
    for_all = pgn & 0xFFFF >= BROADCAST and pgn <= MAX_PGN
    return None if for_all or pgn == ADDRESS_CLAIMED else f"J1939 request of PGN {pgn}, which is sent to one node"


def _sdo(address: int, data: bytes) -> str | None:
    if not SDO_BASE < address <= SDO_BASE + SDO_NODES:
        return "no CANopen SDO id"
    if len(data) != CLASSIC_BYTES:
        return "a frame that has not 8 bytes"
    if data[0] == UPLOAD:
        return _padded(data, 4)
    if data[0] in SEGMENTS:
        return _padded(data, 1)
    return None if data[0] == ABORT else f"CANopen SDO command 0x{data[0]:02X}"


def _padded(data: bytes, start: int) -> str | None:
    return None if all(b == PADDING for b in data[start:]) else "bytes behind the request"


def _page(address: int) -> int:
    """Return both page bits: 0 is where J1939 has its control frames (SAE J1939-21)."""
    return address >> 24 & 0x03


def _format(address: int) -> int:
    return address >> 16 & 0xFF
