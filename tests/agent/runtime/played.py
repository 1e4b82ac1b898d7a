"""Runs of a recorder by a script, and what its verified log then holds."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.agent.runtime.scripted import KEY, Bench, recording

from packseal.core.chain import verify_log
from packseal.core.passport import Field, Snapshot
from packseal.core.record import Record, parse
from packseal.journal.store import Journal

Scenario = Callable[[Bench], Awaitable[None]]


def play(directory: Path, *scenarios: Scenario) -> list[Record]:
    """Run each scenario as one run of the agent; return the verified log."""

    async def run() -> None:
        for scenario in scenarios:
            async with asyncio.timeout(30), recording(directory) as bench:
                await scenario(bench)

    asyncio.run(run())
    with Journal.open_to_read(directory / "journal.db") as journal:
        (log,) = journal.logs()
        raws = [entry.raw for entry in journal.records(log.log_id)]
        assert verify_log(raws, lambda _: KEY.public) == journal.head(log.log_id)
    return [parse(raw) for raw in raws]


def bodies(records: list[Record], kind: type) -> list:  # type: ignore[type-arg]
    return [record.body for record in records if isinstance(record.body, kind)]


def charged_ah(records: list[Record]) -> float:
    last = bodies(records, Snapshot)[-1]
    reading = next(r for r in last.readings if r.field is Field.CAPACITY_CHARGED)
    return float(reading.value)
