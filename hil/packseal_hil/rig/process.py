"""Processes of this machine: their output in a file, ended with the bench however the bench ends."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from packseal_hil.rig.protocols import RigError

SETPRIV = ("setpriv", "--pdeathsig", "KILL")
"""setpriv(1) of util-linux asks the kernel to end the process with its parent (prctl(2), PR_SET_PDEATHSIG)."""

PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
"""Debian puts what the bench needs (ip, mosquitto, sshd) where only root looks."""


def environment() -> dict[str, str]:
    """Return the environment of the bench's processes."""
    return {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


def spawn(what: str, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, its output appended to `log`; raises RigError.

    Call it in a thread that lasts: the kernel ends the process with the thread that started it.
    """
    try:
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - the bench's own commands
                (*SETPRIV, *command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment(),
            )
    except OSError as error:
        raise RigError(f"cannot start {what} ({error.filename or command[0]}): {error.strerror}") from error


def end(process: subprocess.Popen[bytes], patience_s: float = 0) -> int:
    """End a process and what it started, by force after `patience_s`; return its exit code."""
    if patience_s and process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
