"""SIGPWR to the real agent, and then kill -9: nothing of the open window is lost."""

import os
import signal
import time
from pathlib import Path

import pytest
from tests.end_to_end.test_kill import wait_for_samples, write

from packseal.core.bodies import Telemetry
from packseal.core.record import parse
from packseal.demo import plan as plans
from packseal.demo.options import DemoOptions
from packseal.demo.stage import Stage
from packseal.journal.store import Journal, LogKind

SPEED, WINDOW_S = 20.0, 600.0  # a window lasts 30 s here: ten times what the test takes to get there
SAMPLES = 30
PATIENCE_S = 20


def sealed(path: Path) -> int:
    """The samples that are in the journal's records."""
    with Journal.open_to_read(path) as journal:
        logs = [log for log in journal.logs() if log.kind is LogKind.BATTERY]
        bodies = [parse(r.raw).body for log in logs for r in journal.records(log.log_id)]
    return sum(body.count for body in bodies if isinstance(body, Telemetry))


def wait_for(stage: Stage, count: int) -> int:
    end_s = time.monotonic() + PATIENCE_S
    while (samples := int(wait_for_samples(stage).battery["samples"])) < count:
        assert time.monotonic() < end_s
        time.sleep(0.05)
    return samples


@pytest.mark.timeout(120)
def test_a_power_fail_signal_seals_what_is_open_and_recording_goes_on(tmp_path: Path) -> None:
    options = DemoOptions(
        replay=write(tmp_path / "table.csv"), speed=SPEED, window_s=WINDOW_S, directory=tmp_path / "d"
    )
    plan = plans.make(options)
    with Stage(plan) as stage:
        agent, path = stage.children["agent"], plan.places.journal
        wait_for(stage, 10)  # an event of the very first samples seals these
        for _ in range(2):
            before = sealed(path)
            samples = wait_for(stage, before + SAMPLES)
            assert sealed(path) == before, "the window was sealed before it was asked for"
            os.kill(agent.pid, signal.SIGPWR)
            end_s = time.monotonic() + PATIENCE_S
            while sealed(path) == before:
                assert time.monotonic() < end_s
                time.sleep(0.01)
        agent.kill()
        kept = sealed(path)
        assert kept >= samples >= 2 * SAMPLES
        log = agent.log.read_text()
        assert log.count("the power may fail: the open windows are sealed at once") == 2
