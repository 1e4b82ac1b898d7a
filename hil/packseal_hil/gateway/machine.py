"""One virtual machine: switched on and off, commanded and supplied with files."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from packseal_hil.gateway.hand import LINE_BYTES, Hand
from packseal_hil.gateway.image import Image
from packseal_hil.gateway.programs import call, find
from packseal_hil.gateway.qmp import Qmp
from packseal_hil.gateway.tpm import SoftwareTpm
from packseal_hil.gateway.wiring import Parts, Places, command
from packseal_hil.rig.protocols import Done, RigError

GUEST = Path(__file__).parent / "guest"
BOOT_S = 300.0  # a boot takes 10 s on a machine that is otherwise idle, and 50 s on one under load
SOCKET_S = 30.0
POLL_S = 0.05
TOLD_LINES = 5
DATA_LABEL = "packseal"  # the file system of this label is mounted at /var/lib/packseal (guest/set-up)


class Machine:
    """A guest of `image`, fitted with `parts`; both may be changed while it is off.

    Its console, its TPM's state and what it shares lie in `work`, which outlives its power.
    """

    def __init__(self, image: Image, work: Path, parts: Parts | None = None) -> None:
        self.image = image
        self.parts = parts or Parts()
        # The path of a Unix socket may be 107 bytes long (unix(7)); `work` may be deeper than that.
        self.places = Places(work, Path(tempfile.mkdtemp(prefix="gateway-")))
        (self.places.share / "project.tar").unlink(missing_ok=True)
        self.boot_s = 0.0
        """Seconds from QEMU's start until the guest first answered."""
        self._tpm = SoftwareTpm(self.places.sockets / "tpm", work / "tpm")
        self._process: asyncio.subprocess.Process | None = None
        self._qmp: Qmp | None = None
        self._hand: Hand | None = None

    @property
    def is_on(self) -> bool:
        """Whether QEMU runs."""
        return self._process is not None and self._process.returncode is None

    def socket(self, name: str) -> Path:
        """Return the Unix socket of that name; for a serial port, QEMU listens there for its other end."""
        return self.places.sockets / name

    async def start(self) -> None:
        """Switch on and wait until the guest answers; raises RigError with the console's last lines."""
        if self.is_on:
            raise RigError("the virtual gateway is on already")
        began_s = time.monotonic()
        self._fill_share()
        if self.parts.tpm:
            await self._tpm.start()
        await self._launch()
        try:
            self._qmp = await self._connect_qmp()
            reader, writer = await asyncio.open_unix_connection(self.socket("hand"), limit=LINE_BYTES)
            self._hand = Hand(reader, writer)
            await self._hand.greet(BOOT_S)
        except (RigError, OSError) as error:
            await self.kill()
            raise RigError(f"the virtual gateway does not boot: {error}; {self._last_words()}") from error
        self.boot_s = time.monotonic() - began_s

    def _fill_share(self) -> None:
        share = self.places.share
        shutil.rmtree(share / "units", ignore_errors=True)
        (share / "units").mkdir(parents=True)
        for name in ("hand.py", "synchronise.py", "set-up", "init-small", "init-systemd"):
            shutil.copy(GUEST / name, share / name)
        if not (share / "project.tar").exists():  # one agent for as long as the machine lives, whatever is built since
            shutil.copy(self.image.project, share / "project.tar")
        (share / "mount-options").write_text(self.parts.mount_options)
        for name, content in self.parts.units.items():
            (share / "units" / name).write_text(content)

    async def _launch(self) -> None:
        for name in ("hand", "qmp", *self.parts.uarts):
            self.socket(name).unlink(missing_ok=True)
        words = command(self.image, self.parts, self.places)
        if (program := find(words[0])) is None:
            raise RigError(f"{words[0]} is not here: install QEMU")
        with self.places.complaints.open("wb") as complaints:
            self._process = await asyncio.create_subprocess_exec(
                program,
                *words[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=complaints,
                stderr=complaints,
                # Else Ctrl-C would cut the guest's power before a scenario has cleaned up.
                start_new_session=True,
                pass_fds=() if self.parts.tap_fd is None else (self.parts.tap_fd,),
            )

    async def _connect_qmp(self) -> Qmp:
        for _ in range(round(SOCKET_S / POLL_S)):
            if not self.is_on:
                raise RigError("QEMU did not start")
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return await Qmp.connect(self.socket("qmp"))
            await asyncio.sleep(POLL_S)
        raise RigError("QEMU does not open its control line")

    def _last_words(self) -> str:
        said = []
        for path in (self.places.complaints, self.places.console):
            if path.is_file():
                lines = path.read_text(errors="replace").replace("\r", "").strip().splitlines()
                said += lines[-TOLD_LINES:]
        return f"it has said: {'; '.join(said) or 'nothing'} (all of it: {self.places.console})"

    async def run(self, command: str, *, timeout_s: float = 60) -> Done:
        """Run a shell command as root; raises RigError when it takes longer or the guest does not answer."""
        return await self._held.run(command, timeout_s=timeout_s)

    async def check(self, command: str, *, timeout_s: float = 60) -> str:
        """Run a shell command that has to succeed and return what it said; raises RigError."""
        done = await self.run(command, timeout_s=timeout_s)
        if done.code:
            raise RigError(f"{command} failed in the guest ({done.code}): {done.output.strip()}")
        return done.output

    async def start_command(self, command: str, log: str) -> int:
        """Start a shell command that goes on by itself; return its process id, which is its process group's too."""
        return await self._held.start(command, log)

    async def put(self, path: str, content: bytes, *, mode: int = 0o600) -> None:
        """Write a file, synced; raises RigError."""
        await self._held.put(path, content, mode=mode)

    async def get(self, path: str) -> bytes:
        """Read a file; raises RigError."""
        return await self._held.get(path)

    async def qmp(self, command: str, **arguments: object) -> object:
        """Have QEMU carry out a command; raises RigError."""
        if self._qmp is None:
            raise RigError("the virtual gateway is off")
        return await self._qmp.execute(command, **arguments)

    @property
    def _held(self) -> Hand:
        if self._hand is None:
            raise RigError("the virtual gateway is off")
        return self._hand

    async def kill(self) -> None:
        """Take the power away: QEMU ends at once. What the guest wrote stays in the host's cache, see DataDisk.log."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._gather_up()

    async def off(self, timeout_s: float = 60) -> None:
        """Have the guest write out its disks and switch itself off; raises RigError when it does not."""
        if not self.is_on or self._process is None:
            return
        orderly = "systemctl poweroff" if self.parts.init == "systemd" else "sync; echo o > /proc/sysrq-trigger"
        with contextlib.suppress(RigError):  # the guest may be gone before it can answer
            await self.run(orderly, timeout_s=timeout_s)
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            await self.kill()
            raise RigError(f"the guest did not switch itself off within {timeout_s:.0f} s") from None
        await self._gather_up()

    async def _gather_up(self) -> None:
        if self._process is not None:
            await self._process.wait()
        for line in (self._hand, self._qmp):
            if line is not None:
                await line.close()
        self._hand = self._qmp = None
        await self._tpm.stop()

    async def close(self) -> None:
        """Switch off without asking, and leave nothing behind but `work`."""
        await self.kill()
        shutil.rmtree(self.places.sockets, ignore_errors=True)


def make_disk(path: Path, size_mb: int, label: str = DATA_LABEL, content: Path | None = None) -> None:
    """Make a data disk with an ext4 file system, empty or with the files of a directory; raises RigError.

    Nothing is reserved for root, so that a full disk is full for everybody; nothing is left to be initialised later.
    """
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        os.ftruncate(file.fileno(), size_mb << 20)
    options = ["-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-L", label]
    options += ["-E", "lazy_itable_init=0,lazy_journal_init=0", *(["-d", str(content)] if content else [])]
    call(["mke2fs", *options, path], "Making the guest's data disk")
