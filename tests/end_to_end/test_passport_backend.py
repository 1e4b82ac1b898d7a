"""The real agent and a passport backend that is away for a day of the recording, with kill -9 in between."""

import asyncio
import json
import shutil
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.agent.publish.dpp.passport_server import PassportServer
from tests.agent.publish.dpp.station import until
from tests.end_to_end.stations import Bus, Program, _electrical

from packseal.cli import main
from packseal.core.sample import ClockQuality
from packseal.core.translate.en18223 import PRODUCT_CONDITION
from packseal.keys import file as key_file

BATTERY = "urn:example:battery:1"
STEP_NS = 10_000_000_000
BEGAN_H = 36  # so long ago the recording begins: all of it lies in the past, as the backend's clock has it
HOUR, DAY = 360, 8640  # frames
CONFIGURATION = """
[gateway]
id = "urn:example:gateway"
socket = "s"
window_s = 600
[[publish]]
kind = "dpp"
dialect = "en18222"
url = "{url}"
pace_s = 1
[[battery]]
id = "urn:example:battery:1"
profile = "packseal/reference96"
period_s = 0
gap_s = 15
[battery.link]
kind = "stream"
path = "{folder}/b"
[battery.declared]
category = "lmt"
rated_capacity_ah = 100
"""


class Recording(Bus):
    """Frames ten seconds apart, as fast as the agent takes them, up to `until` of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, 1)
        self.until = 0
        self._began_ns = time.time_ns() - BEGAN_H * 3_600_000_000_000

    async def _feed(self, connected: socket.socket) -> None:
        while True:
            if self._number >= self.until:
                await asyncio.sleep(0.05)
                continue
            ns = self._number * STEP_NS
            header = struct.pack("<QqIBB2x", STEP_NS + ns, self._began_ns + ns, 0x300, 8, ClockQuality.NTP)
            await asyncio.get_running_loop().sock_sendall(connected, header + _electrical(38_000, -20_000))
            self._number += 1


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, for the path of a Unix socket may have 107 bytes."""
    made = Path(tempfile.mkdtemp(prefix="dpp-"))
    yield made
    shutil.rmtree(made)


def made_agent(folder: Path, server: PassportServer) -> Program:
    key_file.create(folder / "gateway.key")
    (folder / "packseal.toml").write_text(CONFIGURATION.format(url=server.url, folder=folder))
    command = [sys.executable, "-m", "packseal", "run", "--config", str(folder / "packseal.toml")]
    return Program("agent", command, folder, "recording 1 of 1")


def throughput(server: PassportServer) -> float:
    found: float = (
        server.document.get(PRODUCT_CONDITION, {}).get("EnergyThroughput", {}).get("EnergyThroughputValue", 0)
    )
    return found


def times(server: PassportServer, name: str) -> list[datetime]:
    held = [version[PRODUCT_CONDITION].get(name, {}).get("LastUpdate") for version in server.versions]
    return [datetime.fromisoformat(text) for text in held if text]


@pytest.mark.timeout(180)
def test_a_backend_that_was_away_for_a_day_gets_what_is_newest(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PassportServer() as server:
        first = asyncio.run(outage(folder, server))
    theirs, versions = first
    capsys.readouterr()
    status = main(["dpp", "--config", str(folder / "packseal.toml"), "--json"])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert status == 0
    assert theirs["StateOfCharge"]["StateOfChargeValue"] == 12.5  # it is newer than the recording
    kept = told["batteries"][BATTERY]["taken"]
    assert f"$['{PRODUCT_CONDITION}']['EnergyThroughput']" in kept
    assert versions <= 8
    assert main(["dpp", "--config", str(folder / "packseal.toml")]) == 0
    assert "taken   EnergyThroughput: energy_throughput" in capsys.readouterr().out


async def outage(folder: Path, server: PassportServer) -> tuple[Any, int]:
    """Return what the backend holds in the end, and how many versions it made."""
    agent = made_agent(folder, server)
    async with Recording(folder) as recording:
        recording.until = HOUR
        await agent.start()
        try:
            await until(lambda: throughput(server) > 0)
            before, patched = throughput(server), len(server.of("PATCH"))
            server.away = True
            recording.until += DAY // 2
            await until(lambda: recording._number == recording.until)
            await asyncio.sleep(1)
            assert agent._process is not None
            agent._process.kill()
            agent._process.wait()
            await agent.start()
            recording.until += DAY // 2
            await until(lambda: recording._number == recording.until)
            newer = {"StateOfChargeValue": 12.5, "LastUpdate": datetime.now().astimezone().isoformat()}
            server.document[PRODUCT_CONDITION]["StateOfCharge"] = newer
            server.away = False
            # 23 of 24 h at 7.6 kW: the window that was open at the kill is missing, and the one that is open now
            await until(lambda: throughput(server) > before + 0.9 * 24 * 7.6)
            assert len(server.of("PATCH")) - patched < 6
        finally:
            await agent.stop()
    for name in ("EnergyThroughput", "CapacityThroughput"):
        assert times(server, name) == sorted(times(server, name))
    return server.document[PRODUCT_CONDITION], len(server.versions)
