"""The processes at both ends of a road: `packseal run` here, mosquitto and `packseal-sink run` there; and their bus."""

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.agent.uplink.certificates import Certificates
from tests.end_to_end.network import OPERATOR

from packseal.core.sample import ClockQuality
from packseal.keys import file as key_file

GATEWAY_ID, SINK_ID = "urn:packseal:gateway:outage", "urn:packseal:sink:outage"
MQTT_PORT, HTTPS_PORT = 8883, 8443
STEP_NS = 1_000_000_000
START_S = 20
SINK_PROGRAM = "import sys; from packseal_sink.cli import main; sys.exit(main())"

AGENT = """
[gateway]
id = "{gateway}"
socket = "{folder}/s"
window_s = 1
drain_s = 30
[uplink]
sink_key = "sink/sink.pub"
{uplink}
[uplink.tls]
authorities = "{authority}"
certificate = "{client}"
key = "{client_key}"
[[battery]]
id = "urn:packseal:battery:outage"
profile = "packseal/reference96"
period_s = 0
[battery.link]
kind = "stream"
path = "{folder}/b"
"""
MQTT_SINK = """
[sink]
id = "{sink}"
[http]
host = "127.0.0.1"
[mqtt]
host = "127.0.0.1"
port = {port}
[mqtt.tls]
authorities = "{authority}"
certificate = "{client}"
key = "{client_key}"
"""
HTTPS_SINK = """
[sink]
id = "{sink}"
[http]
host = "{host}"
port = {port}
certificate = "{server}"
key = "{server_key}"
client_authorities = "{authority}"
"""
BROKER = """
listener {port} 0.0.0.0
allow_anonymous true
user root
cafile {authority}
certfile {server}
keyfile {server_key}
require_certificate true
"""


class Program:
    """One process that can be stopped and started again. Its output goes to a file beside its configuration."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, ready: str) -> None:
        self._command = command
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self.output = folder / f"{name}.output"
        self.output.touch()

    async def start(self) -> None:
        """Return as soon as it has said that it is ready."""
        before = self.output.stat().st_size
        self._process = self._spawn()
        async with asyncio.timeout(START_S):
            while self._ready not in self.output.read_text()[before:]:
                assert self._process.poll() is None, self.output.read_text()
                await asyncio.sleep(0.005)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.output.open("ab") as output:
            return subprocess.Popen(self._command, stdout=output, stderr=output)

    def kill(self) -> None:
        """End it if it still runs, as after a test that failed."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    async def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.terminate()
        return await asyncio.to_thread(process.wait)


def broker(prefix: Sequence[str], folder: Path, certificates: Certificates) -> Program:
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert program is not None
    (folder / "mosquitto.conf").write_text(BROKER.format(port=MQTT_PORT, **vars(certificates)))
    command = [*prefix, program, "-c", str(folder / "mosquitto.conf")]
    return Program("broker", command, folder, "running")


def sink(kind: str, prefix: Sequence[str], folder: Path, certificates: Certificates) -> Program:
    """Enrol the gateway's key of this folder at a new sink."""
    configuration = folder / "sink" / "sink.toml"
    _tool("init", str(folder / "sink"), "--id", SINK_ID)
    text, port = (MQTT_SINK, MQTT_PORT) if kind == "mqtt" else (HTTPS_SINK, HTTPS_PORT)
    configuration.write_text(text.format(sink=SINK_ID, host=OPERATOR, port=port, **vars(certificates)))
    _tool("gateway", "add", str(folder / "gateway.pub"), "--id", GATEWAY_ID, "--config", str(configuration))
    command = [*prefix, sys.executable, "-c", SINK_PROGRAM, "run", "--config", str(configuration)]
    return Program("sink", command, folder, "connected to" if kind == "mqtt" else "listening on")


def agent(kind: str, prefix: Sequence[str], folder: Path, certificates: Certificates) -> Program:
    """Make the gateway's key and configuration."""
    key_file.create(folder / "gateway.key")
    road = {
        "mqtt": f'kind = "mqtt"\nhost = "{OPERATOR}"\nport = {MQTT_PORT}',
        "https": f'kind = "https"\nurl = "https://{OPERATOR}:{HTTPS_PORT}"',
    }
    text = AGENT.format(gateway=GATEWAY_ID, folder=folder, uplink=road[kind], **vars(certificates))
    (folder / "packseal.toml").write_text(text)
    command = [*prefix, sys.executable, "-m", "packseal", "run", "--config", str(folder / "packseal.toml")]
    return Program("agent", command, folder, "recording 1 of 1")


class Bus:
    """Feeds the agent's stream link: each frame is a second of the recording, a window, and so two records."""

    def __init__(self, folder: Path, records_per_s: float) -> None:
        self._path = folder / "b"
        self._pause_s = 2 / records_per_s
        self._feeding = True
        self._number = 0

    async def __aenter__(self) -> Self:
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listening.bind(str(self._path))
        self._listening.listen()
        self._serving = asyncio.create_task(self._serve(), name="bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._serving.cancel()
        await asyncio.wait([self._serving])
        self._listening.close()

    def stop(self) -> None:
        """Say nothing more, but stay connected."""
        self._feeding = False

    async def _serve(self) -> None:
        while True:
            connected, _ = await asyncio.get_running_loop().sock_accept(self._listening)
            with connected, contextlib.suppress(ConnectionError):
                await self._feed(connected)

    async def _feed(self, connected: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        began, first, wall_ns = loop.time(), self._number, time.time_ns()
        while self._feeding:
            ns = self._number * STEP_NS
            header = struct.pack("<QqIBB2x", STEP_NS + ns, wall_ns + ns, 0x300, 8, ClockQuality.NTP)
            data = _electrical(38_000 + self._number % 50, 20_000 - self._number % 7 * 1_000)
            await loop.sock_sendall(connected, header + data)
            self._number += 1
            await asyncio.sleep(began + (self._number - first) * self._pause_s - loop.time())
        await asyncio.Event().wait()


def _electrical(hundredths_v: int, milliamperes: int) -> bytes:
    """Pack_Electrical of the reference profile, half charged."""
    soc = 5_000
    bits = hundredths_v | (milliamperes & 0xFFFFFF) << 16 | soc << 40
    return bits.to_bytes(8, "little")


def _tool(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-c", SINK_PROGRAM, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
