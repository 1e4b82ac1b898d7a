"""A journal is damaged and repaired, the real agent goes on with it, the sink takes the new log, a record is proven."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.end_to_end.test_kill import wait_for_end, wait_for_samples, write

from packseal.core.bodies import Gap, GapCause, Lifecycle
from packseal.core.record import parse
from packseal.demo import plan as plans
from packseal.demo.options import DemoOptions
from packseal.demo.places import BATTERY, Places
from packseal.demo.stage import Stage
from packseal.journal.store import Journal

SPEED, WINDOW_S, SAMPLES = 400.0, 20.0, 1500
FRAME, HEADER = 4096 + 24, 32  # https://sqlite.org/fileformat2.html §4.1


def packseal(*words: object) -> str:
    command = [sys.executable, "-m", "packseal", *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def damage(where: Places) -> None:
    """Destroy pages in the middle of what a killed agent left: with its WAL, SQLite would lose all that follows."""
    wal = where.journal.with_name(where.journal.name + "-wal")
    content = bytearray(wal.read_bytes())
    frames = (len(content) - HEADER) // FRAME
    assert frames > 20
    for number in (frames // 2, frames // 2 + 1):
        start = HEADER + number * FRAME
        content[start : start + FRAME] = bytes(FRAME)
    wal.write_bytes(content)


def repair(where: Places) -> None:
    saved, config = where["saved.db"], where.config
    packseal("journal", "repair", where.journal, saved, "--config", config)
    kept = where["damaged"]
    kept.mkdir()
    for path in where.directory.glob("journal.db*"):
        path.rename(kept / path.name)
    saved.rename(where.journal)


@pytest.mark.timeout(180)
def test_the_agent_goes_on_with_a_repaired_journal_and_the_sink_takes_it(tmp_path: Path) -> None:
    options = DemoOptions(
        replay=write(tmp_path / "table.csv"), speed=SPEED, window_s=WINDOW_S, directory=tmp_path / "d"
    )
    plan = plans.make(options)
    where = plan.places
    with Stage(plan) as stage:
        while wait_for_samples(stage).battery["samples"] < SAMPLES:
            time.sleep(0.05)
        stage.children["agent"].kill()
        with Journal.open_to_read(where.journal) as journal:
            (log_id,) = (log.log_id for log in journal.logs() if log.subject == BATTERY)
            before = list(journal.records(log_id))
        damage(where)
        repair(where)
        stage.start_agent()
        wait_for_end(stage)
        assert stage.children["agent"].end(90) == 0
    with Journal.open_to_read(where["damaged"] / "journal.db") as journal:
        alone = journal.head(log_id).next_sequence  # what SQLite by itself gets back
    with Journal.open_to_read(where.journal) as journal:
        old, new = [log.log_id for log in journal.logs() if log.subject == BATTERY]
        assert old == log_id
        saved = list(journal.records(old))
        assert set(saved) <= set(before)
        assert len(saved) >= len(before) - 20 > alone, "more is lost than what lay on two pages"
        bodies = [parse(r.raw).body for r in journal.records(new)]
        assert isinstance(bodies[0], Lifecycle)
        assert bodies[0].attributes["previous_hash"] == saved[-1].hash
        assert isinstance(bodies[1], Gap)
        assert bodies[1].cause is GapCause.DAMAGED
        end = journal.head(new).next_sequence
        assert journal.delivered(new) == end > 20
    keys = ("--key", where["gateway.pub"], "--sink-key", where["sink.pub"])
    assert "verified" in packseal("journal", "verify", "--config", where.config)
    proof = tmp_path / "middle.proof"
    packseal("journal", "prove", end // 2, proof, "--config", where.config, "--log", new.hex())
    assert "urn:packseal:sink:demo signed that it holds" in packseal("verify", proof, *keys)
