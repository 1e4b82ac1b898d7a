"""A whole installation on this machine: mosquitto, a sink, and an agent that reads the reference pack off a stream.

All of it is real and in processes of its own; only the frames come from here, on the machine's own clock.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

from bench import frames
from packseal.core.errors import InputError
from packseal.core.sample import ClockQuality
from packseal.keys import file as key_file
from packseal_drivers import profile

STREAM_HEADER = Struct("<QqIBB2x")  # docs/formats/stream.md
PROFILE = "packseal/reference96"
CYCLE_S = 0.1
CYCLE_FRAMES = 30
GATEWAY_ID = "urn:packseal:gateway:bench"
PATIENCE_S = 20.0
AGENT = "import sys; sys.modules.update(socks=None, asammdf=None); from packseal.cli import main; sys.exit(main())"
"""`packseal` as a gateway has it: PySocks and asammdf, which paho and python-can load if they can, are not there."""

SINK = (sys.executable, "-c", "import sys; from packseal_sink.cli import main; sys.exit(main())")

AGENT_TOML = """
[gateway]
id = "{gateway}"
socket = "{folder}/status"
window_s = {window_s}
[uplink]
kind = "mqtt"
sink_key = "sink/sink.pub"
host = "127.0.0.1"
port = {port}
[[battery]]
id = "urn:packseal:battery:bench"
profile = "{profile}"
period_s = {period_s}
[battery.link]
kind = "stream"
path = "{folder}/bus"
[battery.declared]
rated_capacity_ah = 60
cells_in_series = 96
"""
SINK_TOML = """
[sink]
id = "urn:packseal:sink:bench"
[http]
port = 0
[mqtt]
host = "127.0.0.1"
port = {port}
"""


class Installation:
    """What runs, and the folder it runs in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def agent(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the agent, stopped in good order when left."""
        command = (sys.executable, "-c", AGENT, "run", "--config", str(self.folder / "packseal.toml"))
        with process(command, self.folder / "agent.log") as started:
            yield started

    def status(self) -> dict[str, Any] | None:
        """Return what the agent says of itself, or None while it says nothing."""
        text = b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            try:
                asking.connect(str(self.folder / "status"))
                while part := asking.recv(1 << 16):
                    text += part
            except OSError:
                return None
        return json.loads(text) if text else None

    def forget_decoders(self) -> None:
        """Empty the agent's cache."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)


@contextmanager
def installed(window_s: float, period_s: float) -> Iterator[Installation]:
    """Make one in a folder of its own; everything ends when left.

    Raises:
        InputError: mosquitto is missing, or something does not start; says why.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd())))
        port = stack.enter_context(operator(folder))
        places = {"gateway": GATEWAY_ID, "folder": folder, "profile": PROFILE, "port": port}
        (folder / "packseal.toml").write_text(AGENT_TOML.format(window_s=window_s, period_s=period_s, **places))
        stack.enter_context(_bus(folder / "bus"))
        yield Installation(folder)


@dataclass(frozen=True, slots=True)
class Operator:
    """A broker and a sink: the broker's port, the sink's own for HTTP, and the sink's process."""

    port: int
    http_port: int
    sink: subprocess.Popen[bytes]


@contextmanager
def operator(folder: Path) -> Iterator[int]:
    """As `operating`; gives the broker's port."""
    with operating(folder) as made:
        yield made.port


@contextmanager
def operating(folder: Path) -> Iterator[Operator]:
    """Run a broker and a sink that knows the gateway whose key is in `folder`, made if it is not.

    Raises:
        InputError: as `installed`.
    """
    with ExitStack() as stack:
        port = free_port()
        if not (folder / "gateway.key").exists():
            key_file.create(folder / "gateway.key")
        _call(*SINK, "init", str(folder / "sink"))
        sink_toml = folder / "sink" / "sink.toml"
        sink_toml.write_text(SINK_TOML.format(port=port))
        _call(*SINK, "gateway", "add", str(folder / "gateway.pub"), "--id", GATEWAY_ID, "--config", str(sink_toml))
        stack.enter_context(process((mosquitto(), "-p", str(port)), folder / "mosquitto.log", "running"))
        sink = (*SINK, "run", "--config", str(sink_toml))
        running = stack.enter_context(process(sink, folder / "sink.log", "connected to broker"))
        said = re.search(r"listening on http://127\.0\.0\.1:(\d+)/", (folder / "sink.log").read_text())
        yield Operator(port, int(said[1]) if said else 0, running)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds, user and system, that a running process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # proc_pid_stat(5)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def process(
    command: Sequence[str], log: Path, ready: str = "", environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, all it says in `log`, until left; raises InputError when it does not start or end.

    Args:
        command: program and arguments.
        log: where its output is added to.
        ready: what it says when it is ready.
        environment: more of it than this process has.
    """
    with log.open("ab") as output:
        started = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **(environment or {})})
    try:
        until = time.monotonic() + PATIENCE_S
        while ready not in log.read_text():
            if started.poll() is not None or time.monotonic() > until:
                raise InputError(f"{' '.join(command[:4])} … does not start: {log.read_text()[-500:].strip()}")
            time.sleep(0.02)
        yield started
    finally:
        started.terminate()
        try:
            started.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            started.kill()
            raise InputError(f"{' '.join(command[:4])} … does not end when told to") from None


@contextmanager
def _bus(path: Path) -> Iterator[None]:
    cycle = frames.sound(profile.load(PROFILE), CYCLE_FRAMES * 20)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        feeder = threading.Thread(target=_serve, args=(listening, cycle), daemon=True)
        feeder.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            feeder.join()


def _serve(listening: socket.socket, cycle: Sequence[frames.Frame]) -> None:
    with suppress(OSError):  # the bus has ended
        while True:
            connected, _ = listening.accept()
            with connected, suppress(OSError):  # the agent has gone
                _feed(connected, cycle)


def _feed(connected: socket.socket, cycle: Sequence[frames.Frame]) -> None:
    turn = 0
    while True:
        part = cycle[turn % len(cycle) :][:CYCLE_FRAMES]
        mono_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        heads = (STREAM_HEADER.pack(mono_ns, wall_ns, a, len(d), ClockQuality.NTP) + d for a, d in part)
        connected.sendall(b"".join(heads))
        turn += CYCLE_FRAMES
        time.sleep(CYCLE_S)


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(done.stderr.strip())


def mosquitto() -> str:
    """Return where the program is; raises InputError when it is not installed."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        raise InputError("mosquitto is missing: apt install mosquitto")
    return found


def free_port() -> int:
    """Return a port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
