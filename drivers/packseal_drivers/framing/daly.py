"""Daly over Bluetooth, the protocol of its newer modules: Modbus RTU with device address D2, one question, one answer.

Facts: github.com/syssi/esphome-daly-bms (Apache-2.0), docs/protocol-register-map.md, and Modbus over Serial Line V1.02.
An answer is D2, function 03, the number of bytes, registers (high byte first), CRC-16 (low byte first).
"""

from packseal_drivers.framing.burst import Burst, Notification, Reading
from packseal_drivers.framing.checksums import crc16_modbus

ADDRESS, READ_REGISTERS = 0xD2, 0x03
REGISTERS = 62
OVERHEAD = 5
MAX_CELLS, MAX_SENSORS = 32, 8
SENSORS_AT, STATUS_AT = 2 * 0x20, 2 * 0x28
CELL_COUNT_AT, SENSOR_COUNT_AT = 2 * 0x31, 2 * 0x32
"""One question brings all 62 registers, with 5 bytes around them. The map has room for 32 cells and 8 sensors;
`…_AT` are bytes, of the registers 0x20, 0x28, 0x31 and 0x32."""

PARTS = ("cells", "temperatures", "status")


def framed(body: bytes) -> bytes:
    """Return the bytes with their CRC behind them."""
    return body + crc16_modbus(body).to_bytes(2, "little")


QUESTIONS = (framed(bytes((ADDRESS, READ_REGISTERS, 0, 0, 0, REGISTERS))),)


class DalyFramer:
    """Notifications in, readings out. What was not asked for is not taken."""

    def __init__(self) -> None:
        self._burst = Burst(bytes((ADDRESS, READ_REGISTERS)), 3, _length, OVERHEAD + 0xFF)
        self._open = self._any = False

    @property
    def cut(self) -> int:
        """Frames given up."""
        return self._burst.cut

    @property
    def answered(self) -> bool:
        """Whether what was asked for last has come."""
        return not self._open

    def begin(self, *, unasked: bool = False) -> None:
        """Begin anew; `unasked`: take any frame, as in a recording without questions."""
        self._burst.clear()
        self._open, self._any = False, unasked

    def asked(self, question: bytes) -> None:  # noqa: ARG002 - there is one only
        """Open the window of the answer: nothing from before belongs to it."""
        self._burst.clear()
        self._open = True

    def feed(self, notification: Notification) -> Reading | None:
        """Take one notification."""
        if not self._open and not self._any:
            return None
        whole = self._burst.feed(notification.data, notification.mono_ns)
        if whole is None:
            return None
        data = whole.data[3:-2]
        parts = _parts(data) if framed(whole.data[:-2]) == whole.data else None
        if parts is None:
            self._burst.cut += 1
            return None
        self._open = False
        return Reading("registers", parts, notification.mono_ns, whole.odd)


def _length(head: bytes) -> int | None:
    return OVERHEAD + head[2]


def _parts(data: bytes) -> tuple[tuple[str, bytes], ...] | None:
    if len(data) != 2 * REGISTERS:
        return None
    cells = int.from_bytes(data[CELL_COUNT_AT : CELL_COUNT_AT + 2], "big")
    sensors = int.from_bytes(data[SENSOR_COUNT_AT : SENSOR_COUNT_AT + 2], "big")
    if not 1 <= cells <= MAX_CELLS or sensors > MAX_SENSORS:
        return None
    return (
        ("cells", data[: 2 * cells]),
        ("temperatures", data[SENSORS_AT : SENSORS_AT + 2 * sensors]),
        ("status", data[STATUS_AT:]),
    )
