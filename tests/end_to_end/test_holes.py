"""Holes from one end to the other: a journal that had to be thinned and dropped while no link was there, then the link.

The sink's log is whole over what the gateway's own gap records name, and says so; nothing else is missing anywhere.
"""

import asyncio
import time
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.end_to_end.stations import GATEWAY_ID, Bus
from tests.end_to_end.test_epochs import BATTERY, Place, agent, journal_of, packseal, place, sink, until

from packseal.core.bodies import Gap, GapCause, Kind
from packseal.core.declared import Declared
from packseal.core.record import parse
from packseal.core.summary import Summary
from packseal.keys import file as key_file
from packseal_hil import backlog
from packseal_hil.backlog import Author

LOG_ID = b"H" * 16
MINUTES = 240
"""Records of 250 kB, where [keep] lets 100 kB stay: hours are thinned, and still it is too much."""
RECORDS_PER_S = 4
KEEP = "[keep]\njournal_mb = 0.1\n"

pytestmark = pytest.mark.timeout(150)


def causes(folder: Path) -> set[GapCause]:
    with journal_of(folder) as journal:
        return {named.cause for log in journal.stats() for named in log.removed}


def is_delivered(folder: Path) -> bool:
    with journal_of(folder) as journal:
        return journal.delivered(LOG_ID) == journal.head(LOG_ID).next_sequence


async def lose_and_deliver(where: Place, folder: Path) -> str:
    """Return the battery's page at the sink once all that is left is there."""
    async with AsyncExitStack() as stack:
        operator, gateway = sink(where), agent(folder)
        stack.push_async_callback(operator.stop)
        stack.push_async_callback(gateway.stop)
        await stack.enter_async_context(Bus(folder, RECORDS_PER_S))
        await gateway.start()
        await until(lambda: causes(folder) >= {GapCause.THINNED, GapCause.DROPPED}, gateway.output)
        await operator.start()
        await until(lambda: is_delivered(folder), gateway.output)
        assert await gateway.stop() == 0, gateway.output.read_text()
        address = f"http://127.0.0.1:{where.port}/battery/{quote(BATTERY, safe='')}"
        return await asyncio.to_thread(lambda: urllib.request.urlopen(address, timeout=10).read().decode())


def test_what_had_to_go_is_named_and_everything_else_is_at_the_sink(tmp_path: Path) -> None:
    where = place(tmp_path)
    folder = where.gateway("one")
    with (folder / "packseal.toml").open("a") as configuration:
        configuration.write(KEEP)
    author = Author(key_file.load(folder / "gateway.key"), GATEWAY_ID, BATTERY, LOG_ID)
    backlog.fill(folder / "journal.db", author, Declared(), 60.0, backlog.minutes(MINUTES, time.time_ns()))
    page = asyncio.run(lose_and_deliver(where, folder))
    stored = where.stored()[LOG_ID]
    with journal_of(folder) as journal:
        kept = [record.raw for record in journal.records(LOG_ID)]
        end = journal.head(LOG_ID).next_sequence
        assert journal.delivered(LOG_ID) == end, "receipts cover the whole log"
    assert stored[-len(kept) :] == kept, "byte for byte, of what the gateway has not forgotten meanwhile"
    entries = [parse(raw) for raw in stored]
    gaps = [e.body for e in entries if isinstance(e.body, Gap) and e.body.cause in (GapCause.THINNED, GapCause.DROPPED)]
    named = [(int(gap.attributes["first"]), int(gap.attributes["last"])) for gap in gaps]
    missing = sorted(set(range(end)) - {entry.header.sequence for entry in entries})
    assert missing
    nameless = [n for n in missing if not any(first <= n <= last for first, last in named)]
    assert nameless == [], "what is missing is named"
    assert any(isinstance(entry.body, Summary) for entry in entries), "thinned to summaries"
    assert entries[-1].kind is Kind.LIFECYCLE, "the agent's own last word"
    (tmp_path / "sink.export").write_bytes(b"".join(stored))
    assert "verified:" in packseal("verify", tmp_path / "sink.export", "--key", folder / "gateway.pub")
    packseal("journal", "export", tmp_path / "own.export", "--journal", folder / "journal.db", "--log", LOG_ID.hex())
    sink_key = ("--sink-key", tmp_path / "sink" / "sink.pub")
    packseal("verify", tmp_path / "own.export", "--key", folder / "gateway.pub", *sink_key)
    assert "thinned" in page
    assert "dropped" in page
