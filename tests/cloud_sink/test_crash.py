"""A sink that is killed in the middle of batches, and one whose disk is full: what was receipted is there."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest
from tests.cloud_sink.conftest import pem_of
from tests.cloud_sink.pack import BATTERY, GATEWAY, LOG_ID, Pack
from tests.cloud_sink.running import SinkProcess

from packseal.core import exchange
from packseal.core.errors import FormatError
from packseal.core.exchange import LogEnd, Refusal
from packseal.keys.file import FileSigner

KILLS = 6
BATCH = 7


@pytest.fixture(scope="module")
def long_log(gateway_key: FileSigner) -> list[bytes]:
    pack = Pack(gateway_key, window_s=5)
    return pack.begin() + pack.drive(4000)


def position(running: SinkProcess) -> int:
    """Return the first record that the sink does not hold, as it tells a gateway."""
    request = exchange.encode_position([LogEnd(LOG_ID, 1 << 30, bytes(32))])
    response, body = running.request("POST", "/v1/exchange", request, content_type="application/cbor")
    assert response.status == 200
    receipts = running.receipts(exchange.decode_reply(body))
    return receipts[0].sequence + 1 if receipts else 0


def test_whatever_was_receipted_survives_sigkill_in_mid_batch(running: SinkProcess, long_log: list[bytes]) -> None:
    receipted = 0
    for kill in range(KILLS):
        running.start()
        standing = position(running)
        assert standing >= receipted
        killer = threading.Timer(0.05 + 0.04 * kill, running.kill)
        killer.start()
        try:
            for start in range(standing, len(long_log), BATCH):
                reply = running.send(long_log[start : start + BATCH])
                assert reply.refused == ()
                receipted = running.receipts(reply)[0].sequence + 1
        except (OSError, HTTPException):
            pass  # killed
        killer.join()
    running.start()
    assert 0 < receipted <= position(running)
    assert running.send(long_log[position(running) :]).refused == ()
    assert position(running) == len(long_log)
    (battery,) = running.json("/batteries")
    assert battery["logs"][0]["records"] == running.json("/status")["tallies"]["verified"] == len(long_log)
    assert running.json(f"/batteries/{BATTERY}/snapshot")["verification"]["state"] == "verified"


def test_what_was_held_early_survives_sigkill_and_goes_into_its_log(
    running: SinkProcess, long_log: list[bytes]
) -> None:
    """Newest first, killed at any moment, and the record that joins it all sent last."""
    confirmed: set[int] = set()
    for kill in range(3):
        running.start()
        killer = threading.Timer(0.1 + 0.15 * kill, running.kill)
        killer.start()
        try:
            while True:
                missing = [n for n in range(len(long_log) - 1, 0, -1) if n not in confirmed][:40]
                if not missing:
                    break
                request = exchange.encode_early([long_log[n] for n in missing])
                _, body = running.request("POST", "/v1/exchange", request, content_type="application/cbor")
                for first, end in exchange.decode_reply(body).held.get(LOG_ID, ()):
                    confirmed |= set(range(first, end))
        except (OSError, HTTPException, FormatError):
            pass
        killer.cancel()
        killer.join()
        running.kill()
    assert len(confirmed) > 100
    running.start()
    rest = sorted(set(range(len(long_log))) - confirmed)
    for at in range(0, len(rest), 400):
        assert running.send([long_log[n] for n in rest[at : at + 400]]).refused == ()
    for _ in range(200):
        if position(running) == len(long_log):
            break
        time.sleep(0.1)
    assert position(running) == len(long_log)
    assert running.json(f"/batteries/{BATTERY}/snapshot")["to_come"] == 0
    records = running.json("/status")["tallies"]["verified"]
    assert records == len(long_log)


def test_sigterm_ends_it_in_good_order(running: SinkProcess, records: list[bytes]) -> None:
    running.start()
    running.send(records)
    assert running.stop() == 0
    running.start()
    assert position(running) == len(records)
    assert running.stop() == 0
    assert all("Traceback" not in line for line in running.said)


def test_a_database_that_was_moved_away_gets_no_receipt_until_it_is_back(
    running: SinkProcess, records: list[bytes]
) -> None:
    """SQLite goes on with a file that has lost its name, and nobody would find again what was receipted then."""
    running.start()
    assert running.send(records[:4]).refused == ()
    database = running.folder / "sink.db"
    database.rename(database.with_name("away"))
    reply = running.send(records[4:])
    assert [r.code for r in reply.refused] == [Refusal.BUSY]
    assert reply.receipts == ()
    assert "moved or deleted" in reply.refused[0].text
    assert "moved or deleted" in running.json("/status")["trouble"]
    database.with_name("away").rename(database)
    assert running.send(records[4:]).refused == ()
    assert running.json("/status")["trouble"] == ""
    running.kill()
    running.start()
    assert position(running) == len(records)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a disk of its own needs root: run the tests as root")
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine does not let root mount: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_answers_busy_says_so_and_takes_up_again(
    small_disk: Path, gateway_key: FileSigner, long_log: list[bytes]
) -> None:
    running = SinkProcess(small_disk / "sink")
    running.edit("# free_disk_mb = 200", "free_disk_mb = 0")
    running.enrol(pem_of(gateway_key), GATEWAY)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    running.start()
    try:
        sent = 0
        while not (reply := running.send(long_log[sent : sent + 20])).refused:
            sent += 20
        assert [r.code for r in reply.refused] == [Refusal.BUSY]
        assert "disk is full" in reply.refused[0].text
        assert position(running) == sent > 0
        assert "disk is full" in running.get("/")
        assert running.json("/status")["busy"] >= 1
        ballast.unlink()
        assert running.send(long_log[sent : sent + 20]).refused == ()
        assert "disk is full" not in running.get("/")
        assert position(running) == sent + 20
    finally:
        running.kill()
