"""Guard of Bluetooth: the one class through which every write to a characteristic passes. Links write nothing else.

Reading, and switching notifications on and off, change nothing in a battery and are free. What is written must be on
the allow-list, byte for byte; it is looked at when it is permitted, and by the link just before it leaves.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from packseal.core.sample import LinkCounts
from packseal_drivers.ble.allowlist import refusal
from packseal_drivers.guard import MAX_REASONS, RefusedRequest


@dataclass(frozen=True, slots=True, eq=False)
class PermittedWrite:
    """A write that may leave. Only a guard makes one that a link accepts: `seal` is known to nobody else."""

    uuid: str
    data: bytes
    seal: object


class BleGuard:
    """Permits or refuses, and counts what it refuses: `counts.refused`, and by reason in `refused`.

    Args:
        protocol: whose questions may be asked.
        counts: of the link.
        rule: says why a write to a characteristic may not leave, or None; the protocol's own by default.
    """

    def __init__(
        self, protocol: str, counts: LinkCounts, rule: Callable[[str, bytes], str | None] | None = None
    ) -> None:
        self._refusal = rule or partial(refusal, protocol)
        self._counts = counts
        self._seal = object()
        self.refused: Counter[str] = Counter()

    def permit(self, uuid: str, data: bytes) -> PermittedWrite:
        """Permit a write; raises RefusedRequest."""
        reason = self._refusal(uuid, data)
        if reason:
            self._refuse(reason)
        return PermittedWrite(uuid, bytes(data), self._seal)

    def check(self, permitted: PermittedWrite) -> tuple[str, bytes]:
        """Return characteristic and bytes of what this guard has permitted; raises RefusedRequest for all else."""
        if type(permitted) is not PermittedWrite:
            self._refuse("a write that no guard has seen")
        if permitted.seal is not self._seal:
            self._refuse("a forged permission")
        uuid, data = permitted.uuid, permitted.data
        if type(uuid) is not str or type(data) is not bytes or self._refusal(uuid, data):
            self._refuse("a permission changed afterwards")
        return uuid, data

    def _refuse(self, reason: str) -> NoReturn:
        self._counts.refused += 1
        self.refused[reason if reason in self.refused or len(self.refused) < MAX_REASONS else "others"] += 1
        raise RefusedRequest(f"not sent, because packseal only reads: {reason}")
