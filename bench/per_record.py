"""The peer of catching up: one QoS 1 message per record, 20 in flight, as paho sends them by default.

`python -m bench.per_record send PORT JOURNAL COUNT` publishes a journal's records. `… receive PORT FILE COUNT` verifies
each and commits it to a database of its own before it takes the next, or only counts them where FILE is "-".
"""

import asyncio
import itertools
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiomqtt

from bench.backlog import LOG_ID
from packseal.core import record
from packseal.core.cose import PublicKey, public_key_from_pem
from packseal.journal.store import Journal

TOPIC = "bench/record"
IN_FLIGHT = 20  # paho-mqtt's default, and Receive Maximum of mosquitto's default configuration


async def send(port: int, journal: Path, count: int) -> None:
    """Publish `count` records, each when fewer than 20 wait for their acknowledgement."""
    with Journal.open_to_read(journal) as opened:
        raws = [entry.raw for entry in itertools.islice(opened.records(LOG_ID), count)]
    room = asyncio.Semaphore(IN_FLIGHT)
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        client.pending_calls_threshold = IN_FLIGHT + 1

        async def publish(raw: bytes) -> None:
            async with room:
                await client.publish(TOPIC, raw, qos=1)

        async with asyncio.TaskGroup() as group:
            for raw in raws:
                group.create_task(publish(raw))


async def receive(port: int, file: str, count: int) -> None:
    """Take `count` records and say how long it took from the first to the last."""
    take: Callable[[bytes], object] = _storing(Path(file)) if file != "-" else len
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(TOPIC, qos=1)
        print("ready", flush=True)
        began, seen = 0.0, 0
        async for message in client.messages:
            began = began or time.monotonic()
            take(message.payload)
            seen += 1
            if seen == count:
                print(f"{time.monotonic() - began:.6f}", flush=True)
                return


def _storing(file: Path) -> Callable[[bytes], object]:
    key: PublicKey = public_key_from_pem(file.with_name("gateway.pub").read_bytes())
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE r (id INTEGER, raw BLOB)",
    ):
        connection.execute(statement)

    def take(raw: bytes) -> object:
        entry = record.verify(raw, key)
        return connection.execute("INSERT INTO r VALUES (?, ?)", (entry.header.sequence, raw))

    return take


if __name__ == "__main__":
    what, port, file, count = sys.argv[1:]
    asyncio.run(send(int(port), Path(file), int(count)) if what == "send" else receive(int(port), file, int(count)))
