"""The virtual gateway as the tests of it use it."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from packseal_hil.gateway.contents import HOME
from packseal_hil.rig.virtual import VirtualRig

PROGRAMS = Path(__file__).parent / "guest"
PLACE = "/run/bench"
WAIT_S = 120.0

T = TypeVar("T")


class Virtual:
    """The gateway, for tests that are no coroutines: whatever is done runs in one event loop."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.rig = VirtualRig()

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Do it, whole."""
        return self._runner.run(what)

    def sh(self, command: str, timeout_s: float = WAIT_S) -> str:
        """Run a shell command that has to succeed, and return what it said."""
        return self.do(self.rig.machine.check(command, timeout_s=timeout_s))

    def put(self, path: Path, name: str = "") -> str:
        """Put a file into the guest; return its path there."""
        there = f"{PLACE}/{name or path.name}"
        self.do(self.rig.machine.put(there, path.read_bytes()))
        return there

    def program(self, name: str, *arguments: object) -> str:
        """Put one of this folder's programs into the guest; return the command that runs it."""
        there = self.put(PROGRAMS / name)
        return " ".join((f"{HOME}/bin/python", "-u", there, *map(str, arguments)))

    def start(self, command: str, name: str, *, waits_for: str = "open") -> str:
        """Start a command; return the path of its output, once it has said `waits_for`."""
        output = f"{PLACE}/{name}.out"
        self.sh(f"mkdir -p {PLACE} && rm -f {output}")
        self.do(self.rig.device.start(command, output))
        self.until(f"grep -q '{waits_for}' {output}", lambda: self.sh(f"cat {output}"))
        return output

    def until(self, command: str, told: Callable[[], str] = str, timeout_s: float = WAIT_S) -> None:
        """Repeat a command until it succeeds."""
        end_s = time.monotonic() + timeout_s
        while self.do(self.rig.device.run(command)).code:
            assert time.monotonic() < end_s, f"{command}: not after {timeout_s} s: {told()}"
            time.sleep(0.2)
