"""A journal with records of every size, and where in the file each of them lies."""

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.core.bodies import snapshot

from packseal.core import cose, exchange
from packseal.core.bodies import Event
from packseal.core.chain import Head, Pen, SealedRecord
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal, LogKind
from packseal.keys import file
from packseal.keys.file import FileSigner

GATEWAY, BATTERY, LOG, GATEWAY_LOG = "urn:example:gateway:1", "urn:example:battery:1", b"B" * 16, b"G" * 16
WALL_MS = 1_800_000_000_000
PAGE = 4096
PIECE = 32
COUNT, SNAPSHOT = 240, 90


@dataclass(frozen=True, repr=False)
class Original:
    """An undamaged journal. `db`, `wal`: the files of an agent that was killed, whose newest records are in the WAL."""

    folder: Path
    signer: FileSigner
    records: Sequence[SealedRecord]
    whole: bytes
    db: bytes
    wal: bytes

    @property
    def key(self) -> Path:
        return self.folder / "gateway.key"

    @property
    def sink_key(self) -> Path:
        return self.folder / "sink.pub"

    @cached_property
    def pages(self) -> list[set[int]]:
        """By record, the pages of the whole file, from 0, on which its bytes lie."""
        return [_pages(self.whole, record.raw) for record in self.records]


def _pages(whole: bytes, raw: bytes) -> set[int]:
    pieces = (raw[at : at + PIECE] for at in range(0, len(raw) - PIECE, PIECE // 2))
    places = [whole.find(piece) for piece in pieces]
    return {at // PAGE for at in places if at >= 0} | {(at + PIECE) // PAGE for at in places if at >= 0}


def make(folder: Path) -> Original:
    signer, sink = file.create(folder / "gateway.key"), file.create(folder / "sink.key")
    rng = random.Random(1)
    pen = Pen(signer, GATEWAY, BATTERY, LOG, bytes(8), Head())
    records = []
    for number in range(COUNT):
        size = 9000 if number % 20 == 7 else rng.choice((10, 300, 900, 1800, 3500))
        parts = {f"part_{i}": rng.randbytes(min(1000, size - at)) for i, at in enumerate(range(0, size, 1000))}
        at = Instant(number * 10**9, (WALL_MS + 1000 * number) * 10**6, ClockQuality.NTP)
        records.append(pen.write(snapshot() if number == SNAPSHOT else Event(EventCode.BUS_SILENT, parts), at))
    own = Pen(signer, GATEWAY, GATEWAY, GATEWAY_LOG, bytes(8), Head())
    path = folder / "journal.db"
    with Journal.open(path) as journal:
        journal.begin_log(GATEWAY, GATEWAY_LOG, LogKind.GATEWAY)
        journal.append(GATEWAY_LOG, [own.write(Event(EventCode.BUS_SILENT), Instant(0, 10**15, ClockQuality.NTP))])
        journal.begin_log(BATTERY, LOG)
        for start in range(0, 200, 10):
            journal.append(LOG, records[start : start + 10], b"state")
        end = (LOG, 199, records[199].hash)
        raw = exchange.write_receipt(cose.Envelope(sink, "urn:example:sink", BATTERY), end, WALL_MS)
        journal.acknowledge(exchange.verify_receipt(raw, sink.public))
        journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for start in range(200, COUNT, 10):
            journal.append(LOG, records[start : start + 10], b"state")
        db, wal = path.read_bytes(), path.with_name("journal.db-wal").read_bytes()
    return Original(folder, signer, records, path.read_bytes(), db, wal)


def damaged(folder: Path, db: bytes, wal: bytes = b"") -> Path:
    """A folder with these files; what was there before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = folder / "journal.db"
    path.write_bytes(db)
    if wal:
        path.with_name("journal.db-wal").write_bytes(wal)
    return path
