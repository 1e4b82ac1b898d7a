"""JK-BMS (Jikong), protocol JK02: it speaks by itself once asked, in frames of 300 bytes with an 8-bit sum.

Facts: github.com/syssi/esphome-jk-bms (Apache-2.0), components/jk_bms_ble, whose comments lay out every byte. There are
two layouts: with places for 24 cells, and for 32, where everything behind the cells is 16 bytes later and everything
behind the resistances 32. A module adds "AT" with a line end, and acknowledgements of its own.
"""

import struct
from typing import Literal

from packseal_drivers.framing.burst import Burst, Notification, Reading

START = b"\x55\xaa\xeb\x90"
COMMAND = b"\xaa\x55\x90\xeb"
DEVICE_INFO, CELL_INFO = 0x97, 0x96
SAYS_CELLS = 0x02
FRAME_BYTES = 300
COMMAND_BYTES = 20
TYPE_AT, CELLS_AT = 4, 6
MASK_AT, AVERAGE_AT, DELTA_AT = 54, 58, 60  # with 24 cells; 16 bytes later with 32
STATUS_AT = 112  # with 24 cells; 32 bytes later with 32
STATUS_BYTES = 54
"""As far as anything is read of it: up to the time that it has run."""
VOLTAGE_AT, POWER_AT, CURRENT_AT = 118 - STATUS_AT, 122 - STATUS_AT, 126 - STATUS_AT
AVERAGE_REACH_MV, DELTA_REACH_MV = 5, 20
"""What the BMS says of all cells was computed at another moment than the cells were measured."""
POWER_REACH, POWER_REACH_MW = 0.02, 5000
"""Likewise of the power against voltage times current: relative, and in mW."""
MODULE = (COMMAND, b"AT\r\n")

PARTS = ("cells", "status")
Places = Literal[24, 32]


def command(code: int) -> bytes:
    """Return a command without a value: it reads."""
    body = COMMAND + bytes((code,)) + bytes(COMMAND_BYTES - 2 - len(COMMAND))
    return body + bytes((sum(body) & 0xFF,))


QUESTIONS = (command(DEVICE_INFO), command(CELL_INFO))


class Jk02Framer:
    """Notifications in, readings of the cell information out; other frames are only known to be none."""

    answered = True
    """It speaks by itself: nothing is waited for."""

    def __init__(self, places: Places) -> None:
        self._burst = Burst(START, len(START), lambda _head: FRAME_BYTES, FRAME_BYTES, _is_of_module)
        self._shift = 16 if places == 32 else 0  # noqa: PLR2004 - the layout with 32 cells
        self._places = places

    @property
    def cut(self) -> int:
        """Frames given up."""
        return self._burst.cut

    def begin(self, *, unasked: bool = False) -> None:  # noqa: ARG002 - it is never asked for a single frame
        """Begin anew."""
        self._burst.clear()

    def asked(self, question: bytes) -> None:
        """Note a question; whatever was on its way still comes whole."""

    def feed(self, notification: Notification) -> Reading | None:
        """Take one notification."""
        data = notification.data
        if data.startswith(COMMAND):
            return None
        whole = self._burst.feed(data.removeprefix(b"AT\r\n"), notification.mono_ns)
        if whole is None:
            return None
        frame = whole.data
        if sum(frame[:-1]) & 0xFF != frame[-1]:
            self._burst.cut += 1
            return None
        if frame[TYPE_AT] != SAYS_CELLS:
            return None
        (mask,) = struct.unpack_from("<I", frame, MASK_AT + self._shift)
        count = mask.bit_length()
        if mask & mask + 1 or not 1 <= count <= self._places:
            self._burst.cut += 1
            return None
        status_at = STATUS_AT + 2 * self._shift
        status = frame[status_at : status_at + STATUS_BYTES]
        cells = frame[CELLS_AT : CELLS_AT + 2 * count]
        doubtful = whole.odd or not self._agrees(frame, cells) or not _is_power(status)
        return Reading("cells", (("cells", cells), ("status", status)), notification.mono_ns, doubtful)

    def _agrees(self, frame: bytes, cells: bytes) -> bool:
        """Whether the cells are those of which the frame says mean and spread, and there are no more."""
        volts = struct.unpack(f"<{len(cells) // 2}H", cells)
        average, delta = struct.unpack_from("<HH", frame, AVERAGE_AT + self._shift)
        rest = frame[CELLS_AT + len(cells) : CELLS_AT + 2 * self._places]
        return (
            not any(rest)
            and abs(sum(volts) / len(volts) - average) <= AVERAGE_REACH_MV
            and abs(max(volts) - min(volts) - delta) <= DELTA_REACH_MV
        )


def _is_power(status: bytes) -> bool:
    """Whether the power is what voltage and current make; its sign is not said."""
    volts, power, current = struct.unpack_from("<IIi", status, VOLTAGE_AT)
    expected = abs(volts * current) / 1000
    size = power if power < 1 << 31 else (1 << 32) - power
    return bool(abs(expected - size) <= POWER_REACH * expected + POWER_REACH_MW)


def _is_of_module(rest: bytes) -> bool:
    return not rest or rest.startswith(MODULE)
