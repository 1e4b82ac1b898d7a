"""Where two histories part is found over what retention has removed, on either side, and asked for without alarm."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.agent.runtime.test_epochs import (
    HERE,
    LOG,
    SHARED,
    Handler,
    begin,
    key,
    pen_of,
    sink,
    sink_key,
    split,
    watched,
    write,
)
from tests.agent.uplink.gateway import FAST

from packseal.core import exchange
from packseal.core.bodies import Gap, GapCause
from packseal.core.sample import ClockQuality, Instant
from packseal.journal.store import Journal
from packseal.keys.file import FileSigner
from packseal.runtime.desk import Desk
from packseal.uplink.memory import MemoryUplink
from packseal.uplink.sync import Sync
from packseal_sink.ingest import Ingest

__all__ = ["key", "sink", "sink_key"]  # the fixtures of the neighbour

FIRST, LAST = 8, 28
"""What is removed: the search's first question falls into it."""

pytestmark = pytest.mark.timeout(60)


def drop(path: Path, key: FileSigner) -> None:
    """Remove some of the shared records, and say so."""
    with Journal.open(path) as journal:
        pen = pen_of(journal, key, 0)
        gap = Gap(GapCause.DROPPED, 0, 1, {"first": FIRST, "last": LAST, "records": LAST - FIRST + 1})
        journal.append(LOG, [pen.write(gap, Instant(10**12, 10**18, ClockQuality.RTC))], None, [(FIRST, LAST)])


async def delivered(path: Path, sink_key: FileSigner, handler: Handler) -> None:
    """Return when the sink has receipted everything."""
    async with Desk(path) as desk:
        sync = Sync(desk.journal, MemoryUplink(handler), sink_key.public, desk.run, FAST)
        running = asyncio.create_task(sync.run())
        async with asyncio.timeout(20):
            while await desk.run(lambda: desk.journal.delivered(LOG) < desk.journal.head(LOG).next_sequence):  # noqa: ASYNC110 - a poll
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("where", ["here", "there", "both"])
def test_only_what_the_sink_does_not_have_is_carried_on(
    tmp_path: Path, key: FileSigner, sink_key: FileSigner, sink: Ingest, where: str
) -> None:
    ours, other = tmp_path / "ours.db", tmp_path / "other.db"
    with Journal.open(ours) as journal:
        shared = write(journal, key, SHARED, 0)
    shutil.copy(ours, other)
    if where == "here":
        sink.handle(exchange.encode_batch(shared))
        drop(ours, key)
    else:
        drop(other, key)
    if where == "both":
        shutil.copy(other, ours)
    with Journal.open(other) as journal:
        write(journal, key, 2 * HERE, 1)
    asyncio.run(delivered(other, sink_key, sink.handle))
    with Journal.open(ours) as journal:
        write(journal, key, HERE, 2)
        end = journal.head(LOG).next_sequence
    due, _ = asyncio.run(watched(ours, sink_key, sink.handle, 20))
    assert due
    ended = begin(ours, key)
    assert ended.shared == SHARED + (where == "both")
    with Journal.open_to_read(ours) as journal:
        assert journal.head(journal.logs()[-1].log_id).next_sequence == 1 + end - ended.shared


def test_a_receipt_for_another_record_than_the_one_that_was_removed_is_a_contradiction(
    tmp_path: Path, key: FileSigner, sink_key: FileSigner, sink: Ingest
) -> None:
    """The record after the removed one says its hash, so the log cannot go on at the sink, and a new one must."""
    path = split(tmp_path, key, sink, HERE, there := 10)
    named = SHARED + there - 1
    with Journal.open(path) as journal:
        gap = Gap(GapCause.DROPPED, 0, 1, {"first": named, "last": named, "records": 1})
        sealed = pen_of(journal, key, 2).write(gap, Instant(10**12, 10**18, ClockQuality.RTC))
        journal.append(LOG, [sealed], None, [(named, named)])
    due, _ = asyncio.run(watched(path, sink_key, sink.handle, 20))
    assert due
    assert begin(path, key).shared == SHARED


def test_the_search_is_counted_as_questions(
    tmp_path: Path, key: FileSigner, sink_key: FileSigner, sink: Ingest
) -> None:
    path = tmp_path / "ours.db"
    with Journal.open(path) as journal:
        shared = write(journal, key, SHARED, 0)
    shutil.copy(path, tmp_path / "other.db")
    with Journal.open(tmp_path / "other.db") as other:
        sink.handle(exchange.encode_batch([*shared, *write(other, key, 4 * HERE, 1)]))
    with Journal.open(path) as journal:
        write(journal, key, HERE, 2)
    due, _ = asyncio.run(watched(path, sink_key, sink.handle, 20))
    assert due
    with closing(sqlite3.connect(tmp_path / "sink.db")) as database:
        counts = dict(database.execute("SELECT what, sum(count) FROM tally GROUP BY what"))
    refused = sum(count for what, count in counts.items() if what.startswith("refused."))
    assert counts["questions"] >= 4, counts
    assert 1 <= refused <= 3, counts
