"""Nothing sealed is ever lost: the real journal, sync engine and sink against a model, whatever happens in between.

Appends, kills in the middle of one, removals, lost, doubled or broken exchanges, restarts of both sides, in any order.
A kill is taken as what the files hold at that moment: they are copied, and the copy is gone on with.

PACKSEAL_MODEL_STEPS=100000 makes as many steps; by default it is a small part of that.
"""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.cloud_sink.conftest import NOW_MS, SINK, pem_of

from packseal.core import chain, columns, holes, record
from packseal.core.bodies import Body, Event, Gap, GapCause, Kind, Telemetry
from packseal.core.chain import Pen, SealedRecord
from packseal.core.errors import UplinkError
from packseal.core.passport import Snapshot
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import ClockQuality, EventCode, Instant, Sample
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner
from packseal.uplink.memory import Faults, MemoryUplink
from packseal.uplink.settings import SyncSettings
from packseal.uplink.sync import Sync
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.store import Store

T = TypeVar("T")
GATEWAY, BATTERY, LOG_ID = "urn:example:gateway:1", "urn:example:battery:1", bytes(16)
SIGNER, SINK_SIGNER = FileSigner(Ed25519PrivateKey.generate()), FileSigner(Ed25519PrivateKey.generate())
WALL_NS = 1_800_000_000_000_000_000
STEPS_PER_EXAMPLE = 40
STEPS = int(os.environ.get("PACKSEAL_MODEL_STEPS", "400"))
PACE = SyncSettings(
    batch_records=5, in_flight=2, silence_s=0.5, halted_s=0.001, pause_min_s=0.001, pause_max_s=0.002, busy_max_s=0.002
)
SYNC_S = 20.0


