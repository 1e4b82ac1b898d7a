"""A log with removed records: what a gateway still has of it, and the gap records that name the rest."""

from dataclasses import dataclass

from tests.cloud_sink.pack import BATTERY, GATEWAY, LOG_ID, START_MS

from packseal.core.bodies import Body, Event, Gap, GapCause, Lifecycle, LifecycleCode
from packseal.core.chain import Head, Pen
from packseal.core.sample import NS_PER_S, ClockQuality, EventCode, Instant
from packseal.keys.file import FileSigner


@dataclass(frozen=True)
class HoledLog:
    """`raws` are all that was ever sealed; `removed` those that the gateway has no more."""

    raws: list[bytes]
    removed: frozenset[int]
    gaps: list[int]

    @property
    def present(self) -> list[int]:
        return [n for n in range(len(self.raws)) if n not in self.removed]


class Writer:
    """Writes one log of small records, one a second."""

    def __init__(
        self, signer: FileSigner, log_id: bytes = LOG_ID, boot: bytes = bytes(8), head: Head | None = None
    ) -> None:
        self._pen = Pen(signer, GATEWAY, BATTERY, log_id, boot, head or Head())
        self.second = 0

    @property
    def head(self) -> Head:
        return self._pen.head

    def write(self, body: Body) -> bytes:
        self.second += 1
        ns = self.second * NS_PER_S
        return self._pen.write(body, Instant(ns, START_MS * 1_000_000 + ns, ClockQuality.NTP)).raw

    def event(self) -> bytes:
        return self.write(Event(EventCode.LINK_LOST, {"n": self.second}))

    def hole(self, first: int, last: int, records: int, cause: GapCause = GapCause.THINNED) -> bytes:
        facts = {"first": first, "last": last, "records": records}
        return self.write(Gap(cause, START_MS, START_MS + self.second * 1000, facts))


def holed_log(signer: FileSigner, removals: list[tuple[int, set[int]]], length: int) -> HoledLog:
    """Return a log of at least `length` records; each removal is (when, which numbers below it)."""
    writer, raws, removed, gaps = Writer(signer), list[bytes](), set[int](), list[int]()
    raws.append(writer.write(Lifecycle(LifecycleCode.LOG_BEGUN)))
    pending = sorted(removals, key=lambda removal: removal[0])
    while len(raws) < length or pending:
        if pending and pending[0][0] <= len(raws):
            _, numbers = pending.pop(0)
            gone = {n for n in numbers if n < len(raws)} - removed - set(gaps)
            if gone:
                gaps.append(len(raws))
                raws.append(writer.hole(min(gone), max(gone), len(gone)))
                removed |= gone
        else:
            raws.append(writer.event())
    return HoledLog(raws, frozenset(removed), gaps)
