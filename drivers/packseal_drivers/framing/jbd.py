"""JBD (Xiaoxiang, Overkill Solar): one question, one answer, with a 16-bit sum.

Facts: JBD's "communication protocol V4" as described at github.com/syssi/esphome-jbd-bms (Apache-2.0) and
gitlab.com/bms-tools/bms-tools (JBD_REGISTER_MAP.md). A frame is DD, register, status (00: good), length, data, the
two's complement of the sum over status, length and data (high byte first), 77.

Large models count current and charge in tenths of A and Ah instead of hundredths, and say so in the highest bit of the
byte behind the temperatures (github.com/patman15/aiobmsble 0.31, jbd_bms.py, Apache-2.0, from a pack of 628 Ah).
"""

import struct

from packseal_drivers.framing.burst import Burst, Notification, Reading

BASIC, CELLS = 0x03, 0x04
START, READ, END = 0xDD, 0xA5, 0x77
OVERHEAD = 7  # of a frame, around its data
STATUS_BYTES = 23
"""Of the basic information before the temperatures; byte 21 counts the cells, byte 22 the sensors."""
MAX_CELLS, MAX_SENSORS = 32, 8
CELL_COUNT_AT, SENSOR_COUNT_AT = 21, 22
CURRENT_AT = 2
TENTHS = 0x80
GOOD = 0x00
"""Bytes of the basic information; the flag of large models; the status of an answer without an error."""

PARTS = ("status", "temperatures", "cells")
"""Behind the 23 bytes of `status` as they came: current (signed) and charge, 4 bytes each, always in hundredths."""


def question(register: int) -> bytes:
    """Return the frame that reads a register."""
    return bytes((START, READ, register, 0)) + checksum(bytes((register, 0))) + bytes((END,))


def checksum(covered: bytes) -> bytes:
    """Return the two bytes behind what they cover."""
    return (-sum(covered) & 0xFFFF).to_bytes(2, "big")


QUESTIONS = (question(BASIC), question(CELLS))


class JbdFramer:
    """Notifications in, readings out. What was not asked for is not taken."""

    def __init__(self) -> None:
        self._burst = Burst(bytes((START,)), 4, _length, OVERHEAD + 0xFF)
        self._asked: int | None = None
        self._any = False
        self._cells = 0

    @property
    def cut(self) -> int:
        """Frames given up."""
        return self._burst.cut

    @property
    def answered(self) -> bool:
        """Whether what was asked for last has come."""
        return self._asked is None

    def begin(self, *, unasked: bool = False) -> None:
        """Begin anew; `unasked`: take any frame, as in a recording without questions."""
        self._burst.clear()
        self._asked, self._any = None, unasked

    def asked(self, question: bytes) -> None:
        """Open the window of the answer to this question: nothing from before belongs to it."""
        self._burst.clear()
        self._asked = question[2]

    def feed(self, notification: Notification) -> Reading | None:
        """Take one notification."""
        if self._asked is None and not self._any:
            return None
        whole = self._burst.feed(notification.data, notification.mono_ns)
        if whole is None:
            return None
        frame = whole.data
        register, status, data = frame[1], frame[2], frame[4:-3]
        good = frame[-1] == END and status == GOOD and frame[-3:-1] == checksum(frame[2:-3])
        if not good or (not self._any and register != self._asked):
            self._burst.cut += 1
            return None
        parts = self._parts(register, data)
        if parts is None:
            self._burst.cut += 1
            return None
        self._asked = None
        return Reading(f"{register:02x}", parts, notification.mono_ns, whole.odd)

    def _parts(self, register: int, data: bytes) -> tuple[tuple[str, bytes], ...] | None:
        if register == BASIC:
            sensors = data[SENSOR_COUNT_AT] if len(data) >= STATUS_BYTES else MAX_SENSORS + 1
            end = STATUS_BYTES + 2 * sensors
            if sensors > MAX_SENSORS or len(data) < end or not 1 <= data[CELL_COUNT_AT] <= MAX_CELLS:
                return None
            self._cells = data[CELL_COUNT_AT]
            return ("status", data[:STATUS_BYTES] + _hundredths(data, end)), ("temperatures", data[STATUS_BYTES:end])
        count = len(data) // 2
        if register != CELLS or len(data) % 2 or not 1 <= count <= MAX_CELLS or self._cells not in (0, count):
            return None
        return (("cells", data),)


def _hundredths(data: bytes, end: int) -> bytes:
    """Return current and charge of the basic information in one unit for all models; its temperatures stop at `end`."""
    times = 10 if len(data) > end and data[end] & TENTHS else 1
    current, charge = struct.unpack_from(">hH", data, CURRENT_AT)
    return struct.pack(">iI", times * current, times * charge)


def _length(head: bytes) -> int | None:
    return OVERHEAD + head[3]
