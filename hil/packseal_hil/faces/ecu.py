"""A control unit that is asked: UDS reads (ISO 14229-1) and OBD current data (SAE J1979) over ISO-TP."""

import heapq
import math
from collections.abc import Callable, Mapping
from itertools import count

from packseal_hil.faces.conduct import Conduct, Manner
from packseal_hil.faces.isotp import FLOW_CONTROL, IsoTpSender, single_payload

READ_DATA, READ_FAULTS, TESTER_PRESENT, CURRENT_DATA = 0x22, 0x19, 0x3E, 0x01
POSITIVE, NEGATIVE = 0x40, 0x7F
SUPPRESSED = 0x80  # in the sub-function: no positive answer is wanted
SERVICE_UNKNOWN, LENGTH_WRONG, OUT_OF_RANGE, PENDING = 0x11, 0x13, 0x31, 0x78
UNSAID_TO_ALL = (SERVICE_UNKNOWN, 0x12, OUT_OF_RANGE, 0x7E, 0x7F)
"""What a control unit keeps to itself when all were asked, ISO 14229-1 §8.7.2."""
PIDS_PER_MASK = 0x20
REPORTED_BY_MASK, ALL_STATUS_BITS = 0x02, 0xFF

Answer = Callable[[], bytes | None]
"""Makes the whole positive answer; None where it has nothing to say."""


class AskedEcu:
    """One control unit.

    Args:
        answers: by request, what makes the answer.
        conduct: how it behaves; shared, and looked at anew with every request.
    """

    def __init__(self, answers: Mapping[bytes, Answer], conduct: Conduct) -> None:
        self._answers = answers
        self._conduct = conduct
        self._sender = IsoTpSender()
        self._later: list[tuple[float, int, bytes]] = []
        self._order = count()
        self._woken_s = self._asked_s = -math.inf
        self.asked: list[bytes] = []
        """Every request that was heard, whether it was answered or not."""

    def hear(self, data: bytes, at_s: float, *, functional: bool) -> None:
        """Account for one frame that is for it; `functional`: all control units were asked."""
        if data and data[0] & 0xF0 == FLOW_CONTROL:
            self._sender.flow(data, at_s)
            return
        request = single_payload(data)
        if request is None:
            return
        self.asked.append(request)
        answer = self._answer(request, functional=functional) if self._is_awake(at_s) else None
        if answer is not None:
            self._say(request, answer, at_s)

    def due(self, at_s: float) -> list[bytes]:
        """Return the data of the frames whose time has come."""
        frames = []
        while self._later and self._later[0][0] <= at_s:
            frames.append(self._sender.begin(heapq.heappop(self._later)[2], at_s))
        return frames + self._sender.due(at_s)

    def _is_awake(self, at_s: float) -> bool:
        conduct, quiet_s = self._conduct, at_s - self._asked_s
        self._asked_s = at_s
        if conduct.manner is Manner.SILENT:
            return False
        if conduct.manner is Manner.ANSWERS:
            return True
        if quiet_s > conduct.sleeps_after_s:
            self._woken_s = at_s + conduct.wake_s
        return at_s >= self._woken_s

    def _say(self, request: bytes, answer: bytes, at_s: float) -> None:
        conduct = self._conduct
        at_s += conduct.latency_s
        for _ in range(conduct.pending):
            self._put(bytes((NEGATIVE, request[0], PENDING)), at_s)
            at_s += conduct.pending_apart_s
        self._put(answer, at_s)

    def _put(self, payload: bytes, at_s: float) -> None:
        heapq.heappush(self._later, (at_s, next(self._order), payload))

    def _answer(self, request: bytes, *, functional: bool) -> bytes | None:
        code = self._conduct.refusals.get(request, self._conduct.refusal)
        answer = self._positive(request) if code is None else code
        if not isinstance(answer, int):
            return answer
        silent = request[0] == CURRENT_DATA and code is None  # SAE J1979 §5.2.2.6: what is not supported has no answer
        if silent or (functional and answer in UNSAID_TO_ALL):
            return None
        return bytes((NEGATIVE, request[0], answer))

    def _positive(self, request: bytes) -> bytes | int | None:
        """Return the answer, the code by which it is declined, or None where none is wanted."""
        service = request[0]
        made = self._answers[request]() if request in self._answers else None
        if made is not None:
            return made
        if service == TESTER_PRESENT:
            return self._present(request)
        if service == CURRENT_DATA:
            return self._supported(request)
        if service == READ_FAULTS and request[1:2] == bytes((REPORTED_BY_MASK,)):
            return bytes((service + POSITIVE, REPORTED_BY_MASK, ALL_STATUS_BITS))  # and no trouble code behind
        if service == READ_DATA:
            return OUT_OF_RANGE if len(request) % 2 and len(request) > 1 else LENGTH_WRONG
        return SERVICE_UNKNOWN

    def _present(self, request: bytes) -> bytes | int | None:
        if len(request) != 2:  # noqa: PLR2004 - service and sub-function
            return LENGTH_WRONG
        return None if request[1] & SUPPRESSED else bytes((TESTER_PRESENT + POSITIVE, request[1]))

    def _supported(self, request: bytes) -> bytes | int:
        """Return the mask of the 32 parameters that follow a multiple of 0x20, where any of them is known."""
        if len(request) != 2 or request[1] % PIDS_PER_MASK:  # noqa: PLR2004 - service and parameter
            return OUT_OF_RANGE
        known = {asked[1] for asked in self._answers if asked[0] == CURRENT_DATA}
        first, mask = request[1], 0
        for pid in range(first + 1, first + PIDS_PER_MASK + 1):
            more = pid == first + PIDS_PER_MASK and any(k > pid for k in known)
            mask = mask << 1 | (pid in known or more)
        return bytes((CURRENT_DATA + POSITIVE, first)) + mask.to_bytes(4, "big") if mask else OUT_OF_RANGE
