"""Guard of Modbus: the one class through which every request passes. The connection sends nothing else.

A request must be on the allow-list and go to the guard's own unit. It is looked at when it is permitted, when it is
handed to the connection, and once more as the bytes of the frame that pymodbus is about to write, so neither a forged
permission nor a call of pymodbus' own writing methods gets through.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from packseal.core.sample import LinkCounts
from packseal_drivers.guard import MAX_REASONS, RefusedRequest
from packseal_drivers.modbus.allowlist import device_id_pdu, read_pdu, refusal

MBAP_BYTES, CRC_BYTES, UNIT_BYTES = 7, 2, 1
"""Around a PDU: MODBUS Messaging on TCP/IP V1.0b §3.1.3, MODBUS over Serial Line V1.02 §2.3."""


@dataclass(frozen=True, slots=True, eq=False)
class PermittedRead:
    """A request that may leave. Only a guard makes one that passes: `seal` is known to nobody else."""

    unit: int
    pdu: bytes
    seal: object


class ModbusGuard:
    """Permits or refuses, and counts what it refuses: `counts.refused`, and by reason in `refused`.

    Args:
        units: who may be asked.
        serial: whether the frames go onto a serial line, be it through a gateway that takes them as they are (RTU).
        counts: of the link.
    """

    def __init__(self, units: Iterable[int], *, serial: bool, counts: LinkCounts) -> None:
        self.units = frozenset(units)
        self._serial = serial
        self._counts = counts
        self._seal = object()
        self.refused: Counter[str] = Counter()

    def permit_read(self, unit: int, function: int, address: int, count: int) -> PermittedRead:
        """Permit the reading of registers or bits; raises RefusedRequest."""
        return self.permit(unit, read_pdu(function, address, count))

    def permit_device_id(self, unit: int, code: int = 1, first: int = 0) -> PermittedRead:
        """Permit the reading of a device's identification; raises RefusedRequest."""
        return self.permit(unit, device_id_pdu(code, first))

    def permit(self, unit: int, pdu: bytes) -> PermittedRead:
        """Permit a request as it is; raises RefusedRequest."""
        reason = self._reason(unit, pdu)
        if reason:
            self._refuse(reason)
        return PermittedRead(unit, bytes(pdu), self._seal)

    def check(self, permitted: PermittedRead) -> tuple[int, bytes]:
        """Return unit and request of what this guard has permitted; raises RefusedRequest for all else."""
        if type(permitted) is not PermittedRead:
            self._refuse("a request that no guard has seen")
        if permitted.seal is not self._seal:
            self._refuse("a forged permission")
        unit, pdu = permitted.unit, permitted.pdu
        if type(unit) is not int or type(pdu) is not bytes or self._reason(unit, pdu):
            self._refuse("a permission changed afterwards")
        return unit, pdu

    def check_frame(self, permitted: PermittedRead, frame: bytes, *, rtu: bool) -> None:
        """Look at the bytes that are about to be written; raises RefusedRequest unless they are what was permitted."""
        unit, pdu = self.check(permitted)
        if rtu:
            found = frame[0] if frame else -1, frame[UNIT_BYTES:-CRC_BYTES]
        else:
            found = frame[MBAP_BYTES - 1] if len(frame) >= MBAP_BYTES else -1, frame[MBAP_BYTES:]
        if found != (unit, pdu):
            self._refuse("a frame other than the request that was permitted")

    def _reason(self, unit: int, pdu: bytes) -> str | None:
        if unit not in self.units:
            return "a unit that is not this battery's"
        return refusal(unit, pdu, serial=self._serial)

    def _refuse(self, reason: str) -> NoReturn:
        self._counts.refused += 1
        self.refused[reason if reason in self.refused or len(self.refused) < MAX_REASONS else "others"] += 1
        raise RefusedRequest(f"not sent, because packseal only reads: {reason}")
