"""A disk of this machine whose writes are logged, without a virtual machine.

qemu-storage-daemon(1) serves the disk through FUSE behind its blklogwrites driver; the kernel mounts ext4 on it through
a loop device. Flushes come through: the loop driver syncs the served file, and the daemon logs that as a flush.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from packseal.core.errors import InputError
from packseal.demo.child import Child
from packseal_hil.powercut import sparse
from packseal_hil.powercut.recover import TOOLS_PATH, Recovered
from packseal_hil.rig.protocols import RigError

BASE, LOG = "base.img", "writes.log"
SECTOR_BYTES = 512  # of the log; what loop devices and virtio-blk write at least
START_S = 20.0
STEP_S = 0.01
COMMAND_S = 60.0
PROGRAMS = {"qemu-storage-daemon": "qemu-system-common", "mount": "mount", "umount": "mount", "mke2fs": "e2fsprogs"}
"""And the packages of Debian 12 that have them."""

DEVICES = (Path("/dev/fuse"), Path("/dev/loop-control"))


def missing() -> str:
    """Return why a disk cannot be logged on this machine, or nothing when it can."""
    if os.geteuid() != 0:
        return "only root may mount a disk image"
    for program, package in PROGRAMS.items():
        if shutil.which(program, path=TOOLS_PATH) is None:
            return f"{program} cannot be found: install {package}"
    return next((f"this machine has no {device}" for device in DEVICES if not device.exists()), "")


def make_base(target: Path, contents: Path, size_bytes: int, label: str) -> None:
    """Make an ext4 disk with the files in `contents`, modes included; needs no root. Raises RigError."""
    with target.open("wb") as file:
        file.truncate(size_bytes)
    _run("mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-d", str(contents), str(target))


def recover_by_mount(image: Path, into: Path, directory: str = "/") -> Recovered:
    """Do what `recover.recover` does by mounting the image, which needs root: the kernel's own word.

    What e2fsck would call damage and a mount does not notice is no damage here. Raises RigError.
    """
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    place = Path(tempfile.mkdtemp(prefix="packseal-disk-"))
    try:
        _run("mount", "-o", "loop,noatime", str(image), str(place))
        try:
            found = place / directory.lstrip("/")
            if found.is_dir():
                shutil.copytree(found, into / found.name, ignore=_no_sockets)
        finally:
            _run("umount", str(place))
    finally:
        place.rmdir()
    return Recovered(into / found.name, "")


def _no_sockets(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(directory, name).is_socket()]


class LoggedDisk:
    """The disk in `directory`/base.img, mounted at `mount` while its writes go to `directory`/writes.log.

    Raises:
        RigError: on entry, when it cannot be served or mounted; says why.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # A short path of its own: a Unix socket's name may have 107 bytes (unix(7)).
        self.mount = Path(tempfile.mkdtemp(prefix="packseal-disk-"))
        self._daemon: Child | None = None

    @property
    def log_bytes(self) -> int:
        """The position that the log has reached."""
        return (self._directory / LOG).stat().st_size

    def __enter__(self) -> Self:
        directory = self._directory
        sparse.copy(directory / BASE, directory / "disk.img")
        for name in (LOG, "export.img"):
            (directory / name).write_bytes(b"")
        try:
            self._serve()
            _run("mount", "-o", "loop,noatime", str(directory / "export.img"), str(self.mount))
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _serve(self) -> None:
        program = shutil.which("qemu-storage-daemon", path=TOOLS_PATH) or "qemu-storage-daemon"
        log = self._directory / "daemon.output"
        try:
            self._daemon = Child("qemu-storage-daemon", [program, *_arguments(self._directory)], log)
            end_s = time.monotonic() + START_S
            while (self._directory / "export.img").stat().st_size == 0:
                self._daemon.check()
                if time.monotonic() > end_s:
                    raise RigError(f"qemu-storage-daemon does not serve the disk after {START_S:g} s (log: {log})")
                time.sleep(STEP_S)
        except InputError as error:
            raise RigError(str(error)) from error

    def _leave(self) -> None:
        with contextlib.suppress(RigError):  # it was not mounted, or the daemon is gone and so is its disk
            _run("umount", str(self.mount))
        if self._daemon is not None:
            self._daemon.end(START_S)
        with contextlib.suppress(OSError):
            self.mount.rmdir()


def _arguments(directory: Path) -> list[str]:
    nodes = [
        # What counts as flushed is what the log says; the host's own disk need not keep up.
        f"driver=file,filename={directory}/disk.img,node-name=disk,cache.no-flush=on",
        f"driver=file,filename={directory}/{LOG},node-name=log,cache.no-flush=on",
        f"driver=blklogwrites,file=disk,log=log,node-name=logged,log-sector-size={SECTOR_BYTES}",
    ]
    blocks = [word for node in nodes for word in ("--blockdev", node)]
    return [*blocks, "--export", f"type=fuse,id=disk,node-name=logged,mountpoint={directory}/export.img,writable=on"]


def _run(*command: str) -> None:
    program = shutil.which(command[0], path=TOOLS_PATH) or command[0]
    try:
        done = subprocess.run([program, *command[1:]], capture_output=True, timeout=COMMAND_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RigError(f"{command[0]} failed: {error}") from error
    if done.returncode:
        raise RigError(f"{' '.join(command)} failed: {done.stderr.decode('utf-8', 'replace').strip()}")
