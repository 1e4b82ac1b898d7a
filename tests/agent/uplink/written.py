"""Logs of mixed records, and an outbox in memory over them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from packseal.core.bodies import Body, Event, Gap, GapCause, Kind, Telemetry
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.exchange import Receipt
from packseal.core.passport import Snapshot
from packseal.core.sample import ClockQuality, EventCode, Instant

AT = Instant(0, 1_750_000_000_000_000_000, ClockQuality.NTP)
EVENT, SNAPSHOT, TELEMETRY = Event(EventCode.BUS_SILENT), Snapshot(()), Telemetry(0, 0, 1, 0, b"\x00" * 40)
BODIES: dict[str, Body] = {"e": EVENT, "s": SNAPSHOT, "t": TELEMETRY}


def dropped(first: int, last: int) -> Gap:
    """Name these numbers, both inclusive, as removed."""
    return Gap(GapCause.DROPPED, 0, 1, {"first": first, "last": last, "records": last - first + 1})


def write(pen: Pen, kinds: str) -> list[SealedRecord]:
    """Seal one record per letter: e, s or t."""
    return [pen.write(BODIES[letter], AT) for letter in kinds]


@dataclass
class LogName:
    """One log of the memory outbox."""

    log_id: bytes


@dataclass
class MemoryOutbox:
    """What a journal gives to Sync."""

    records: dict[bytes, list[SealedRecord]]
    named: dict[bytes, list[tuple[int, int]]] = field(default_factory=dict)
    gone: dict[bytes, set[int]] = field(default_factory=dict)

    def logs(self) -> Sequence[LogName]:
        return [LogName(log_id) for log_id in self.records]

    def head(self, log_id: bytes) -> Head:
        last = self.records[log_id][-1]
        return Head(last.sequence + 1, last.hash)

    def delivered(self, log_id: bytes) -> int:  # noqa: ARG002 - of the seam
        return 0

    def read(self, log_id: bytes, start: int, limit_records: int, limit_bytes: int) -> list[bytes]:
        found = self.entries(log_id, start, 1 << 40, limit_records, limit_bytes)
        return [raw for _, raw in found]

    def entries(  # noqa: PLR0913 - of the seam
        self,
        log_id: bytes,
        start: int,
        end: int,
        limit_records: int,
        limit_bytes: int,
        *,
        urgent: bool = False,
        snapshots: bool = True,
        newest_first: bool = False,
    ) -> list[tuple[int, bytes]]:
        wanted = [r for r in self._kept(log_id) if start <= r.sequence < end]
        wanted = [r for r in wanted if not (urgent and r.kind is Kind.TELEMETRY)]
        wanted = [r for r in wanted if snapshots or r.kind is not Kind.SNAPSHOT]
        found: list[tuple[int, bytes]] = []
        size = 0
        for sealed in reversed(wanted) if newest_first else wanted:
            size += len(sealed.raw)
            if len(found) == limit_records or (found and size > limit_bytes):
                break
            found.append((sealed.sequence, sealed.raw))
        return sorted(found)

    def holes(self, log_id: bytes) -> list[tuple[int, int]]:
        return self.named.get(log_id, [])

    def newest_snapshot(self, log_id: bytes) -> tuple[int, bytes] | None:
        found = [r for r in self._kept(log_id) if r.kind is Kind.SNAPSHOT]
        return (found[-1].sequence, found[-1].raw) if found else None

    def acknowledge(self, receipt: Receipt) -> None:
        assert receipt.hash == self.records[receipt.log_id][receipt.sequence].hash

    def raws(self, log_id: bytes) -> list[bytes]:
        """Return what is still there."""
        return [r.raw for r in self._kept(log_id)]

    def _kept(self, log_id: bytes) -> Iterable[SealedRecord]:
        gone = self.gone.get(log_id, set())
        return [r for r in self.records[log_id] if r.sequence not in gone]
