"""SshDevice: a gateway somewhere else, through this machine's own ssh client and one shared connection."""

import asyncio
import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from packseal_hil.rig import process
from packseal_hil.rig.protocols import Done, RigError
from packseal_hil.rig.settings import DeviceTable

CONNECT_S = 10
UNREACHED = 255  # ssh(1), exit status: an error of ssh itself
TIMED_OUT = (124, 137)  # timeout(1): ended by SIGTERM, or by SIGKILL after it
KEEP_S = 60
MARK = "PACKSEAL_BENCH"
"""In the environment of what the bench starts, so that it ends nothing else."""

TRANSFER_S = 300.0
ALIVE = ("ServerAliveInterval=5", "ServerAliveCountMax=3")
"""A connection over which nothing came for 15 s is given up: the power may have been cut."""


class SshDevice:
    """A `Device`. `base` is what relative paths of the settings are relative to."""

    def __init__(self, settings: DeviceTable, base: Path) -> None:
        self.directory = settings.directory
        self.packseal = settings.packseal
        self._name = settings.ssh
        self._started: list[int] = []
        # Short, for it holds the shared connection's Unix socket.
        self._sockets = Path(tempfile.mkdtemp(prefix="ssh-"))
        self._command = [shutil.which("ssh", path=process.PATH) or "ssh", *_options(settings, base, self._sockets)]

    async def run(self, command: str, *, timeout_s: float = 60) -> Done:
        """Run a shell command; raises RigError when it takes longer or the machine does not answer."""
        return await self._run(command, b"", timeout_s)

    async def start(self, command: str, log: str) -> int:
        """Start a shell command that outlives the connection; return its process id."""
        # In a background job of a shell that is no interactive one, setsid(1) keeps its process id: it leads no group.
        marked = f"{MARK}={shlex.quote(self.directory)} setsid sh -c {shlex.quote(command)}"
        done = await self.run(f"{marked} >>{shlex.quote(log)} 2>&1 </dev/null & echo $!")
        if not done.output.strip().isdigit():
            raise RigError(
                f"{self._name} did not start the command: {done.output.strip() or 'no process id came back'}"
            )
        self._started.append(int(done.output))
        return self._started[-1]

    async def put(self, path: str, content: bytes) -> None:
        """Write a file, mode 0600, whole or not at all."""
        there, fresh = shlex.quote(path), shlex.quote(f"{path}.new")
        done = await self._run(f"umask 077; cat >{fresh} && mv {fresh} {there}", content, TRANSFER_S)
        if done.code:
            raise RigError(f"cannot write {path} on {self._name}: {done.output.strip()}")

    async def get(self, path: str) -> bytes:
        """Read a file; raises RigError."""
        code, output, complaint = await self._transfer(f"cat {shlex.quote(path)}", b"", TRANSFER_S)
        if code:
            raise RigError(f"cannot read {path} on {self._name}: {complaint.decode('utf-8', 'replace').strip()}")
        return output

    async def end_all(self) -> None:
        """End everything that was started and still runs, at once; a process id that now is another's is left alone."""
        is_ours = f"tr '\\0' '\\n' 2>/dev/null </proc/$p/environ | grep -qxF {shlex.quote(f'{MARK}={self.directory}')}"
        numbers = " ".join(map(str, self._started))
        if numbers:
            await self.run(f"for p in {numbers}; do {is_ours} && kill -9 -$p 2>/dev/null; done; true")
        self._started.clear()

    async def close(self) -> None:
        """End the shared connection."""
        closing = await asyncio.create_subprocess_exec(
            *self._command, "-O", "exit", self._name, stderr=asyncio.subprocess.DEVNULL, env=process.environment()
        )
        await closing.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)

    async def _run(self, command: str, content: bytes, timeout_s: float) -> Done:
        # Ended over there: a client that is killed here would leave the command running, with our pipes in its hands.
        limited = f"timeout -k 1 {timeout_s:g} sh -c {shlex.quote(command)} 2>&1"
        code, output, complaint = await self._transfer(limited, content, timeout_s + CONNECT_S)
        if code in TIMED_OUT:
            raise RigError(f"{self._name} took longer than {timeout_s:g} s: {command}")
        if code == UNREACHED:
            said = (complaint or output).decode("utf-8", "replace").strip().splitlines()
            raise RigError(f"{self._name} does not answer over ssh: {said[-1] if said else 'the connection was lost'}")
        return Done(code, output.decode("utf-8", "replace"))

    async def _transfer(self, command: str, content: bytes, timeout_s: float) -> tuple[int, bytes, bytes]:
        try:
            running = await asyncio.create_subprocess_exec(
                *self._command,
                self._name,
                command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=process.environment(),
            )
        except OSError as error:
            raise RigError(f"cannot run ssh ({error.strerror}): apt install openssh-client") from error
        try:
            output, complaint = await asyncio.wait_for(running.communicate(content), timeout_s)
        except TimeoutError as error:
            running.kill()
            await running.wait()
            raise RigError(f"{self._name} took longer than {timeout_s:g} s: {command}") from error
        return running.returncode or 0, output, complaint


def _options(settings: DeviceTable, base: Path, sockets: Path) -> Sequence[str]:
    options = [
        "BatchMode=yes",  # never ask for a password: nobody would see the question
        f"ConnectTimeout={CONNECT_S}",
        "ControlMaster=auto",
        f"ControlPath={sockets}/%C",
        f"ControlPersist={KEEP_S}",
        *ALIVE,
        *settings.options,
    ]
    words = [word for option in options for word in ("-o", option)]
    if settings.port is not None:
        words += ["-p", str(settings.port)]
    if settings.identity is not None:
        words += ["-o", "IdentitiesOnly=yes", "-i", str(base / os.path.expanduser(settings.identity))]  # noqa: PTH111
    return words
