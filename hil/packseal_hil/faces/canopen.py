"""A CANopen node that is asked for objects: SDO upload (CiA 301 §7.2.4.3), the server's half."""

from collections.abc import Callable, Mapping

from packseal_hil.faces.conduct import Conduct, Manner

FRAME_BYTES = 8
UPLOAD, SEGMENT, ABORT = 2, 3, 4
"""The client's command specifiers: the three high bits of the first byte."""
EXPEDITED_BYTES, SEGMENT_BYTES, NAME_BYTES = 4, 7, 4
TOGGLE = 0x10
NO_OBJECT, READ_FAILED, TOGGLE_WRONG = 0x0602_0000, 0x0800_0000, 0x0503_0000  # abort codes, CiA 301 table 22


class ObjectServer:
    """One node. Answers at once: an SDO server has no word for patience.

    Args:
        answers: by request (command, index, subindex), what makes the same bytes with the object's data behind.
        conduct: how it behaves; any refusal becomes an abort.
    """

    def __init__(self, answers: Mapping[bytes, Callable[[], bytes | None]], conduct: Conduct) -> None:
        self._answers = answers
        self._conduct = conduct
        self._object = bytes(NAME_BYTES - 1)
        self._rest = b""
        self._toggle = 0
        self._out: list[bytes] = []
        self.asked: list[bytes] = []
        """Every object that was asked for."""

    def hear(self, data: bytes, at_s: float, *, functional: bool) -> None:  # noqa: ARG002 - as a control unit's
        """Account for one frame that is for it."""
        if len(data) != FRAME_BYTES or self._conduct.manner is not Manner.ANSWERS:
            return
        command = data[0] >> 5
        if command == UPLOAD:
            self._upload(bytes(data[:NAME_BYTES]))
        elif command == SEGMENT and self._rest:
            self._segment(data[0] & TOGGLE)
        elif command == ABORT:
            self._rest = b""

    def due(self, at_s: float) -> list[bytes]:  # noqa: ARG002 - as a control unit's
        """Return what is to be sent."""
        out, self._out = self._out, []
        return out

    def _upload(self, request: bytes) -> None:
        self.asked.append(request)
        self._object, self._rest, self._toggle = request[1:], b"", 0
        refused = self._conduct.refusal is not None or request in self._conduct.refusals
        made = self._answers[request]() if request in self._answers and not refused else None
        if made is None:
            self._abort(READ_FAILED if refused else NO_OBJECT)
            return
        data = made[NAME_BYTES:]
        if len(data) <= EXPEDITED_BYTES:
            head = UPLOAD << 5 | (EXPEDITED_BYTES - len(data)) << 2 | 3  # expedited, its size is told
            self._out.append((bytes((head,)) + self._object + data).ljust(FRAME_BYTES, b"\0"))
        else:
            self._rest = data
            self._out.append(bytes((UPLOAD << 5 | 1,)) + self._object + len(data).to_bytes(4, "little"))

    def _segment(self, toggle: int) -> None:
        if toggle != self._toggle:
            self._abort(TOGGLE_WRONG)
            return
        part, self._rest = self._rest[:SEGMENT_BYTES], self._rest[SEGMENT_BYTES:]
        head = toggle | (SEGMENT_BYTES - len(part)) << 1 | (not self._rest)
        self._toggle ^= TOGGLE
        self._out.append((bytes((head,)) + part).ljust(FRAME_BYTES, b"\0"))

    def _abort(self, code: int) -> None:
        self._rest = b""
        self._out.append(bytes((ABORT << 5,)) + self._object + code.to_bytes(4, "little"))
