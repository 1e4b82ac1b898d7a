"""What is entered while the agent runs: taken up at once, by the one who writes the log, once, and counters go on."""

import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.agent.cli.live import CURRENT_A, LiveGateway, bus, live, until

from packseal.cli import commission, main
from packseal.cli.record_text import snapshot_lines
from packseal.core.bodies import Lifecycle, LifecycleCode, Telemetry
from packseal.core.passport import Field, Missing, Snapshot

TAKEN_UP = "the running agent has taken it up"


def told(bodies: list[Any]) -> list[LifecycleCode]:
    return [body.code for body in bodies if isinstance(body, Lifecycle)]


def newest(bodies: list[Any]) -> dict[Field, Any]:
    snapshot = [body for body in bodies if isinstance(body, Snapshot)][-1]
    return {reading.field: reading for reading in snapshot.readings}


def shows(gateway: LiveGateway, field: Field, value: float) -> bool:
    return any(
        reading.field is field and reading.value == value
        for body in gateway.bodies()
        if isinstance(body, Snapshot)
        for reading in body.readings
    )


def says(gateway: LiveGateway, why: str) -> bool:
    return why in (gateway.registry_status("trouble") or "")


@pytest.fixture
def gateway(tmp_path: Path) -> LiveGateway:
    # A window far longer than the test: what is sealed before its end is so for what was entered.
    return live(tmp_path, window_s=600)


def test_the_running_agent_takes_up_what_is_entered(gateway: LiveGateway, capsys: pytest.CaptureFixture[str]) -> None:
    assert gateway.commission("--set", "category=lmt") == 0
    assert "no agent is running here" in capsys.readouterr().out
    with bus(gateway), gateway.agent() as agent:
        until(lambda: gateway.status().get("batteries", [{}])[0].get("samples"))
        for words in (
            ("--set", "rated_capacity_ah=60", "--set", "status=original"),
            ("--status", "repurposed", "--module-replaced", "--bms-replaced", "--accident", "fell off the shelf"),
        ):
            assert gateway.commission(*words) == 0
            assert TAKEN_UP in capsys.readouterr().out
        until(lambda: shows(gateway, Field.ACCIDENTS, 1))
        agent.terminate()
        assert agent.wait(30) == 0
    bodies = gateway.bodies()
    assert told(bodies) == [
        LifecycleCode.LOG_BEGUN,
        LifecycleCode.DECLARED_CHANGED,
        LifecycleCode.DECLARED_CHANGED,
        LifecycleCode.ACCIDENT,
        LifecycleCode.MODULE_REPLACED,
        LifecycleCode.BMS_REPLACED,
        LifecycleCode.STATUS_CHANGED,
        LifecycleCode.AGENT_STOPPED,
    ]
    last = newest(bodies)
    shown = snapshot_lines([body for body in bodies if isinstance(body, Snapshot)][-1])
    assert any(line.split()[:3] == ["Battery", "status", "repurposed"] for line in shown)
    assert last[Field.BATTERY_STATUS].value == 2
    assert last[Field.RATED_CAPACITY].missing is Missing.NO_EVIDENCE  # a new baseline, of which nothing is known yet
    windows = [body for body in bodies if isinstance(body, Telemetry)]
    spent_s = (windows[-1].first_mono_ms + windows[-1].span_ms - windows[0].first_mono_ms) / 1000
    assert last[Field.CAPACITY_THROUGHPUT].value == pytest.approx(CURRENT_A * spent_s / 3600, abs=2e-3)
    assert last[Field.CAPACITY_THROUGHPUT].coverage == 1
    assert main(["journal", "verify", "--config", gateway.config]) == 0


def test_a_registry_that_cannot_be_used_changes_nothing_and_is_told_once(
    gateway: LiveGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.commission("--set", "rated_capacity_ah=60")
    with bus(gateway), gateway.agent():
        until(lambda: gateway.registry_status("seen") and gateway.registry_status("taken_up"))
        good = gateway.registry.read_text()
        for bad, why in (
            (good[: len(good) // 2], "damaged"),
            (good.replace("60.0", "-1.0"), "rated_capacity_ah must be above zero"),
            (None, "is gone"),
        ):
            gateway.registry.unlink() if bad is None else gateway.registry.write_text(bad)
            until(partial(says, gateway, why))
        capsys.readouterr()
        assert main(["status", "--config", gateway.config]) == 1
        assert "registry  NOT TAKEN UP" in capsys.readouterr().out
        assert told(gateway.bodies()) == [LifecycleCode.LOG_BEGUN, LifecycleCode.DECLARED_CHANGED]
        time.sleep(1.5)  # another look at what is still wrong
        gateway.registry.write_text(good.replace("60.0", "61.0"))
        until(lambda: LifecycleCode.DECLARED_CHANGED in told(gateway.bodies())[2:])
        assert not gateway.registry_status("trouble")
        assert gateway.log.read_text().count("everything stays as it was") == 3
    changed = [body for body in gateway.bodies() if isinstance(body, Lifecycle)][-1]
    assert changed.attributes == {"rated_capacity_ah": "61", "rated_capacity_ah_before": "60"}


def test_an_agent_that_is_killed_as_it_takes_up_a_change_neither_loses_nor_repeats_it(
    gateway: LiveGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commission, "TAKEN_UP_WITHIN_S", 0.0)
    with bus(gateway):
        with gateway.agent() as agent:
            until(lambda: gateway.status().get("batteries", [{}])[0].get("samples"))
            agent.send_signal(signal.SIGSTOP)  # between the registry's change and the look at it
            assert gateway.commission("--accident", "first") == 0
        assert LifecycleCode.ACCIDENT not in told(gateway.bodies())
        with gateway.agent():
            until(lambda: LifecycleCode.ACCIDENT in told(gateway.bodies()))
            assert gateway.commission("--accident", "second") == 0
            until(lambda: told(gateway.bodies()).count(LifecycleCode.ACCIDENT) == 2)  # and killed when it is stored
        with gateway.agent():
            until(lambda: gateway.registry_status("seen") and gateway.registry_status("taken_up"))
    accidents = [b for b in gateway.bodies() if isinstance(b, Lifecycle) and b.code is LifecycleCode.ACCIDENT]
    assert [body.attributes["text"] for body in accidents] == ["first", "second"]
    assert main(["journal", "verify", "--config", gateway.config]) == 0
