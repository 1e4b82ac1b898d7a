"""Allow-list of aiobmsble: by its type, what that library may write to a battery. Nothing else ever is.

A write is allowed when the library reads values out of the answer to it, and, where the protocol is known, when it is a
read by that protocol. What unlocks, passes a password, switches a stream on, acknowledges, or has an effect that is not
known, is not. Facts: the types of github.com/patman15/aiobmsble 0.31 (Apache-2.0), modules aiobmsble/bms/*_bms.py.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from packseal_drivers.framing.checksums import crc16_modbus

Shape = Callable[[bytes], bool]

MODBUS_READS = (1, 2, 3, 4)
"""MODBUS Application Protocol V1.1b3 §6.1 to §6.4."""
_OGT = re.compile(rb"\+R(AA|16)[0-9A-F]{4}")


def _crc_fits(data: bytes) -> bool:
    return crc16_modbus(data[:-2]) == int.from_bytes(data[-2:], "little")


def modbus(data: bytes) -> bool:
    """Whether it is a read of Modbus on a serial line: unit, function, address, count, CRC."""
    return len(data) == 8 and data[1] in MODBUS_READS and _crc_fits(data)  # noqa: PLR2004 - a read's length


def saihang(data: bytes) -> bool:
    """Whether it is a read of Modbus behind the bytes A5 A5."""
    return data[:2] == b"\xa5\xa5" and modbus(data[2:])


def epoch(data: bytes) -> bool:
    """Whether it is Epoch's read, FA F3 16: address, pack, count, CRC."""
    return len(data) == 10 and data[:3] == b"\xfa\xf3\x16" and _crc_fits(data)  # noqa: PLR2004 - its length


def greenway(data: bytes) -> bool:
    """Whether it is Greenway's read, 46 16 01: register, count, sum."""
    return len(data) == 6 and data[:3] == b"\x46\x16\x01" and sum(data[:-1]) & 0xFF == data[-1]  # noqa: PLR2004 - likewise


def offgridtec(data: bytes) -> bool:
    """Whether it is Offgridtec's read, +RAA or +R16, register and length as text, scrambled with one byte."""
    return bool(data) and _OGT.fullmatch(bytes(byte ^ data[0] ^ ord("+") for byte in data)) is not None


def _these(*questions: str | bytes) -> Shape:
    known = frozenset(q if isinstance(q, bytes) else bytes.fromhex(q) for q in questions)
    return known.__contains__


_JBD = _these("DD A5 03 00 FF FD 77", "DD A5 04 00 FF FC 77")
_PYLON = _these(b":000250000E03~", b":001031000E05~")
_PYLON_SINGLE = _these(b":015150000EFE~")

LISTENED = ("allpowers_bms", "lithionics_bms", "myvolta_bms", "superb_bms", "topband_bms")
"""Types that write nothing: what such a battery says by itself is read."""

