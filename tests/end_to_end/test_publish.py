"""The agent itself publishes: a receiver sees a crash, `packseal status` and `packseal doctor` see the broker."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agent.publish.receiver import PASSWORD, USER, broker, ear
from tests.end_to_end.stations import Bus

from packseal.keys import file as key_file
from packseal.publish.topics import Topics

pytestmark = pytest.mark.timeout(120)
TOPICS = Topics("site/packseal", "urn:example:gateway:1", "homeassistant")
CONFIGURATION = """
[gateway]
id = "urn:example:gateway:1"
socket = "{folder}/s"
window_s = 1
[[publish]]
kind = "mqtt-json"
host = "localhost"
port = {port}
username = "{user}"
password_file = "secret"
prefix = "site/packseal"
live_s = 1
[[battery]]
id = "urn:example:battery:1"
profile = "packseal/reference96"
period_s = 0
[battery.link]
kind = "stream"
path = "{folder}/b"
"""


def packseal(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "packseal", *words, "--config", str(folder / "packseal.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def configure(folder: Path, port: int) -> None:
    key_file.create(folder / "gateway.key")
    (folder / "secret").write_text(PASSWORD)
    (folder / "packseal.toml").write_text(CONFIGURATION.format(folder=folder, port=port, user=USER))


def test_a_crash_and_an_orderly_stop_are_seen_by_whoever_listens(tmp_path: Path) -> None:
    async def run() -> None:
        with broker(tmp_path, password=True) as port:
            configure(tmp_path, port)
            async with ear(port, password=True) as heard, Bus(tmp_path, 8):
                first = await start(tmp_path)
                await heard.until(lambda e: e.payloads("/snapshot") and e.payloads("/live"))
                await heard.until(lambda e: e.payloads(TOPICS.status) == [b"online"])
                status = json.loads((await asyncio.to_thread(packseal, tmp_path, "status", "--json")).stdout)
                assert status["publish"][0]["connected"]
                assert status["publish"][0]["target"] == f"localhost:{port}"
                words = await asyncio.to_thread(packseal, tmp_path, "status")
                assert f"mqtt-json to localhost:{port}: connected" in words.stdout
                first.send_signal(signal.SIGKILL)
                await first.wait()
                await heard.until(lambda e: e.payloads(TOPICS.status) == [b"online", b"offline"])
                async with ear(port, password=True) as late:
                    await late.until(lambda e: e.payloads(TOPICS.status))
                    assert late.payloads(TOPICS.status) == [b"offline"]
                second = await start(tmp_path)
                await heard.until(lambda e: e.payloads(TOPICS.status)[2:] == [b"online"])
                second.send_signal(signal.SIGTERM)
                assert await second.wait() == 0
                await heard.until(lambda e: e.payloads(TOPICS.status)[3:] == [b"offline"])

    asyncio.run(run())


def test_the_doctor_tells_a_wrong_password_and_a_broker_that_is_not_there(tmp_path: Path) -> None:
    with broker(tmp_path, password=True) as port:
        configure(tmp_path, port)
        asyncio.run(_listening(port))
        good = packseal(tmp_path, "doctor", "--listen", "0.1")
        assert f"ok   publish mqtt-json to localhost:{port}: the broker takes the connection" in good.stdout
        (tmp_path / "secret").write_text("wrong")
        wrong = packseal(tmp_path, "doctor", "--listen", "0.1")
        [line] = [line for line in wrong.stdout.splitlines() if "publish" in line]
        assert line.startswith("FAIL publish mqtt-json")
        assert "password" in line or "authorised" in line
    away = packseal(tmp_path, "doctor", "--listen", "0.1")
    [line] = [line for line in away.stdout.splitlines() if "publish" in line]
    assert line.startswith("FAIL publish mqtt-json")
    assert "refused" in line.lower()
    assert away.returncode == 1
    assert not away.stderr


async def _listening(port: int) -> None:
    async with ear(port, password=True):
        pass


async def start(folder: Path) -> asyncio.subprocess.Process:
    (folder / "s").unlink(missing_ok=True)
    with (folder / "agent.output").open("ab") as output:
        command = [sys.executable, "-m", "packseal", "run", "--config", str(folder / "packseal.toml")]
        return await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output, env=dict(os.environ))
