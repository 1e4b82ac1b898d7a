"""The waiting room: what came before its turn by mere chance of the road, in memory. What is lost is sent again."""

from collections.abc import Iterable

from packseal.core.record import Record
from packseal_sink.ranges import Ranges


class WaitingRoom:
    """Verified records that came before their predecessors, bounded in number and bytes over all logs.

    Beside them, the gateways' word on which stretches they have sent whole: it holds only as long as they wait.
    """

    def __init__(self, max_records: int = 16_384, max_bytes: int = 32 << 20, patience_ms: int = 60_000) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._patience_ms = patience_ms
        self._logs: dict[bytes, dict[int, Record]] = {}
        self._whole: dict[bytes, Ranges] = {}
        self._arrived_ms: dict[bytes, int] = {}
        self.records = 0
        self.bytes = 0

    def get(self, log_id: bytes, sequence: int) -> Record | None:
        """Return the record that waits for its turn as `sequence`."""
        return self._logs.get(log_id, {}).get(sequence)

    def numbers(self, log_id: bytes) -> Iterable[int]:
        """Return the sequence numbers that wait for `log_id`, in no order."""
        return self._logs.get(log_id, ())

    def whole(self, log_id: bytes) -> Ranges:
        """Return the numbers of which the gateway has said that it has sent what it has; not to be changed."""
        return self._whole.get(log_id) or Ranges()

    def has_room(self, records: int, size: int) -> bool:
        """Tell whether so many more records and bytes may wait."""
        return self.records + records <= self._max_records and self.bytes + size <= self._max_bytes

    def put(self, entry: Record, now_ms: int) -> None:
        """Let `entry` wait."""
        waiting = self._logs.setdefault(entry.header.log_id, {})
        if entry.header.sequence not in waiting:
            waiting[entry.header.sequence] = entry
            self.records += 1
            self.bytes += len(entry.raw)
        self._arrived_ms[entry.header.log_id] = now_ms

    def believe(self, log_id: bytes, whole: Ranges) -> None:
        """Keep the gateway's word in place of what it said before."""
        self._whole[log_id] = whole

    def drop(self, log_id: bytes) -> None:
        """Forget what waits for `log_id` and what was said of it."""
        for entry in self._logs.pop(log_id, {}).values():
            self.bytes -= len(entry.raw)
            self.records -= 1
        self._arrived_ms.pop(log_id, None)
        self._whole.pop(log_id, None)

    def reached(self, log_id: bytes, sequence: int) -> None:
        """Forget what waits below `sequence`: the log has come that far."""
        waiting = self._logs.get(log_id, {})
        for number in [n for n in waiting if n < sequence]:
            self.bytes -= len(waiting.pop(number).raw)
            self.records -= 1
        if not waiting:
            self._logs.pop(log_id, None)
            self._arrived_ms.pop(log_id, None)
        if log_id in self._whole:
            self._whole[log_id].remove(0, sequence)
            if not self._whole[log_id]:
                del self._whole[log_id]

    def expire(self, now_ms: int) -> None:
        """Forget logs whose gap has stayed open too long, so that they cannot keep others out."""
        for log_id in [k for k, at in self._arrived_ms.items() if now_ms - at > self._patience_ms]:
            self.drop(log_id)