QUESTIONS: Mapping[str, Shape] = MappingProxyType(
    {
        "abc_bms": _these("EE C1 00 00 00 CE", "EE C2 00 00 00 46", "EE C4 00 00 00 4F"),
        "ag_bms": _PYLON,
        "ant_bms": _these("7E A1 01 00 00 BE 18 55 AA 55", "7E A1 02 6C 02 20 58 C4 AA 55"),
        "ant_leg_bms": _these("DB DB 00 00 00 00"),
        "braunpwr_bms": _these(*(f"7B {command} 00 7D" for command in ("01", "02", "03", "74", "F4", "F5"))),
        "buknuwo_bms": modbus,
        "c4s_bms": modbus,
        "cbtpwr_bms": _these(
            *(f"AA 55 {c} 00 {c} 0A 0D" for c in ("05", "06", "07", "08", "09", "0A", "0B", "0C", "15", "21"))
        ),
        # The second one leaves in two parts, 20 bytes and the rest.
        "cbtpwr_vb_bms": _these(b"~11014642E00201FD35\r", b"~11014681A006010001F", b"C71\r"),
        "daly_bms": modbus,
        "daren_bms": _JBD,
        "eg4_bms": modbus,
        "ej_bms": _PYLON,
        "ejpro_bms": _PYLON,
        "eleksol_bms": _JBD,
        "epoch_pro_bms": epoch,
        "felicity_bms": _these(b"wifilocalMonitor:get dev real infor"),
        "gobel_bms": modbus,
        "greenway_bms": greenway,
        "jbd_bms": _JBD,
        "jikong_bms": _these(
            "AA 55 90 EB 96 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10",
            "AA 55 90 EB 97 00 00 00 00 00 00 00 00 00 00 00 00 00 00 11",
        ),
        "lipower_bms": modbus,
        "neey_bms": _these(
            "AA 55 11 01 01 00 14 00 00 00 00 00 00 00 00 00 00 00 26 FF",
            "AA 55 11 01 02 00 14 00 00 00 00 00 00 00 00 00 00 00 27 FF",
        ),
        "ogt_bms": offgridtec,
        "pace_bms": _these(
            "9A 00 00 0A 00 00 00 00 19 51 9D",
            "9A 00 00 0A 01 00 00 02 01 01 1B 9C 9D",
            "9A 00 00 0A 02 00 00 02 01 01 28 9C 9D",
        ),
        "pwrboozt_bms": _PYLON_SINGLE,
        "pylontech_bms": modbus,
        "redodo_bms": _these("00 00 04 01 13 55 AA 17"),
        "renogy_bms": modbus,
        "renogy_pro_bms": modbus,
        "roypow_bms": _these(*(f"EA D1 01 04 FF {c} F5" for c in ("02 F9", "03 F8", "04 FF"))),
        "saihang_bms": saihang,
        "seplos_bms": modbus,
        "seplos_v2_bms": _these("7E 10 00 46 51 00 00 3A 7F 0D", "7E 10 00 46 61 00 01 00 F7 C1 0D"),
        "superb_v2_bms": _these("21 54 00"),
        "tdt_bms": _these(
            "7E 00 01 03 00 92 00 00 9F 22 0D",
            "7E 00 01 03 00 8C 00 00 99 42 0D",
            "7E 00 01 03 00 8D 00 00 59 13 0D",
            "1E 00 01 03 00 92 00 00 B7 24 0D",
            "1E 00 01 03 00 8C 00 00 B1 44 0D",
            "1E 00 01 03 00 8D 00 00 71 15 0D",
        ),
        "tianpwr_bms": _these(*(f"55 04 {command:02X} AA" for command in range(0x81, 0x90))),
        "vatrer_bms": modbus,
        "ws_nova_bms": _PYLON_SINGLE,
        **dict.fromkeys(LISTENED, _these()),
    }
)
"""By type. Written to the characteristic that the type names for it, and to no other."""

UNREAD: Mapping[str, str] = MappingProxyType(
    {
        "dometic_bms": "switches the sending of values on, with a password, and answers keep-alives",
        "dpwrcore_bms": "unlocks the battery with a code made of its name, and acknowledges every part of an answer",
        "ecoworthy_bms": "wakes the battery by commands whose effect is not known",
        "humsienk_bms": "opens with a command whose effect is not known",
        "pro_bms": "starts a stream of values by commands whose effect is not known",
        "pwrxtreme_bms": "starts a stream of values and keeps it alive",
        "saftkiste_bms": "passes a password, and opens with a command whose effect is not known",
        "x123smart_bms": "passes a password, switches the sending of values on and keeps it alive",
    }
)
"""Types that read nothing before they have written more than questions, and what that is. They are not used."""


def why_unread(kind: str) -> str:
    """Return why a type is not used, as a sentence's end; "" where it is."""
    if kind in QUESTIONS:
        return ""
    what = UNREAD.get(kind, "writes what is not known here")
    return f"aiobmsble's type {kind} {what}, and packseal only reads"


def refusal(kind: str, uuid: str, data: bytes, where: str) -> str | None:
    """Return why a write of a type may not leave, in a few words; None where it may.

    Args:
        kind: the type.
        uuid: of the characteristic, 128 bits.
        data: what is to be written.
        where: the characteristic at which the type asks, 128 bits; "" for one that asks nothing.
    """
    if kind not in QUESTIONS:
        return f"a write of type {kind}, of which no question is known"
    if uuid != where:
        return "a write to a characteristic that takes no questions"
    return None if QUESTIONS[kind](data) else f"a write that is none of the questions of {kind}"
