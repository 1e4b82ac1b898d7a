"""The peers of catching up: one QoS 1 message per sample or record, 20 in flight, as paho sends them by default.

`python -m bench.per_record send KIND PORT FOLDER - COUNT` publishes what is in the folder: with KIND "record" its
journal's records, one by one, with "sample" as many signed samples, signed beforehand. `… receive KIND PORT FOLDER
FILE COUNT` verifies each and commits it to the database FILE before it takes the next, or only counts them where FILE
is "-". Both say how many CPU seconds it took, the receiver after the seconds from the first message to the last.
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
from bench.messages import messages
from packseal.core import cbor, cose, record
from packseal.core.cose import PublicKey, public_key_from_pem
from packseal.journal.store import Journal
from packseal.keys import file as key_file

TOPIC = "bench/record"
IN_FLIGHT = 20  # paho-mqtt's default, and Receive Maximum of mosquitto's default configuration


async def send(kind: str, port: int, folder: Path, count: int) -> None:
    """Publish `count` messages, each when fewer than 20 wait for their acknowledgement."""
    raws = _samples(folder, count) if kind == "sample" else _records(folder, count)
    room = asyncio.Semaphore(IN_FLIGHT)
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        client.pending_calls_threshold = IN_FLIGHT + 1

        async def publish(raw: bytes) -> None:
            async with room:
                await client.publish(TOPIC, raw, qos=1)

        began = time.process_time()
        async with asyncio.TaskGroup() as group:
            for raw in itertools.islice(itertools.cycle(raws), count):
                group.create_task(publish(raw))
        print(f"{time.process_time() - began:.6f}", flush=True)


def _records(folder: Path, count: int) -> list[bytes]:
    with Journal.open_to_read(folder / "journal.db") as opened:
        return [entry.raw for entry in itertools.islice(opened.records(LOG_ID), count)]


def _samples(folder: Path, count: int) -> list[bytes]:
    return list(messages(key_file.load(folder / "gateway.key"), count))


async def receive(take: Callable[[bytes], object], port: int, count: int) -> None:
    """Take `count` messages and say how long it took from the first to the last."""
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(TOPIC, qos=1)
        print("ready", flush=True)
        began, seen, cpu = 0.0, 0, time.process_time()
        async for message in client.messages:
            began = began or time.monotonic()
            take(message.payload)
            seen += 1
            if seen == count:
                print(f"{time.monotonic() - began:.6f} {time.process_time() - cpu:.6f}", flush=True)
                return


def _storing(kind: str, folder: Path, file: str) -> Callable[[bytes], object]:
    if file == "-":
        return len
    key = public_key_from_pem((folder / "gateway.pub").read_bytes())
    connection = sqlite3.connect(file, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE r (id INTEGER, raw BLOB)",
    ):
        connection.execute(statement)
    read = _read_sample if kind == "sample" else _read_record
    return lambda raw: connection.execute("INSERT INTO r VALUES (?, ?)", (read(raw, key), raw))


def _read_sample(raw: bytes, key: PublicKey) -> object:
    message = cose.parse(raw)
    cose.verify(message, key)
    return cbor.decode(message.payload, "sample")[1]


def _read_record(raw: bytes, key: PublicKey) -> object:
    return record.verify(raw, key).header.sequence


if __name__ == "__main__":
    what, kind, port, folder, file, count = sys.argv[1:]
    if what == "send":
        asyncio.run(send(kind, int(port), Path(folder), int(count)))
    else:
        asyncio.run(receive(_storing(kind, Path(folder), file), int(port), int(count)))
