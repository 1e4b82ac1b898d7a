"""The live demo: a lively battery while it runs, and not one process when it is over."""

import json
import logging
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.end_to_end import tables

from packseal.demo import watch

log = logging.getLogger(__name__)

COUNTERS = ("sealed", "received", "verified", "receipted")


def test_a_few_seconds_of_the_simulated_pack_arrive_whole(tmp_path: Path) -> None:
    report = tables.demo("--seconds", "8", "--window", "2", "--dir", tmp_path / "d", report=tmp_path / "r.json")
    records = report["records"]
    assert len({records[name] for name in COUNTERS}) == 1
    assert records["by_kind"]["snapshot"] >= 2
    assert report["frames"]["taken"] > 500
    assert report["decode_errors"] == {"short": 0, "flawed": 0, "unknown": 0, "dropped": 0, "error_frames": 0}
    (battery,) = report["batteries"]
    assert len(battery["cells_v"]) == 96
    assert all(3.2 < volts < 4.1 for volts in battery["cells_v"])
    fields = battery["fields"]
    assert fields["state_of_health_bms"]["value"] == pytest.approx(93.5)
    assert fields["capacity_fade"]["value"] == pytest.approx(6.5)
    assert fields["capacity_fade"]["value"] == pytest.approx(6.5)
    assert fields["capacity_throughput"]["value"] > 0.005
    assert fields["time_extreme_high"]["missing"] is None


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a demo and return when its agent has taken samples."""
    command = [*tables.DEMO, "--headless", "--dir", str(folder), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    end_s = time.monotonic() + 30
    while not (status := watch.ask_agent(folder / "status.sock")) or status["batteries"][0]["samples"] < 2:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end_s
        time.sleep(0.05)
    return process


def no_process_is_left(folder: Path) -> bool:
    end_s = time.monotonic() + 10
    while left := tables.processes_that_name(str(folder)):
        if time.monotonic() > end_s:
            log.error("still there: %s", left)
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_it_cleanly_and_leave_no_process(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "d"
    process = start(folder, "--report", str(tmp_path / "r.json"))
    assert len(tables.processes_that_name(str(folder))) >= 4
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert json.loads((tmp_path / "r.json").read_text())["stopped_by"] == "signal"
    assert no_process_is_left(folder)


def test_even_a_killed_demo_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    process = start(folder)
    process.kill()
    process.communicate()
    assert no_process_is_left(folder)


@pytest.mark.parametrize("name", ["agent", "feeder", "sink"])
def test_a_part_that_dies_is_named_and_fails_the_demo(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "d"
    process = start(folder)
    word = {"agent": "packseal.toml", "feeder": "packseal.demo.feeder", "sink": "sink.toml"}[name]
    (pid,) = (p for p in tables.processes_that_name(str(folder)) if word in command_line(p))
    os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"packseal demo: the {name} ended by SIGKILL" in output
    assert "Traceback" not in output
    assert no_process_is_left(folder)


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_a_temporary_directory_goes_with_the_demo(tmp_path_factory: pytest.TempPathFactory) -> None:
    tmp_path = tmp_path_factory.mktemp("d")  # short: a socket's path has 107 bytes
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [*tables.DEMO, "--headless", "--seconds", "3", "--window", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
    assert "every record sealed was received, verified and receipted" in done.stdout


def test_a_second_replay_into_the_same_directory_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("t_s,v_v,i_a\n" + "".join(f"{n},360,10\n" for n in range(20)))
    words = ("--replay", table, "--dir", tmp_path / "d")
    tables.demo(*words, report=tmp_path / "r.json")
    report = tables.demo(*words, report=tmp_path / "r.json", code=1)
    assert "holds an earlier demo's records" in report["complaints"][0]


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    import socket  # noqa: PLC0415 - one test's

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        report = tables.demo("--port", port, report=tmp_path / "r.json", code=1)
    assert f"port {port} cannot be used" in report["complaints"][0]
