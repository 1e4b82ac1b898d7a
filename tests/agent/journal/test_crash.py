"""SIGKILL at random moments: whatever `append` had returned for is there, and the chain is whole."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import packseal
from packseal.core.chain import verify_log
from packseal.journal.store import Journal
from packseal.keys.file import create

ROUNDS = 20
LOG = b"L" * 16

APPENDER = """
import itertools, sys
from pathlib import Path
from packseal.core.bodies import Event
from packseal.core.chain import Pen
from packseal.core.sample import ClockQuality, EventCode, Instant
from packseal.journal.store import Journal
from packseal.keys.file import load

journal = Journal.open(Path(sys.argv[1]))
log_id = b"L" * 16
journal.begin_log("urn:example:battery:1", log_id)
signer, head = load(Path(sys.argv[2])), journal.head(log_id)
pen = Pen(signer, "urn:example:gateway:1", "urn:example:battery:1", log_id, bytes(8), head)
for number in itertools.count():
    at = Instant(number, number, ClockQuality.NTP)
    records = [pen.write(Event(EventCode.BUS_SILENT), at) for _ in range(1 + number % 3)]
    journal.append(log_id, records, str(pen.head.next_sequence).encode())
    print(pen.head.next_sequence, flush=True)
"""


def test_no_acknowledged_record_is_lost_to_kill_9(tmp_path: Path) -> None:
    key_path, path = tmp_path / "gateway.pem", tmp_path / "journal.db"
    key = create(key_path).public
    for seed in range(ROUNDS):
        acknowledged = _append_until_killed(path, key_path, random.Random(seed))
        with Journal.open(path) as journal:
            head = verify_log([r.raw for r in journal.records(LOG)], lambda _: key)
            assert head == journal.head(LOG)
            assert head.next_sequence >= acknowledged
            assert journal.state(LOG) == str(head.next_sequence).encode()  # the state that belongs to the last record


def _append_until_killed(path: Path, key_path: Path, rng: random.Random) -> int:
    environment = {**os.environ, "PYTHONPATH": str(Path(packseal.__path__[0]).parent)}
    command = [sys.executable, "-c", APPENDER, str(path), str(key_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(rng.randint(1, 40))]
        try:
            child.wait(rng.uniform(0, 0.01))  # somewhere within the next appends, not only after a line
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return max(int(line) for line in lines if line.endswith("\n"))
