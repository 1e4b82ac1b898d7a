"""Before anything fails, gateways are asked to wait; what is asked of the position is answered all the same."""

import os
import threading
from pathlib import Path

from tests.cloud_sink.conftest import NOW_MS, SINK
from tests.cloud_sink.pack import LOG_ID
from tests.cloud_sink.test_ingest import ask, codes, send, stored

from packseal.core.exchange import LogEnd, Refusal
from packseal.keys.file import FileSigner
from packseal_sink.database import Database
from packseal_sink.ingest import Ingest
from packseal_sink.pressure import Bounds, Pressure
from packseal_sink.store import Store


def test_a_disk_that_is_nearly_full_is_told_before_it_is(
    database: Database, sink_key: FileSigner, records: list[bytes], tmp_path: Path
) -> None:
    found = os.statvfs(tmp_path)
    more_than_there_is = found.f_blocks * found.f_frsize * 2
    clock = [0.0]
    pressure = Pressure(tmp_path, Bounds(free_bytes=more_than_there_is), lambda: clock[0])
    ingest = Ingest(Store(database), sink_key, SINK, lambda: NOW_MS, pressure=pressure)
    reply = send(ingest, *records)
    assert codes(reply) == [Refusal.BUSY]
    assert "nearly full" in reply.refused[0].text
    assert "try again" in reply.refused[0].text
    assert ingest.condition.busy == 1
    assert "nearly full" in ingest.condition.trouble
    assert stored(database) == []
    assert codes(ask(ingest, LogEnd(LOG_ID, 0, bytes(32)))) == []
    pressure.bounds = Bounds(free_bytes=1)
    assert codes(send(ingest, *records)) == [Refusal.BUSY]  # it looks once a second
    clock[0] = 1.0
    assert codes(send(ingest, *records)) == []
    assert stored(database) == records
    assert ingest.condition.trouble == ""


def test_a_request_that_would_wait_too_long_is_answered(
    database: Database, sink_key: FileSigner, records: list[bytes], tmp_path: Path
) -> None:
    pressure = Pressure(tmp_path, Bounds(wait_s=0.05))
    ingest = Ingest(Store(database), sink_key, SINK, lambda: NOW_MS, pressure=pressure)
    began, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with ingest._lock:
            began.set()
            go_on.wait(30)

    thread = threading.Thread(target=slow)
    thread.start()
    began.wait(30)
    reply = send(ingest, *records)
    go_on.set()
    thread.join(30)
    assert codes(reply) == [Refusal.BUSY]
    assert "slow" in reply.refused[0].text
    pressure.bounds = Bounds(wait_s=30)
    assert codes(send(ingest, *records)) == []
