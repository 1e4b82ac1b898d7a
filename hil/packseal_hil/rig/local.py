"""LocalRig: the agent as a process of this machine. No virtual machine, no hardware, and what that costs is said.

Root gives it network namespaces and a file system of its own for the journal; without root it has less, and `has` and
`title` say so. A process that is killed loses nothing that it wrote: this rig has no power to cut.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from packseal_hil.rig import local_network, process
from packseal_hil.rig.local_bus import StreamBus
from packseal_hil.rig.local_network import LoopbackNetwork
from packseal_hil.rig.no_radio import NoRadio
from packseal_hil.rig.protocols import Bus, Clock, Device, Disk, Done, Need, Network, Power, Radio, RigError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

DISK_MIB = 48
"""Room for a day's journal and a recording, and filled within a moment."""


class LocalDevice:
    """A `Device`: a directory of this machine, and commands behind a prefix."""

    def __init__(self, directory: Path) -> None:
        self.directory = str(directory)
        self.packseal = f"{shlex.quote(sys.executable)} -m packseal"
        self.prefix: Sequence[str] = ()
        self._started: list[subprocess.Popen[bytes]] = []

    async def run(self, command: str, *, timeout_s: float = 60) -> Done:
        """Run a shell command, as this user; raises RigError when it takes longer."""
        for started in self._started:
            started.poll()  # else one that has ended would stay as a zombie, and look alive
        running = await asyncio.create_subprocess_exec(
            *process.SETPRIV,
            *self.prefix,
            "sh",
            "-c",
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=process.environment(),
            start_new_session=True,
        )
        try:
            output, _ = await asyncio.wait_for(running.communicate(), timeout_s)
        except TimeoutError as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            await running.wait()
            raise RigError(f"took longer than {timeout_s:g} s: {command}") from error
        return Done(running.returncode or 0, output.decode("utf-8", "replace"))

    async def start(self, command: str, log: str) -> int:
        """Start a shell command; return its process id."""
        started = process.spawn(command, (*self.prefix, "sh", "-c", command), Path(log))
        self._started.append(started)
        return started.pid

    async def put(self, path: str, content: bytes) -> None:
        """Write a file, mode 0600; raises RigError."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except OSError as error:
            raise RigError(f"cannot write {path}: {error.strerror}") from error

    async def get(self, path: str) -> bytes:
        """Read a file; raises RigError."""
        try:
            return await asyncio.to_thread(Path(path).read_bytes)
        except OSError as error:
            raise RigError(f"cannot read {path}: {error.strerror}") from error

    def end_all(self) -> None:
        """End everything that was started, at once."""
        for started in self._started:
            process.end(started)
        self._started.clear()


class NoPower:
    """A `Power` that is not there."""

    async def cut(self) -> None:
        """Raise RigError."""
        raise RigError("this machine's power is not the bench's to cut: use the virtual gateway")

    async def on(self) -> None:
        """Raise RigError."""
        await self.cut()


class NoClock:
    """A `Clock` that must not be set."""

    async def set(self, wall_s: float) -> None:
        """Raise RigError."""
        raise RigError(f"this machine's clock is not the bench's to set to {wall_s:g}: use the virtual gateway")

    async def synchronise(self) -> None:
        """Raise RigError."""
        await self.set(0)


class LocalDisk:
    """A `Disk`: a tmpfs of the device's directory, where root may mount one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ballast = directory / "ballast"
        self.is_mounted = False
        self.why_not = ""

    async def open(self) -> None:
        """Mount it, or say why not in `why_not`."""
        if os.geteuid() != 0:
            self.why_not = "a file system of its own needs root"
            return
        options = f"size={DISK_MIB}m,mode=0700"
        try:
            await local_network.run("mount", "-t", "tmpfs", "-o", options, "packseal-bench", str(self._directory))
        except RigError as error:
            self.why_not = str(error)
        else:
            self.is_mounted = True

    async def fill(self) -> None:
        """Leave no page free; raises RigError."""
        if not self.is_mounted:
            raise RigError(f"the disk cannot be filled: {self.why_not}")
        with self._ballast.open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    async def free(self) -> None:
        """Undo `fill`."""
        self._ballast.unlink(missing_ok=True)

    async def freeze(self) -> None:
        """Raise RigError: only a machine that is all ours can do that under open files."""
        raise RigError("no file system of this machine can be made read-only under open files: use the virtual gateway")

    async def thaw(self) -> None:
        """Raise RigError."""
        await self.freeze()

    async def close(self) -> None:
        """Take it away."""
        if self.is_mounted:
            await local_network.run("umount", "-l", str(self._directory))
            self.is_mounted = False


class LocalRig:
    """A `Rig` of this machine's own processes."""

    def __init__(self) -> None:
        # Short, for the paths of Unix sockets end after 107 bytes (unix(7)).
        self._directory = Path(tempfile.mkdtemp(prefix="packseal-"))
        self._device = LocalDevice(self._directory / "gateway")
        self._bus = StreamBus(self._directory / "bus")
        self._network = LoopbackNetwork()
        self._disk = LocalDisk(self._directory / "gateway")
        self._why = ""
        Path(self._device.directory).mkdir(mode=0o700)
        self.device: Device = self._device
        self.power: Power = NoPower()
        self.bus: Bus = self._bus
        # A radio in this process would not be that of the agent, which is a process of its own.
        self.radio: Radio = NoRadio("use the virtual gateway")
        self.network: Network = self._network
        self.clock: Clock = NoClock()
        self.disk: Disk = self._disk

    @property
    def has(self) -> frozenset[Need]:
        """The network; losing packets and the disk where this machine lets us."""
        more = {Need.LOSS: self._network.shapes, Need.DISK: self._disk.is_mounted}
        return frozenset({Need.NETWORK, *(need for need, there in more.items() if there)})

    @property
    def title(self) -> str:
        """What it is made of."""
        lacking = "; ".join(filter(None, (self._why, self._disk.why_not)))
        made = f"this machine: frames over a Unix socket, {self._network.title}"
        return f"{made} ({lacking})" if lacking else made

    async def open(self, work: Path) -> None:  # noqa: ARG002 - of the protocol
        """Make namespaces, file system and bus; raises RigError. Nothing goes to `work`: the device keeps its own."""
        await self._disk.open()
        self._network, self._why = await local_network.choose()
        self.network = self._network
        self._device.prefix = self._network.prefix
        await self._bus.open()

    async def reset(self) -> None:
        """End what runs on it, mend everything and empty the directory."""
        self._device.end_all()
        await self._network.reset()
        await self._bus.close()
        await self._bus.open()
        _empty(Path(self._device.directory))

    async def close(self) -> None:
        """Leave nothing."""
        self._device.end_all()
        await self._bus.close()
        await self._network.close()
        await self._disk.close()
        shutil.rmtree(self._directory, ignore_errors=True)


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
