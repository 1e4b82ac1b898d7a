"""What a user sees when something is wrong: one clear message, and an agent that goes on recording and trying."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.agent.uplink.servers import broker, free_port
from tests.end_to_end.stations import SINK_PROGRAM, Bus, Program

from packseal.core.bodies import Gap, Telemetry
from packseal.core.chain import verify_log
from packseal.core.cose import public_key_from_pem
from packseal.core.record import parse
from packseal.journal.store import Journal
from packseal.keys import file as key_file

pytestmark = pytest.mark.timeout(120)
GATEWAY = "urn:example:gateway:1"
AGENT = """
[gateway]
id = "urn:example:gateway:1"
journal = "{journal}"
socket = "{folder}/s"
window_s = 1
drain_s = 5
{uplink}
[[battery]]
id = "urn:example:battery:1"
profile = "packseal/reference96"
period_s = 0
[battery.link]
kind = "stream"
path = "{folder}/b"
"""
UPLINK = """
[uplink]
kind = "{kind}"
sink_key = "{key}"
{where}
"""


def packseal(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "packseal", *words, "--config", str(folder / "packseal.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def configure(folder: Path, uplink: str = "", journal: str = "journal.db") -> Program:
    if not (folder / "gateway.key").exists():
        key_file.create(folder / "gateway.key")
    text = AGENT.format(folder=folder, uplink=uplink, journal=journal)
    (folder / "packseal.toml").write_text(text)
    command = [sys.executable, "-m", "packseal", "run", "--config", str(folder / "packseal.toml")]
    return Program("agent", command, folder, "recording 1 of 1")


def sink(folder: Path, port: int) -> Program:
    """A sink of our own over HTTP, with the gateway enrolled."""
    subprocess.run([sys.executable, "-c", SINK_PROGRAM, "init", str(folder / "sink")], check=True, capture_output=True)
    configuration = folder / "sink" / "sink.toml"
    text = re.sub(r"(?m)^port = .*$", f"port = {port}", configuration.read_text())
    configuration.write_text(text)
    enrol = ["gateway", "add", str(folder / "gateway.pub"), "--id", GATEWAY, "--config", str(configuration)]
    subprocess.run([sys.executable, "-c", SINK_PROGRAM, *enrol], check=True, capture_output=True)
    command = [sys.executable, "-c", SINK_PROGRAM, "run", "--config", str(configuration)]
    return Program("sink", command, folder, "listening on")


async def status(folder: Path) -> dict:  # type: ignore[type-arg]
    reader, writer = await asyncio.open_unix_connection(folder / "s")
    answer = json.loads(await reader.read())
    writer.close()
    return dict(answer)


async def until(folder: Path, true: Callable[[dict], object]) -> dict:  # type: ignore[type-arg]
    async with asyncio.timeout(30):
        while not true(found := await status(folder)):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.05)
    return found


def play(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_a_broker_that_is_down_is_told_once_and_reached_as_soon_as_it_is_there(tmp_path: Path) -> None:
    port = free_port()
    key_file.create(tmp_path / "sink.key")
    uplink = UPLINK.format(kind="mqtt", key="sink.pub", where=f'host = "127.0.0.1"\nport = {port}')
    agent = configure(tmp_path, uplink)

    async def scenario() -> None:
        async with Bus(tmp_path, 100):
            await agent.start()
            await until(tmp_path, lambda s: s["journal"]["records"] > 50)
            await asyncio.sleep(1.5)
            said = agent.output.read_text()
            assert said.count("not connected to the sink") == 1
            assert "127.0.0.1 port" in said
            assert (await status(tmp_path))["uplink"]["connected"] is False
            with broker(tmp_path, None, port=port):
                # There is a broker now, and nobody behind it: that too is told, in other words.
                await until(tmp_path, lambda s: "broker" in s["uplink"]["state"] or "sink" in s["uplink"]["state"])
            assert await agent.stop() == 0

    play(scenario)
    assert "Traceback" not in agent.output.read_text()


def test_a_sink_with_another_key_is_not_believed(tmp_path: Path) -> None:
    port = free_port()
    key_file.create(tmp_path / "other.key")
    where = f'url = "http://127.0.0.1:{port}"'
    agent = configure(tmp_path, UPLINK.format(kind="https", key="other.pub", where=where))
    operator = sink(tmp_path, port)

    async def scenario() -> None:
        await operator.start()
        async with Bus(tmp_path, 100):
            await agent.start()
            found = await until(tmp_path, lambda s: s["uplink"]["halted"])
            assert "not signed by the sink's key" in next(iter(found["uplink"]["halted"].values()))
            assert found["uplink"]["records_outstanding"] > 0
            more = await until(tmp_path, lambda s: s["journal"]["records"] > found["journal"]["records"] + 20)
            assert more["uplink"]["last_receipt"] is None
            await agent.stop()
        await operator.stop()

    play(scenario)
    assert "Traceback" not in agent.output.read_text()


def test_a_full_disk_is_told_once_and_nothing_is_lost_when_there_is_room_again(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a disk of its own needs root: run the tests as root, or with sudo")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"this machine does not let root mount a tmpfs: {made.stderr.decode().strip()}")
    agent = configure(tmp_path, journal=f"{disk}/journal.db")
    try:
        play(lambda: _fill(tmp_path, disk, agent))
        check_whole(tmp_path, disk / "journal.db")
    finally:
        agent.kill()
        subprocess.run(["umount", disk], check=True)


async def _fill(folder: Path, disk: Path, agent: Program) -> None:
    async with Bus(folder, 200):
        await agent.start()
        await until(folder, lambda s: s["journal"]["records"] > 20)
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(2 << 20))
        full = await until(folder, lambda s: s["journal"]["last_error"])
        assert "is full: free some space" in full["journal"]["last_error"]
        await until(folder, lambda s: s["journal"]["pending"] > 30)
        ballast.unlink()
        await until(folder, lambda s: not s["journal"]["last_error"] and s["journal"]["pending"] == 0)
        assert agent.output.read_text().count("kept in memory") == 1
        assert await agent.stop() == 0
        assert "can be written again" in agent.output.read_text()


def check_whole(folder: Path, path: Path) -> None:
    """The battery's log is one chain without a gap."""
    key = public_key_from_pem((folder / "gateway.pub").read_bytes())
    with Journal.open_to_read(path) as journal:
        log = next(entry for entry in journal.logs() if entry.subject == "urn:example:battery:1")
        raws = [entry.raw for entry in journal.records(log.log_id)]
        assert verify_log(raws, lambda _: key) == journal.head(log.log_id)
    bodies = [parse(raw).body for raw in raws]
    assert not [body for body in bodies if isinstance(body, Gap)]
    windows = [body for body in bodies if isinstance(body, Telemetry)]
    times = [row[0] for window in windows for row in window.rows()]
    assert times == list(range(times[0], times[-1] + 1, 1000))


