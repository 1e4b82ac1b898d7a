"""ISO-TP (ISO 15765-2), the sending half of a control unit: one message at a time, as flow control lets it.

Normal addressing, classic CAN. Pure: times are passed in, and what is due is asked for.
"""

from dataclasses import dataclass

FRAME_BYTES = 8
SINGLE_BYTES, FIRST_BYTES, CONSECUTIVE_BYTES = 7, 6, 7
MAX_BYTES = 4095
FIRST, CONSECUTIVE, FLOW_CONTROL = 0x10, 0x20, 0x30
GO_ON, WAIT = 0, 1
"""Flow states; 2 and above end the transfer: overflow, or reserved."""
FLOW_CONTROL_S = 1.0
"""N_Bs: the longest wait for flow control."""
MAX_STMIN_S = 0.127
"""What a reserved STmin stands for, ISO 15765-2 §9.6.5.6."""


def single_payload(data: bytes) -> bytes | None:
    """Return the message of a classic single frame; None where the frame is something else."""
    return bytes(data[1 : 1 + data[0]]) if data and 0 < data[0] < min(len(data), FRAME_BYTES) else None


def separation_s(stmin: int) -> float:
    """Return the time between two consecutive frames that an STmin byte asks for."""
    if stmin <= 0x7F:  # noqa: PLR2004 - milliseconds
        return stmin / 1000
    return (stmin - 0xF0) / 10_000 if 0xF1 <= stmin <= 0xF9 else MAX_STMIN_S  # noqa: PLR2004 - hundreds of µs


@dataclass(slots=True)
class _Transfer:
    payload: bytes
    at: int
    number: int = 1
    permitted: int = 0  # frames before the next flow control; -1: all of them
    separation_s: float = 0.0
    next_s: float = 0.0
    deadline_s: float = 0.0


class IsoTpSender:
    """Sends what one control unit has to say.

    Args:
        padding: fills frames up to 8 bytes.
        separation_s: the least time between two consecutive frames, however fast the tester may be.
    """

    def __init__(self, padding: int = 0xAA, separation_s: float = 0.0) -> None:
        self._padding = bytes((padding,))
        self._separation_s = separation_s
        self._transfer: _Transfer | None = None
        self.given_up = 0
        """Transfers that the tester did not let end."""

    @property
    def busy(self) -> bool:
        """Whether a transfer is under way."""
        return self._transfer is not None

    def begin(self, payload: bytes, at_s: float) -> bytes:
        """Return the first frame's data; a transfer under way is dropped. Raises ValueError beyond 4,095 bytes."""
        if not 0 < len(payload) <= MAX_BYTES:
            raise ValueError(f"a message has 1 to {MAX_BYTES} bytes, not {len(payload)}")
        self.drop()
        if len(payload) <= SINGLE_BYTES:
            return self._padded(bytes((len(payload),)) + payload)
        self._transfer = _Transfer(payload, FIRST_BYTES, deadline_s=at_s + FLOW_CONTROL_S)
        return bytes((FIRST | len(payload) >> 8, len(payload) & 0xFF)) + payload[:FIRST_BYTES]

    def flow(self, data: bytes, at_s: float) -> None:
        """Account for a flow control frame; one that nobody waits for is ignored."""
        transfer = self._transfer
        if transfer is None or transfer.permitted or len(data) < 3:  # noqa: PLR2004 - state, block size, STmin
            return
        state = data[0] & 0x0F
        if state == WAIT:
            transfer.deadline_s = at_s + FLOW_CONTROL_S
        elif state == GO_ON:
            transfer.permitted = data[1] or -1
            transfer.separation_s = max(self._separation_s, separation_s(data[2]))
            transfer.next_s = at_s
        else:
            self.drop()

    def due(self, at_s: float) -> list[bytes]:
        """Return the data of the consecutive frames whose time has come; give up where flow control does not come."""
        frames: list[bytes] = []
        while (transfer := self._transfer) is not None and transfer.permitted and transfer.next_s <= at_s:
            frames.append(self._consecutive(transfer, at_s))
        if transfer is not None and not transfer.permitted and at_s > transfer.deadline_s:
            self.drop()
        return frames

    def drop(self) -> None:
        """Give up the transfer under way."""
        self.given_up += self.busy
        self._transfer = None

    def _consecutive(self, transfer: _Transfer, at_s: float) -> bytes:
        part = transfer.payload[transfer.at : transfer.at + CONSECUTIVE_BYTES]
        frame = self._padded(bytes((CONSECUTIVE | transfer.number & 0x0F,)) + part)
        transfer.at += len(part)
        transfer.number += 1
        transfer.permitted -= transfer.permitted > 0
        transfer.deadline_s = at_s + FLOW_CONTROL_S
        transfer.next_s = at_s + transfer.separation_s  # never sooner, however late this one was
        if transfer.at >= len(transfer.payload):
            self._transfer = None
        return frame

    def _padded(self, data: bytes) -> bytes:
        return data.ljust(FRAME_BYTES, self._padding)
