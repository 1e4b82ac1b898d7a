"""slcan text: the ASCII lines of a serial CAN adapter, as Linux's slcan driver speaks them. Pure, no I/O.

Commands and frames are Lawicel's (CAN232 manual); states and errors of the bus are the extension that
drivers/net/can/slcan/slcan-core.c understands from Linux 6.0 on. Every line ends in CR; BEL is "no".
"""

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from packseal_hil.rig.protocols import BusFault, CanFrame

OK, NO = b"\r", b"\a"
EFF_FLAG, EFF_MASK = 0x8000_0000, 0x1FFF_FFFF  # linux/can.h
MAX_LINE = 64
"""The longest line, a 29-bit frame with 8 bytes and a time stamp, has 30 characters; what grows on is no slcan."""
CLASSIC_BYTES = 8

BIT_RATES = (10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000)
"""S0 to S8."""
WARNING_COUNT, PASSIVE_COUNT, OFF_COUNT = 96, 128, 255
"""Error counters at which a controller changes its state, ISO 11898-1 §12.1.4.2; 256 does not fit into its register."""
NO_ACKNOWLEDGE = b"e1a\r"
"""One error: nobody has acknowledged."""

ALONE = b"sp000%03d\r" % PASSIVE_COUNT
"""Error-passive after sending in vain."""

STATES = {
    BusFault.NONE: b"sa000000\r",
    BusFault.WARNING: b"sw%03d000\r" % WARNING_COUNT,
    BusFault.PASSIVE: b"sp%03d%03d\r" % (PASSIVE_COUNT, PASSIVE_COUNT + 2),
    BusFault.OFF: b"sb000%03d\r" % OFF_COUNT,
}
"""What the adapter says when the controller changes its state: letter, receive counter, transmit counter."""


class Word(enum.Enum):
    """A command that is no frame."""

    OPEN = "O"
    LISTEN = "L"  # open, and acknowledge nothing
    CLOSE = "C"
    BIT_RATE = "S"
    SETTING = "s"  # timing registers, filters, time stamps: taken, without effect
    FLAGS = "F"
    VERSION = "V"
    SERIAL = "N"
    REMOTE = "r"  # a remote frame, which carries nothing
    WRONG = "?"


ANSWERS = {
    Word.WRONG: NO,
    Word.FLAGS: b"F00\r",
    Word.VERSION: b"V1013\r",
    Word.SERIAL: b"NHIL1\r",
    Word.REMOTE: b"z\r",
}
"""What is not answered by CR alone."""

_FRAME = re.compile(rb"(?:t([0-9A-F]{3})|T([0-9A-F]{8}))([0-8])((?:[0-9A-F]{2})*)(?:[0-9A-F]{4})?", re.IGNORECASE)
_REMOTE = re.compile(rb"(?:r[0-9A-F]{3}|R[0-9A-F]{8})[0-8]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the gateway: a frame, or a command with its number."""

    word: Word | None
    frame: CanFrame | None = None
    number: int = 0


class SlcanReader:
    """Puts lines together from whatever pieces come. Never raises, and never keeps more than a line."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[Line]:
        """Yield the lines that are now whole; an empty one says nothing and is left out."""
        for number, piece in enumerate(data.replace(b"\n", b"").split(b"\r")):
            if number:
                line, skipped = bytes(self._rest), self._skipping
                self._rest.clear()
                self._skipping = False
                if skipped:
                    yield Line(Word.WRONG)
                elif line:
                    yield parse(line)
            self._rest += piece[: MAX_LINE + 1]
            self._skipping |= len(self._rest) > MAX_LINE
            del self._rest[MAX_LINE:]


def parse(line: bytes) -> Line:
    """Return what a line without its end means."""
    if match := _FRAME.fullmatch(line):
        return _frame(*match.groups()[:4])
    if _REMOTE.fullmatch(line):
        return Line(Word.REMOTE)
    letter, rest = line[:1], line[1:]
    if not rest and letter in b"OLCFVN":
        return Line(Word(letter.decode()))
    if letter == b"S" and rest.isdigit() and len(rest) == 1 and int(rest) < len(BIT_RATES):
        return Line(Word.BIT_RATE, number=BIT_RATES[int(rest)])
    if letter in (b"s", b"M", b"m", b"Z", b"X", b"W", b"Q", b"U") and rest.isalnum():
        return Line(Word.SETTING)
    return Line(Word.WRONG)


def text_of(frame: CanFrame) -> bytes:
    """Return the line of a frame; raises ValueError for more than 8 bytes, which slcan cannot say."""
    if len(frame.data) > CLASSIC_BYTES:
        raise ValueError(f"slcan carries classic CAN only, and a frame has {len(frame.data)} bytes")
    if frame.address & EFF_FLAG:
        return b"T%08X%d%b\r" % (frame.address & EFF_MASK, len(frame.data), frame.data.hex().upper().encode())
    return b"t%03X%d%b\r" % (frame.address & 0x7FF, len(frame.data), frame.data.hex().upper().encode())


def answer_to(line: Line) -> bytes:
    """Return what a CAN232 answers: CR, or what was asked for and CR, or BEL."""
    if line.frame is not None:
        return b"Z\r" if line.frame.address & EFF_FLAG else b"z\r"
    said = {
        Word.WRONG: NO,
        Word.FLAGS: b"F00\r",
        Word.VERSION: b"V1013\r",
        Word.SERIAL: b"NHIL1\r",
        Word.REMOTE: b"z\r",
    }
    return said.get(line.word or Word.WRONG, OK)


def _frame(standard: bytes | None, extended: bytes | None, length: bytes, data: bytes) -> Line:
    digits = 2 * int(length)
    # Four more digits are a time stamp, which the pattern may have taken for data.
    if len(data) not in (digits, digits + 4):
        return Line(Word.WRONG)
    number = int(standard or extended or b"", 16)
    if number > EFF_MASK or (standard and number > 0x7FF):  # noqa: PLR2004 - 11 bits
        return Line(Word.WRONG)
    address = number | EFF_FLAG if extended else number
    return Line(None, CanFrame(address, bytes.fromhex(data[:digits].decode())))
