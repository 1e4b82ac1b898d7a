"""Child: one program of the demo, its output in a log file, ended with the demo however the demo ends."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from packseal.core.errors import InputError

PR_SET_PDEATHSIG = 1  # linux/prctl.h
TAIL_LINES = 3
LINE_CHARACTERS = 300
_LIBC = ctypes.CDLL(None)


class Child:
    """A running program. It has a session of its own, so that Ctrl-C reaches only the demo, which ends it in order.

    Args:
        name: what the user is told it is.
        command: the program and its arguments.
        log: where its output goes, added to what is there.

    Raises:
        InputError: it cannot be started.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603 - commands are the demo's own
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    preexec_fn=_end_with(os.getpid()),  # noqa: PLW1509 - one libc call, and no thread runs yet
                )
        except OSError as error:
            raise InputError(f"cannot start {name} ({command[0]}): {error.strerror}") from error

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs, negative when a signal ended it."""
        return self._process.poll()

    def check(self) -> None:
        """Raise InputError with the end of its log when it has ended, which nobody has asked of it yet."""
        if (code := self.code) is not None:
            how = f"with code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
            raise InputError(f"{self.name} ended {how}: {self.tail() or 'its log is empty'} (log: {self.log})")

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self.code is None:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL, as a power cut would end it."""
        self._process.kill()
        self._process.wait()

    def end(self, patience_s: float = 5.0) -> int:
        """End it, by force when it takes longer than `patience_s`, and return its exit code."""
        self.ask_to_end()
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            return self._process.wait()

    def tail(self) -> str:
        """Return the last lines of its log as one."""
        with contextlib.suppress(OSError):
            lines = self.log.read_text("utf-8", "replace").strip().splitlines()[-TAIL_LINES:]
            return " | ".join(line.strip()[:LINE_CHARACTERS] for line in lines)
        return ""


def _end_with(parent: int) -> Callable[[], None]:
    """Return what makes the kernel end the new process when the demo is killed (prctl(2))."""

    def arrange() -> None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return arrange