def _telemetry(count: int) -> Telemetry:
    channel = Channel(Quantity.PACK_VOLTAGE_V)
    window = [
        Sample(Instant(n * 10**9, WALL_NS + n * 10**9, ClockQuality.NTP), {channel: 400 + n / 7}) for n in range(count)
    ]
    return Telemetry(0, WALL_NS // 1_000_000, count, (count - 1) * 1000, columns.pack(window))


BODIES: tuple[Body, ...] = (
    *(_telemetry(count) for count in (1, 60)),
    Snapshot((), {}),
    Event(EventCode.BUS_SILENT, {"n": 1}),
)


class NothingIsLost(RuleBasedStateMachine):
    """`acknowledged`: what the journal has promised to keep. `removed`: what retention has taken out since."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._life = 0
        self.acknowledged: dict[int, bytes] = {}
        self.removed: set[int] = set()
        self._journal = Journal.open(self._place / "journal.db")
        self._journal.begin_log(BATTERY, LOG_ID)
        self._database = Database(self._place / "sink.db", write=True)
        Store(self._database).add_gateway(pem_of(SIGNER), GATEWAY, "", NOW_MS)
        self._faults = Faults()

    @property
    def _place(self) -> Path:
        place = Path(self._folder.name) / str(self._life)
        place.mkdir(exist_ok=True)
        return place

    def teardown(self) -> None:
        """At the end all is well again: then everything must come through."""
        self._deliver(Faults())
        head = self._journal.head(LOG_ID).next_sequence
        assert self._journal.delivered(LOG_ID) == head
        self._check_sink(head)
        self._journal.close()
        self._database.close()
        self._folder.cleanup()

    @initialize()
    def restart_the_sink(self) -> None:
        self._ingest = Ingest(Store(self._database), SINK_SIGNER, SINK, lambda: NOW_MS)

    @rule(numbers=st.lists(st.integers(0, len(BODIES) - 1), min_size=1, max_size=12))
    def append(self, numbers: list[int]) -> None:
        self._append([BODIES[number] for number in numbers])

    @rule(numbers=st.lists(st.integers(0, len(BODIES) - 1), min_size=1, max_size=4), statement=st.integers(0, 8))
    def die_while_appending(self, numbers: list[int], statement: int) -> None:
        records = self._sealed([BODIES[number] for number in numbers])
        with self._dying(statement):
            self._journal.append(LOG_ID, records)
        self._note_survivors(records)

    @rule()
    def die(self) -> None:
        with self._dying(0):
            self._journal.delivered(LOG_ID)

    @precondition(lambda self: len(self.acknowledged) > 3)
    @rule(first=st.integers(0, 200), length=st.integers(1, 20), statement=st.none() | st.integers(0, 12))
    def remove(self, first: int, length: int, statement: int | None) -> None:
        head = self._journal.head(LOG_ID).next_sequence
        first = min(first, head - 2)
        last = min(first + length, head - 2)
        taken = [
            (sequence, sequence)
            for sequence, raw in self._journal.entries(LOG_ID, first, last + 1, 1000, 1 << 20)
            if record.parse(raw).kind is Kind.TELEMETRY
        ]
        if not taken:
            return
        gap = Gap(GapCause.DROPPED, 0, 1, {"first": first, "last": last, "records": len(taken)})
        records = self._sealed([gap])
        if statement is None:
            self._journal.append(LOG_ID, records, removed=taken)
        else:
            with self._dying(statement):
                self._journal.append(LOG_ID, records, removed=taken)
        self._note_survivors(records)
        if self._journal.head(LOG_ID).next_sequence > head:
            self.removed |= {first for first, _ in taken}

    @precondition(lambda self: self._journal.delivered(LOG_ID) > 1)
    @rule()
    def forget_what_is_delivered(self) -> None:
        last = self._journal.delivered(LOG_ID) - 2
        first = next((e.sequence for e in self._journal.records(LOG_ID)), 0)
        if first <= last:
            self.removed |= {n for n in range(first, last + 1) if n in self.acknowledged}
            self._journal.append(LOG_ID, [], removed=[(first, last)])

    @rule(
        lost_requests=st.integers(0, 2),
        lost_replies=st.integers(0, 2),
        doubled=st.integers(0, 3),
        breaks_after=st.none() | st.integers(0, 6),
    )
    def exchange(self, lost_requests: int, lost_replies: int, doubled: int, breaks_after: int | None) -> None:
        faults = Faults(lose_requests=lost_requests, lose_replies=lost_replies, duplicate_requests=doubled)
        self._deliver(faults, breaks_after)

    @invariant()
    def everything_promised_is_there(self) -> None:
        present = {entry.sequence: entry.raw for entry in self._journal.records(LOG_ID)}
        assert present == {n: raw for n, raw in self.acknowledged.items() if n not in self.removed}

    @invariant()
    def the_chain_is_whole(self) -> None:
        raws = [entry.raw for entry in self._journal.records(LOG_ID)]
        if raws:
            named = holes.merged(h for raw in raws if (h := holes.hole_of(record.parse(raw))) is not None)
            end = chain.verify_log(raws, lambda _: SIGNER.public, None, named)
            assert end == self._journal.head(LOG_ID)

    @invariant()
    def nothing_receipted_is_missing(self) -> None:
        self._check_sink(self._journal.delivered(LOG_ID))

    def _append(self, bodies: list[Body]) -> None:
        records = self._sealed(bodies)
        self._journal.append(LOG_ID, records)
        self._note_survivors(records)

    def _sealed(self, bodies: list[Body]) -> list[SealedRecord]:
        pen = Pen(SIGNER, GATEWAY, BATTERY, LOG_ID, bytes(8), self._journal.head(LOG_ID))
        at = Instant(pen.head.next_sequence * 1_000_000, WALL_NS, ClockQuality.NTP)
        return [pen.write(body, at) for body in bodies]

    def _note_survivors(self, records: list[SealedRecord]) -> None:
        """Of what was being written at a kill, all or nothing is there."""
        there = [self._journal.record(LOG_ID, entry.sequence) is not None for entry in records]
        assert len(set(there)) == 1
        if there[0]:
            self.acknowledged |= {entry.sequence: entry.raw for entry in records}

    @contextmanager
    def _dying(self, statement: int) -> Iterator[None]:
        """Go on with the files as they are before the statement of this number, or after the last one."""
        old, seen, copied = self._place, [0], [False]
        self._life += 1
        new = self._place

        def trace(_: str) -> None:
            if seen[0] == statement:
                _copy(old, new, "journal.db")
                copied[0] = True
            seen[0] += 1

        self._journal._connection.set_trace_callback(trace)
        yield
        self._journal._connection.set_trace_callback(None)
        if not copied[0]:
            _copy(old, new, "journal.db")
        self._journal.close()
        self._database.close()
        _copy(old, new, "sink.db")
        shutil.rmtree(old)
        self._journal = Journal.open(new / "journal.db")
        self._database = Database(new / "sink.db", write=True)
        self.restart_the_sink()

    def _deliver(self, faults: Faults, breaks_after: int | None = None) -> None:
        """Sync until all is receipted, or until the link breaks for good after some exchanges."""
        left = [breaks_after]

        def handle(request: bytes) -> bytes:
            if left[0] is not None:
                if left[0] == 0:
                    raise UplinkError("the link is gone")
                left[0] -= 1
            return self._ingest.handle(request)

        asyncio.run(self._sync(MemoryUplink(handle, faults, reply_timeout_s=0.002), left))

    async def _sync(self, uplink: MemoryUplink, left: list[int | None]) -> None:
        sync = Sync(self._journal, uplink, SINK_SIGNER.public, _inline, PACE)
        task = asyncio.create_task(sync.run())
        try:
            async with asyncio.timeout(SYNC_S):
                while self._journal.delivered(LOG_ID) < self._journal.head(LOG_ID).next_sequence:
                    assert not task.done()
                    if left[0] == 0:
                        return
                    await asyncio.sleep(0.001)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def _check_sink(self, end: int) -> None:
        """Before `end`, the sink has every record once and unchanged, but those removed before they were sent."""
        with self._database.reading() as connection:
            raws = [raw for (raw,) in connection.execute("SELECT raw FROM record ORDER BY id")]
        stored = [record.parse(raw).header.sequence for raw in raws]
        assert stored == sorted(set(stored))
        for sequence, raw in zip(stored, raws, strict=True):
            assert self.acknowledged[sequence] == raw
        missing = set(range(end)) - set(stored)
        assert missing <= self.removed
        named = holes.merged(h for raw in raws if (h := holes.hole_of(record.parse(raw))) is not None)
        named += [h for raw in self.acknowledged.values() if (h := holes.hole_of(record.parse(raw))) is not None]
        assert all(holes.covers(holes.merged(named), n, n) for n in missing)


async def _inline(work: Callable[[], T], /) -> T:
    return work()


def _copy(old: Path, new: Path, name: str) -> None:
    for file in (old / name, old / f"{name}-wal"):
        if file.exists():
            shutil.copy(file, new / file.name)


TestNothingIsLost = NothingIsLost.TestCase
TestNothingIsLost.settings = settings(
    max_examples=max(1, STEPS // STEPS_PER_EXAMPLE), stateful_step_count=STEPS_PER_EXAMPLE, deadline=None
)
