"""Every road by which something other than a read might leave the gateway, and the table of them in docs/read-only.md.

`python -m tests.drivers.attempts` writes the table anew.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from packseal.core.sample import LinkCounts
from packseal_drivers.guard import Guard, Lane, Permitted, RefusedRequest

PAGE = Path(__file__).parents[2] / "docs" / "read-only.md"
TABLE = re.compile(r"(<!-- made: attempts -->\n).*?(<!-- end -->)", re.DOTALL)

UDS, OBD, WIDE, SOURCE, SDO = 0x7E4, 0x7DF, 0x18DA_DBF1, 0xF9, 0x610
EFF = 0x8000_0000
LANES = (
    Lane("uds", UDS),
    Lane("uds", OBD),
    Lane("uds", WIDE),
    Lane("uds", 0x18DB_33F1),
    Lane("uds", 0x351),
    Lane("uds", 0x0C00_0003),
    Lane("obd", UDS),
    Lane("obd", OBD),
    Lane("j1939", SOURCE),
    Lane("sdo", SDO),
    Lane("sdo", 0x000),
    Lane("sdo", 0x200 + 16),
)
"""Even a profile that asks everywhere gets no further."""


class Sends(Protocol):
    """What a link has."""

    def send(self, permitted: Permitted) -> bool: ...


Way = Callable[[Guard, Sends], object]


class Attempt(NamedTuple):
    """One road: what is tried, in words, and the trying."""

    what: str
    way: Way


def uds(what: str, payload: str, to: int = UDS) -> Attempt:
    data = bytes.fromhex(payload)
    return Attempt(f"{what}: `{data.hex(' ').upper()}` to 0x{to:X}", lambda g, _: g.permit_request("uds", to, data))


def obd(what: str, payload: str, to: int = OBD) -> Attempt:
    data = bytes.fromhex(payload)
    return Attempt(f"{what}: `{data.hex(' ').upper()}` to 0x{to:X}", lambda g, _: g.permit_request("obd", to, data))


def raw(what: str, address: int, payload: str, protocol: Any = "uds") -> Attempt:
    data = bytes.fromhex(payload)
    shown = f"`{data.hex(' ').upper()}` at 0x{address & ~EFF if address >> 31 == 1 else address:X}"
    return Attempt(f"{what}: {shown}", lambda g, _: g.permit_frame(protocol, address, data))


def _borrowed_seal(guard: Guard, link: Sends) -> bool:
    seal = guard.permit_request("uds", UDS, b"\x22\x01\x01").seal
    return link.send(Permitted(UDS, bytes.fromhex("0211010000000000"), seal))


def _changed(guard: Guard, link: Sends) -> bool:
    permitted = guard.permit_request("uds", UDS, b"\x22\x01\x01")
    object.__setattr__(permitted, "data", bytes.fromhex("0211030000000000"))
    return link.send(permitted)


def _redirected(guard: Guard, link: Sends) -> bool:
    permitted = guard.permit_request("uds", UDS, b"\x22\x01\x01")
    object.__setattr__(permitted, "address", 0x7E0)
    return link.send(permitted)


def _bytearray(guard: Guard, link: Sends) -> bool:
    permitted = guard.permit_request("uds", UDS, b"\x22\x01\x01")
    object.__setattr__(permitted, "data", bytearray(permitted.data))  # could change between the check and the sending
    return link.send(permitted)


def _other_guard(_: Guard, link: Sends) -> bool:
    return link.send(Guard(LANES, LinkCounts()).permit_request("uds", UDS, b"\x22\x01\x01"))


def _subclass(guard: Guard, link: Sends) -> bool:
    class Better(Permitted):
        pass

    permitted = guard.permit_request("uds", UDS, b"\x22\x01\x01")
    return link.send(Better(permitted.address, permitted.data, permitted.seal))


def _tuple(_: Guard, link: Sends) -> bool:
    frame: Any = (UDS, bytes.fromhex("0211010000000000"))
    return link.send(frame)


ATTEMPTS = (
    uds("UDS DiagnosticSessionControl, programming", "10 02"),
    uds("UDS DiagnosticSessionControl, extended", "10 03"),
    uds("UDS ECUReset", "11 01"),
    uds("UDS ClearDiagnosticInformation", "14 FF FF FF"),
    uds("UDS ReadMemoryByAddress", "23 11 00 10"),
    uds("UDS SecurityAccess, seed", "27 01"),
    uds("UDS SecurityAccess, key", "27 02 12 34"),
    uds("UDS CommunicationControl", "28 03 01"),
    uds("UDS Authentication", "29 00"),
    uds("UDS WriteDataByIdentifier", "2E F1 90 00"),
    uds("UDS InputOutputControlByIdentifier", "2F 01 01 03"),
    uds("UDS RoutineControl", "31 01 02 03"),
    uds("UDS RequestDownload", "34 00 11 00 01"),
    uds("UDS RequestUpload", "35 00 11 00 01"),
    uds("UDS TransferData", "36 01 00"),
    uds("UDS RequestTransferExit", "37"),
    uds("UDS RequestFileTransfer", "38 01 00 01 41"),
    uds("UDS WriteMemoryByAddress", "3D 11 00 01 00"),
    uds("UDS AccessTimingParameter", "83 03"),
    uds("UDS SecuredDataTransmission", "84 00"),
    uds("UDS ControlDTCSetting", "85 02"),
    uds("UDS LinkControl", "87 01 03"),
    uds("KWP2000 startDiagnosticSession", "10 81"),
    uds("UDS half an identifier", "22 01"),
    uds("UDS tester present with a sub-function", "3E 01"),
    uds("UDS in a request of several frames", "2E F1 90 00 01 02 03 04"),
    Attempt("an empty request to 0x7E4", lambda g, _: g.permit_request("uds", UDS, b"")),
    obd("OBD service 02, freeze frame", "02 05 00"),
    obd("OBD service 04, clear trouble codes", "04"),
    obd("OBD service 08, control", "08 01"),
    obd("UDS ECUReset as OBD", "11 01"),
    uds("OBD service 04 as UDS", "04"),
    uds("a read to every ECU", "22 F1 90", OBD),
    uds("tester present to every ECU", "3E 80", OBD),
    uds("tester present to every ECU of 29 bits", "3E 80", 0x18DB_33F1),
    raw("flow control to every ECU", OBD, "30 00 00 00 00 00 00 00"),
    raw("flow control: overflow", UDS, "32 00 00 00 00 00 00 00"),
    raw("first frame", UDS, "10 0A 2E F1 90 00 00 00"),
    raw("consecutive frame", UDS, "21 00 00 00 00 00 00 00"),
    raw("a write behind a read", UDS, "03 22 01 01 2E F1 90 00"),
    raw("a length beyond the frame", UDS, "08 22 01 01 00 00 00 00"),
    raw("a single frame of CAN FD", UDS, "00 09 22 01 01 01 02 01 03 01 04 00"),
    raw("a short frame", UDS, "02 11 01"),
    raw("reserved frame type", UDS, "40 00 00 00 00 00 00 00"),
    uds("a read where no request goes", "22 01 01", 0x7E0),
    uds("a read at a control frame's id", "22 01 01", 0x351),
    uds("a read at the id of J1939 torque control", "22 01 01", 0x0C00_0003),
    raw("remote frame", 0x4000_0000 | UDS, "03 22 01 01 00 00 00 00"),
    raw("error frame", 0x2000_0000 | UDS, "03 22 01 01 00 00 00 00"),
    raw("an 11-bit id written as 29 bits", EFF | UDS, "03 22 01 01 00 00 00 00"),
    raw("any frame", 0x123, "01 02 03 04 05 06 07 08"),
    raw("J1939 request that clears trouble codes (DM11)", EFF | 0x18EA_00F9, "D3 FE 00", "j1939"),
    raw("J1939 request that clears old trouble codes (DM3)", EFF | 0x18EA_00F9, "CC FE 00", "j1939"),
    raw("J1939 request of memory access (DM14)", EFF | 0x18EA_00F9, "00 D9 00", "j1939"),
    raw("J1939 transfer of our own, RTS", EFF | 0x18EC_00F9, "10 09 00 02 FF 00 D9 00", "j1939"),
    raw("J1939 transfer of our own, BAM", EFF | 0x18EC_FFF9, "20 09 00 02 FF 00 D9 00", "j1939"),
    raw("J1939 flow control to all", EFF | 0x18EC_FFF9, "11 01 01 FF FF 00 D9 00", "j1939"),
    raw("J1939 data", EFF | 0x18EB_00F9, "01 00 00 00 00 00 00 00", "j1939"),
    raw("J1939 torque control", EFF | 0x0C00_00F9, "01 00 00 00 00 00 00 00", "j1939"),
    raw("J1939 commanded address", EFF | 0x18FE_D8F9, "00 00 00 00 00 00 00 00", "j1939"),
    raw("J1939 in another's name", EFF | 0x18EA_0017, "CA FE 00", "j1939"),
    raw("CANopen SDO download", SDO, "2B 17 10 00 E8 03 00 00", "sdo"),
    raw("CANopen SDO download segment", SDO, "00 01 02 03 04 05 06 07", "sdo"),
    raw("CANopen SDO block download", SDO, "C2 17 10 00 08 00 00 00", "sdo"),
    raw("CANopen bytes behind an upload", SDO, "40 17 10 00 E8 03 00 00", "sdo"),
    raw("CANopen NMT reset", 0x000, "81 10", "sdo"),
    raw("CANopen PDO", 0x210, "00 00 00 00 00 00 00 00", "sdo"),
    Attempt("a frame that no guard has seen, given to the link", _tuple),
    Attempt("a Permitted made by hand", lambda _, link: link.send(Permitted(UDS, b"\x02\x11\x03" + bytes(5), None))),
    Attempt("a Permitted of another guard", _other_guard),
    Attempt("a Permitted made by hand with the seal of a true one", _borrowed_seal),
    Attempt("a subclass of Permitted", _subclass),
    Attempt("the data of a Permitted changed", _changed),
    Attempt("the data of a Permitted made changeable", _bytearray),
    Attempt("the id of a Permitted changed", _redirected),
)  # fmt: skip


def reason_of(attempt: Attempt, guard: Guard, link: Sends) -> str:
    """Return why it is refused; raises AssertionError where it is not."""
    try:
        attempt.way(guard, link)
    except RefusedRequest as error:
        return str(error).partition(": ")[2]
    raise AssertionError(f"{attempt.what} was not refused")


def table(link: Sends, guard: Guard) -> str:
    rows = "".join(f"| {a.what} | {reason_of(a, guard, link)} |\n" for a in ATTEMPTS)
    return f"| attempt | reason |\n| --- | --- |\n{rows}"


class _Checking:
    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def send(self, permitted: Permitted) -> bool:
        self._guard.check(permitted)
        return True


if __name__ == "__main__":
    guard = Guard(LANES, LinkCounts())
    made = table(_Checking(guard), guard)
    PAGE.write_text(TABLE.sub(lambda m: m.group(1) + made + m.group(2), PAGE.read_text()))
