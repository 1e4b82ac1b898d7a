"""A gateway and its sink for the model: the real journal, sync engine, epochs and ingest, on files that are copied.

What has become of them is kept beside: what was promised, sealed, stored and receipted.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

from tests.cloud_sink.conftest import NOW_MS, SINK, pem_of
from tests.end_to_end import crashing
from tests.end_to_end.crashing import Crasher, Work
from tests.end_to_end.model import FIRST_MARK, WINDOW_MS, Book, Fate, FaultyWay, at, body, mark_of, parsed

from packseal.clock import SystemClock
from packseal.core import exchange, holes
from packseal.core.bodies import Body, Lifecycle
from packseal.core.chain import Pen, SealedRecord
from packseal.core.errors import UplinkError
from packseal.journal.store import Journal
from packseal.runtime.desk import Desk
from packseal.runtime.epochs import EpochWatch, begin
from packseal.uplink import shared
from packseal.uplink.link import Link, Policy
from packseal.uplink.settings import SyncSettings
from packseal.uplink.sync import Sync
from packseal.uplink.terms import Order
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.store import Store

T = TypeVar("T")
GATEWAY, BATTERY, LOG_ID = "urn:example:gateway:1", "urn:example:battery:1", bytes(16)
KEY, SINK_KEY = b"a gateway's own key of 32 bytes.", b"the key of the sink of 32 bytes."
SIGNER, SINK_SIGNER = crashing.signer(KEY), crashing.signer(SINK_KEY)
PACE = SyncSettings(
    batch_records=5,
    in_flight=2,
    silence_s=0.5,
    halted_s=0.001,
    pause_min_s=0.001,
    pause_max_s=0.002,
    busy_max_s=0.002,
    again_s=0.01,
)
SYNC_S = 60.0

Way = tuple[list[Fate], int | None, bool, Order]
"""Fates of the first exchanges, after how many it breaks, whether it keeps the order, which end goes first."""


class _Desk(Desk):
    """The journal without its thread."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def run(self, work: Callable[[], T], /) -> T:
        return work()


