"""Contender: a gateway under test, and what reached its operator. Ours with its sink, the peer with a platform."""

import os
import subprocess
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packseal.core.errors import InputError

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
END_S = 20.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One sample at the operator: its number, and when it came (UTC seconds)."""

    number: int
    wall_s: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What a gateway's processes used: CPU seconds, bytes given to the disk (proc(5), write_bytes), peak MB."""

    cpu_s: float = 0.0
    written_bytes: int = 0
    resident_mb: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.cpu_s + other.cpu_s,
            self.written_bytes + other.written_bytes,
            max(self.resident_mb, other.resident_mb),
        )


class Contender(Protocol):
    """One gateway. `name` is what the table calls it."""

    name: str

    async def enter(self, folder: Path, stack: AsyncExitStack) -> int:
        """Start broker and operator in `folder`, ended by `stack`; return the broker's port."""

    def configure(self, folder: Path, port: int, bus: Path) -> Sequence[str]:
        """Write the gateway's configuration for this port and source; return its command."""

    def arrivals(self) -> list[Arrival]:
        """Return what has come to the operator, in the order in which it came."""

    def named_missing(self) -> int:
        """Return for how many seconds signed records say that nothing was recorded."""


class Gateway:
    """The gateway's process, through a kill and a new start. `cost` is that of all of them so far."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.cost = Cost()

    def start(self) -> None:
        """Start it; raises InputError when it is not there."""
        with (self._folder / "gateway.log").open("ab") as log:
            try:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)
            except OSError as error:
                raise InputError(f"{self._command[0]}: {error.strerror}; make bench-peers installs it") from error

    def kill(self) -> None:
        """SIGKILL, its cost read before."""
        if self._process is not None:
            self.cost += _cost(self._process.pid)
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """End it in good order, or by force after a while; its cost is read before."""
        if self._process is None or self._process.poll() is not None:
            return
        self.cost += _cost(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """Return the end of what it said."""
        return (self._folder / "gateway.log").read_text("utf-8", "replace")[-500:]


def _cost(pid: int) -> Cost:
    try:
        # After the program's name, which may hold spaces: utime and stime are fields 14 and 15 of proc(5).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        written = _number(Path(f"/proc/{pid}/io"), "write_bytes")
        peak_kb = _number(Path(f"/proc/{pid}/status"), "VmHWM")
    except (OSError, IndexError):
        return Cost()
    return Cost((int(fields[11]) + int(fields[12])) / TICKS_PER_S, written, peak_kb / 1024)


def _number(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
