"""The shim: calls of a program on chosen files fail on command. Linux and glibc, and needs a C compiler.

A file is chosen by how its path ends; a folder, with everything in it, by its whole path and a slash.
"""

import enum
import errno
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from packseal_hil.rig.protocols import RigError

SOURCE = Path(__file__).with_name("shim.c")
LAYOUT = struct.Struct("<IiIIII8x224s")  # struct order in shim.c
SEEN = struct.Struct("<II")
SEEN_AT = 16
FOR_EVER = (1 << 32) - 1


class Call(enum.IntFlag):
    """System calls, by what they do; in shim.c the same numbers."""

    OPEN = 1  # open, openat
    WRITE = 2  # write, pwrite64
    SYNC = 4  # fsync, fdatasync
    TRUNCATE = 8  # ftruncate
    READ = 16  # read, pread64
    MAP = 32  # mmap
    RENAME = 64
    UNLINK = 128


class Error(enum.IntEnum):
    """How a call fails. SHORT: half of what is to be written is, and the next write finds the disk full."""

    ENOSPC = errno.ENOSPC
    EIO = errno.EIO
    EROFS = errno.EROFS
    SHORT = 0


def missing() -> str:
    """Return what this machine lacks to inject faults; "" where nothing."""
    return "" if shutil.which("cc") or shutil.which("gcc") else "there is no C compiler: install gcc and libc6-dev"


def build(directory: Path) -> Path:
    """Compile the shim into `directory` and return it; raises RigError with what the compiler said."""
    made = directory / "shim.so"
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RigError(missing())
    words = [compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(made), str(SOURCE)]
    done = subprocess.run([*words, "-ldl", "-lpthread"], capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise RigError(f"the shim cannot be compiled: {done.stderr.strip()}")
    return made


class Switch:
    """Steers the shim in the programs that are started with `environment`.

    Args:
        shim: what `build` made.
        path: a file that is made, through which both sides talk.
        device: a directory for what the disk holds of databases (see shim.c); None keeps no such account.
    """

    def __init__(self, shim: Path, path: Path, device: Path | None = None) -> None:
        path.write_bytes(bytes(LAYOUT.size))
        with path.open("r+b") as file:
            self._order = mmap.mmap(file.fileno(), LAYOUT.size)
        self._variables = {"LD_PRELOAD": str(shim), "PACKSEAL_FAULTS": str(path)}
        if device is not None:
            device.mkdir(exist_ok=True)
            self._variables["PACKSEAL_FAULTS_DEVICE"] = str(device)

    def environment(self) -> Mapping[str, str]:
        """Return the environment of a program that is to have the shim."""
        return {**os.environ, **self._variables}

    def words(self) -> list[str]:
        """Return what a command that is to have the shim begins with."""
        return ["env", *(f"{name}={value}" for name, value in self._variables.items())]

    def order(self, calls: Call, error: Error, ending: str, *, skip: int = 0, times: int = FOR_EVER) -> None:
        """Let `calls` on files whose path ends so fail, after `skip` of them that go through; `times` 0 only counts."""
        self.lift()
        rest = LAYOUT.pack(0, int(error), skip, times, 0, 0, ending.encode())
        self._order[4:] = rest[4:]
        self._order[:4] = int(calls).to_bytes(4, "little")  # last: from here on it counts

    def lift(self) -> None:
        """Let every call through again."""
        self._order[:4] = bytes(4)

    @property
    def seen(self) -> int:
        """How many calls the order has met since it was given, those that went through included."""
        return int(SEEN.unpack_from(self._order, SEEN_AT)[0])

    @property
    def hits(self) -> int:
        """How many calls have failed since the order was given."""
        return int(SEEN.unpack_from(self._order, SEEN_AT)[1])

    @contextmanager
    def ordered(
        self, calls: Call, error: Error, ending: str, *, skip: int = 0, times: int = FOR_EVER
    ) -> Iterator[None]:
        """`order` for the time of the block."""
        self.order(calls, error, ending, skip=skip, times=times)
        try:
            yield
        finally:
            self.lift()