class Pair:
    """One gateway, of which there may be copies, and its sink.

    `book`: what the journal has promised. `ever`: all that was sealed. `receipted`: by log, the number after the last
    that the sink has signed for. `carried` records were sealed again into a new log. Where a copy that holds them too
    is put back, its own new log carries them once more, which nobody can know: `excused`.
    """

    def __init__(self, place: Path, crasher: Crasher, steps: Counter[str]) -> None:
        self._place, self._crasher, self._steps = place, crasher, steps
        self._marks = count(FIRST_MARK, WINDOW_MS)
        self._names = count()
        self.book, self.copies = Book(), list[tuple[Path, Book]]()
        self.ever: set[bytes] = set()
        self.receipted: dict[bytes, int] = {}
        self.excused: set[int] = set()
        self._carried: set[int] = set()
        self._path = self._new_path()
        self.journal = Journal.open(self._path)
        self.journal.begin_log(BATTERY, LOG_ID)
        self.book.begin(LOG_ID)
        self._database = Database(place / "sink.db", write=True)
        Store(self._database).add_gateway(pem_of(SIGNER), GATEWAY, "", NOW_MS)
        self.restart_the_sink()

    def close(self) -> None:
        """Close both sides' files."""
        self.journal.close()
        self._database.close()

    @property
    def newest(self) -> bytes:
        """The log that is written."""
        return self.journal.logs()[-1].log_id

    def live(self) -> list[bytes]:
        """Return the logs that are sent."""
        over = {ended.log_id for ended in self.journal.contradictions()}
        return [log.log_id for log in self.journal.logs() if log.log_id not in over]

    def restart_the_sink(self) -> None:
        """Have the sink know only what its database says."""
        self.ingest = Ingest(Store(self._database), SINK_SIGNER, SINK, lambda: NOW_MS)

    def at_the_sink(self, *, early: bool = False) -> dict[bytes, list[bytes]]:
        """Return what is stored there in its turn, by log and in order; `early`: also what the chain has not reached.

        That proves nothing yet: it may turn out to be of another history, and is then given up or stays aside.
        """
        query = (
            "SELECT log_id, raw FROM record JOIN log ON log.id = record.id >> 40 "
            "WHERE ? OR record.id & ((1 << 40) - 1) < next_sequence ORDER BY record.id"
        )
        there: dict[bytes, list[bytes]] = {log_id: [] for log_id in self.receipted}
        with self._database.reading() as connection:
            for log_id, raw in connection.execute(query, (early,)):
                there.setdefault(log_id, []).append(raw)
        return there

    def sealed(self, kinds: Sequence[int]) -> list[SealedRecord]:
        """Return records of these kinds that continue the newest log."""
        marks_of = [next(self._marks) for _ in kinds]
        return self.written([body(kind, mark) for kind, mark in zip(kinds, marks_of, strict=True)], marks_of)

    def written(self, bodies: Sequence[Body], marks_of: Sequence[int] = ()) -> list[SealedRecord]:
        """Return the records of these bodies that continue the newest log."""
        log_id = self.newest
        pen = Pen(SIGNER, GATEWAY, BATTERY, log_id, bytes(8), self.journal.head(log_id))
        marks_of = marks_of or [next(self._marks) for _ in bodies]
        return [pen.write(one, at(mark)) for one, mark in zip(bodies, marks_of, strict=True)]

    def append(
        self, records: Sequence[SealedRecord], removed: Sequence[holes.Hole] = (), at_call: int | None = None
    ) -> None:
        """Append and remove; of what a death at a system call interrupts, all or nothing has happened."""
        log_id = self.newest
        before = len(list(self.journal.records(log_id)))
        if at_call is None:
            self.journal.append(log_id, records, b"state", removed)
        else:
            self._die(at_call, crashing.append, self._path, log_id, records, removed)
        there = {self.journal.record(log_id, entry.sequence) is not None for entry in records}
        assert len(there) <= 1, "a part of what was appended together"
        if there == {True} or (not there and before > len(list(self.journal.records(log_id)))):
            self.book.logs[log_id] |= {entry.sequence: entry.raw for entry in records}
            self.ever |= {entry.raw for entry in records}
            self.book.remove(log_id, removed)

    def acknowledge(self, at_call: int) -> None:
        """Die while the newest receipt is kept."""
        question = exchange.encode_position([exchange.LogEnd(self.newest, 0, bytes(32))])
        for receipt in exchange.decode_reply(self.handle(question)).receipts[-1:]:
            known = exchange.verify_receipt(receipt, SINK_SIGNER.public)
            if self.journal.hash_of(known.log_id, known.sequence) == known.hash:
                self._die(at_call, crashing.acknowledge, self._path, receipt, SINK_KEY)

    def kill_the_sink(self, start: int, at_call: int) -> None:
        """Let it die while it takes a few records from `start` on."""
        request = exchange.encode_batch(self.journal.read(self.newest, start, 5, 1 << 20))
        self._database.close()
        end = self._crasher.run(at_call, crashing.store, self._place / "sink.db", SINK_KEY, SINK, NOW_MS, request)
        self._steps["deaths of the sink"] += not end.finished
        self._database = Database(self._place / "sink.db", write=True)
        self.restart_the_sink()

    def copied(self) -> Path:
        """Return a copy of the journal's files as they are, the newest part of it still beside the main one."""
        path = self._new_path()
        for end in ("", "-wal"):
            if (file := self._path.with_name(self._path.name + end)).exists():
                shutil.copy(file, path.with_name(path.name + end))
        return path

    def put_back(self, path: Path, book: Book) -> None:
        """Go on with a copy of the journal."""
        self.journal.close()
        self._path, self.book = path, book
        self.journal = Journal.open(path)
        self.excused |= self._carried & book.marks().keys()

    def handle(self, request: bytes) -> bytes:
        """Have the sink answer, and keep what it signs for."""
        reply = self.ingest.handle(request)
        if self.ingest.is_ripe:
            self.ingest.move()
        for raw in exchange.decode_reply(reply).receipts:
            receipt = exchange.verify_receipt(raw, SINK_SIGNER.public)
            end = self.receipted.get(receipt.log_id, 0)
            self.receipted[receipt.log_id] = max(end, receipt.sequence + 1)
        return reply

    def deliver(self, ways: Iterable[Way], at_call: int | None = None) -> None:
        """Sync until all is receipted or every way is broken; begin new logs where the sink holds another history.

        With `at_call` a death comes while a new log is begun.
        """
        made = [
            (FaultyWay(self.handle, lambda: self.journal, fates, breaks, ordered=ordered), order)
            for fates, breaks, ordered, order in ways
        ]
        self._begin_anew(at_call)
        while asyncio.run(self._sync(made)):
            self._begin_anew(at_call)

    def _begin_anew(self, at_call: int | None) -> None:
        if any(ended.successor is None for ended in self.journal.contradictions()):
            if at_call is not None:
                self._die(at_call, crashing.succeed, self._path, KEY, GATEWAY)
            begin(self.journal, SIGNER, GATEWAY, SystemClock())
        for log in self.journal.logs():
            if log.log_id not in self.book.logs:
                self._steps["new logs"] += 1
                self._take_up(log.log_id)

    def _take_up(self, log_id: bytes) -> None:
        """Expect what a new log holds, which was written as a whole."""
        raws = {entry.sequence: entry.raw for entry in self.journal.records(log_id)}
        first = parsed(raws[0]).body
        assert isinstance(first, Lifecycle)
        assert len(raws) - 1 - int(first.attributes["copied"]) in (0, 1), "the first record, copies, a recovered meter"
        self.book.begin(log_id)
        self.book.logs[log_id] = raws
        self.ever |= set(raws.values())
        self._carried |= {mark for raw in raws.values() if (mark := mark_of(raw))}

    async def _sync(self, made: Sequence[tuple[FaultyWay, Order]]) -> bool:
        """Return True when a new log is due."""
        links = [Link(f"way{n}", way, Policy(order=order)) for n, (way, order) in enumerate(made)]
        desk = _Desk(self.journal)
        watch = EpochWatch(desk, self._ask_of(made), SINK_SIGNER.public)
        over = {ended.log_id for ended in self.journal.contradictions()}
        sync = Sync(
            self.journal,
            links,
            SINK_SIGNER.public,
            desk.run,
            PACE,
            contradicted=watch.contradicted,
            ended=over,
        )
        tasks = [asyncio.create_task(sync.run()), asyncio.create_task(watch.run())]
        try:
            async with asyncio.timeout(SYNC_S):
                while not self._is_done(made, over):
                    assert not any(task.done() for task in tasks)
                    if watch.due.is_set():
                        return True
                    await asyncio.sleep(0.001)
        except TimeoutError as error:
            raise AssertionError(f"within {SYNC_S:g} s not all came through: {sync.status}, {sync.links()}") from error
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)
        return False

    def _ask_of(self, made: Sequence[tuple[FaultyWay, Order]]) -> shared.Ask:
        """Return what asks how far both histories are the same: a liar there makes records come twice, by design."""

        async def ask(request: bytes) -> bytes:
            if all(way.is_broken for way, _ in made):
                raise UplinkError("no link to the sink is in use")
            return self.handle(request)

        return ask

    def _is_done(self, made: Sequence[tuple[FaultyWay, Order]], over: Container[bytes]) -> bool:
        live = [log.log_id for log in self.journal.logs() if log.log_id not in over]
        ends = [(self.journal.delivered(i), self.journal.head(i).next_sequence) for i in live]
        return all(way.is_broken for way, _ in made) or all(delivered == end for delivered, end in ends)

    def _new_path(self) -> Path:
        return self._place / f"journal{next(self._names)}.db"

    def _die(self, at_call: int, work: Work, *arguments: object) -> None:
        self.journal.close()
        end = self._crasher.run(at_call, work, *arguments)
        self._steps["deaths of the gateway"] += not end.finished
        self.journal = Journal.open(self._path)
