"""A gateway whose agent runs in a process of its own, and a bus that says one steady current."""

import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agent.cli.commissioned import BATTERY, Gateway

from packseal.cli import main
from packseal.core.record import parse
from packseal.core.sample import ClockQuality
from packseal.journal.store import Journal
from packseal.runtime.asking import ask

CURRENT_A = 360.0  # a hundredth of an ampere hour each step, of which the log keeps thousandths
STEP_S = 0.1
PATIENCE_S = 30.0
ELECTRICAL = 0x300


@dataclass(frozen=True)
class LiveGateway(Gateway):
    """Its battery is heard on the stream of `bus`."""

    @contextmanager
    def agent(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the agent until left, where it is killed if it still runs."""
        command = [sys.executable, "-m", "packseal", "run", "--config", self.config]
        with self.log.open("ab") as said, subprocess.Popen(command, stdout=said, stderr=said) as agent:
            try:
                yield agent
            finally:
                agent.kill()

    @property
    def log(self) -> Path:
        return self.folder / "agent.log"

    def status(self) -> dict[str, Any]:
        """Return what the agent says, nothing while it does not."""
        with suppress(Exception):
            return ask(self.folder / "status.sock")
        return {}

    def registry_status(self, what: str) -> Any:
        """Return what it says of the registry, None while it says nothing."""
        return self.status().get("registry", {}).get(what)

    def bodies(self) -> list[Any]:
        """Return the bodies of the battery's log."""
        if not (self.folder / "journal.db").exists():
            return []
        with Journal.open_to_read(self.folder / "journal.db") as journal:
            logs = [entry.log_id for entry in journal.logs() if entry.subject == BATTERY]
            return [parse(record.raw).body for log in logs for record in journal.records(log)]


def live(folder: Path, *, window_s: int) -> LiveGateway:
    """Return a gateway in `folder` with nothing declared."""
    assert main(["init", str(folder), "--battery", BATTERY, "--profile", "packseal/reference96"]) == 0
    path = folder / "packseal.toml"
    text = path.read_text().replace('"socketcan"', '"stream"').replace('channel = "can0"', 'path = "bus.sock"')
    text = re.sub(r"^window_s = .*$", f"window_s = {window_s}", text, flags=re.MULTILINE)
    text = text.replace('profile = "packseal/reference96"', 'profile = "packseal/reference96"\nperiod_s = 0')
    path.write_text(text)
    return LiveGateway(folder)


def until(found: Callable[[], object]) -> None:
    """Return when `found` finds something."""
    end_s = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end_s
        time.sleep(0.05)


@contextmanager
def bus(gateway: LiveGateway) -> Iterator[None]:
    """Feed whoever connects until left."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(gateway.folder / "bus.sock"))
        listening.listen()
        feeder = threading.Thread(target=_serve, args=(listening,))
        feeder.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            feeder.join()


def _serve(listening: socket.socket) -> None:
    with suppress(OSError):  # the bus has ended
        while True:
            connected, _ = listening.accept()
            with connected, suppress(OSError):  # the agent has gone
                _feed(connected)


def _feed(connected: socket.socket) -> None:
    bits = 38_000 | round(CURRENT_A * 1000) << 16 | 5_000 << 40  # 380 V, the current, 50 % charge
    while True:
        header = struct.pack("<QqIBB2x", time.monotonic_ns(), time.time_ns(), ELECTRICAL, 8, ClockQuality.NTP)
        connected.sendall(header + bits.to_bytes(8, "little"))
        time.sleep(STEP_S)
