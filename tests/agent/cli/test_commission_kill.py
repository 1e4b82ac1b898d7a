"""kill -9 while the agent starts: what was entered is told by the log once, not never and not twice."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.agent.cli.commissioned import BATTERY, FRAMES, Gateway, made

from packseal.cli import main
from packseal.core.bodies import Lifecycle, LifecycleCode
from packseal.core.record import parse
from packseal.journal.store import Journal

KILLS = 5
START_S = 20.0
"""How long the agent may need for its first records; it takes about two seconds."""


def test_an_agent_that_is_killed_as_it_starts_neither_loses_nor_repeats_a_change(tmp_path: Path) -> None:
    gateway = made(tmp_path)
    path = Path(gateway.config)
    path.write_text(path.read_text().replace('"recording"', '"stream"').replace(str(FRAMES), "bus.sock"))
    rng = random.Random(7)
    for number in range(KILLS):
        assert gateway.commission("--accident", f"number {number}") == 0
        with _agent(gateway) as agent, suppress(subprocess.TimeoutExpired):
            agent.wait(rng.uniform(0.3, 2.5))  # its first records are stored after a second
    with _agent(gateway):
        deadline = time.monotonic() + START_S
        while (told := _accidents(gateway)) != KILLS and time.monotonic() < deadline:
            time.sleep(0.1)
    assert told == KILLS
    assert main(["journal", "verify", "--config", gateway.config]) == 0


@contextmanager
def _agent(gateway: Gateway) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "packseal", "run", "--config", gateway.config]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
        try:
            yield agent
        finally:
            agent.kill()


def _accidents(gateway: Gateway) -> int:
    """Return how many accidents the battery's log tells of; each of them once."""
    if not (gateway.folder / "journal.db").exists():
        return 0  # no agent has come so far
    with Journal.open_to_read(gateway.folder / "journal.db") as journal:
        logs = [entry.log_id for entry in journal.logs() if entry.subject == BATTERY]
        bodies = [parse(record.raw).body for log in logs for record in journal.records(log)]
    texts = [b.attributes["text"] for b in bodies if isinstance(b, Lifecycle) and b.code is LifecycleCode.ACCIDENT]
    assert len(set(texts)) == len(texts)
    return len(texts)