def test_what_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    configure(tmp_path)
    good = (tmp_path / "packseal.toml").read_text()
    (tmp_path / "packseal.toml").write_text(good.replace("packseal/reference96", "packseal/reference97"))
    assert "packseal/reference96" in one_line(packseal(tmp_path, "run"))
    (tmp_path / "packseal.toml").write_text(good.replace('kind = "stream"', 'kind = "stream"\nbaud = 9600'))
    assert re.search(r"packseal\.toml, line 15: .*`baud`; allowed are path", one_line(packseal(tmp_path, "run")))
    (tmp_path / "packseal.toml").write_text(good.replace("journal.db", "nowhere/journal.db"))
    assert "nowhere/journal.db" in one_line(packseal(tmp_path, "run"))
    (tmp_path / "packseal.toml").write_text(good)
    (tmp_path / "gateway.key").chmod(0o644)
    assert "chmod 600" in one_line(packseal(tmp_path, "run"))
    (tmp_path / "gateway.key").write_text("no key")
    (tmp_path / "gateway.key").chmod(0o600)
    assert "is not an unencrypted PEM private key" in one_line(packseal(tmp_path, "run"))


def test_a_second_agent_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    agent = configure(tmp_path)

    async def scenario() -> None:
        async with Bus(tmp_path, 50):
            await agent.start()
            assert "is in use by process" in one_line(await asyncio.to_thread(packseal, tmp_path, "run"))
            shown = await asyncio.to_thread(packseal, tmp_path, "status")
            assert shown.returncode == 0
            assert "healthy" in shown.stdout
            assert await agent.stop() == 0

    play(scenario)


def test_doctor_says_what_is_right_and_what_is_not(tmp_path: Path) -> None:
    configure(tmp_path)

    async def scenario() -> None:
        async with Bus(tmp_path, 50):
            good = await asyncio.to_thread(packseal, tmp_path, "doctor", "--listen", "5")
            assert good.returncode == 0, good.stdout
            assert "samples" in good.stdout
        silent = await asyncio.to_thread(packseal, tmp_path, "doctor", "--listen", "0.5")
        assert silent.returncode == 1
        assert "nothing heard in 0.5 s" in silent.stdout

    play(scenario)


def test_a_stop_in_the_first_instant_is_a_stop(tmp_path: Path) -> None:
    agent = configure(tmp_path)

    async def scenario() -> None:
        for pause_s in (0, 0, 0.001, 0.003, 0.01, 0.03):
            await agent.start()
            await asyncio.sleep(pause_s)
            async with asyncio.timeout(10):
                assert await agent.stop() == 0

    play(scenario)
