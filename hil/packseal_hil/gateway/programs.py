"""Programs of this machine that build and run the guest; what they lack or fail at is told in one sentence."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from packseal_hil.rig.protocols import RigError

SYSTEM_PATHS = ("/usr/sbin", "/sbin")  # where Debian puts debootstrap and mke2fs; not on every user's PATH
TELLING_LINES = 3


def find(program: str) -> str | None:
    """Return the path of a program, system directories included, or None."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATHS]))


def need(packages: Mapping[str, str], purpose: str) -> None:
    """Raise RigError with the Debian packages of those programs that are missing; `packages` is program → package."""
    missing = sorted({package for program, package in packages.items() if find(program) is None})
    if missing:
        raise RigError(f"{purpose} needs programs that are not here: apt-get install {' '.join(missing)}")


def need_root(purpose: str) -> None:
    """Raise RigError unless this process is root."""
    if os.geteuid() != 0:
        raise RigError(f"{purpose} needs root, as debootstrap and chroot do: run it as root or with sudo")


def call(argv: Sequence[str | Path], doing: str, *, cwd: Path | None = None, timeout_s: float = 1800) -> str:
    """Run a program to its end and return what it printed; raises RigError with the last lines of it."""
    program = find(str(argv[0])) or str(argv[0])
    words = [program, *map(str, argv[1:])]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell
            words,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise RigError(f"{doing}: {argv[0]} is not here") from error
    except subprocess.TimeoutExpired as error:
        raise RigError(f"{doing}: {argv[0]} was not ready after {timeout_s:.0f} s") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode:
        tail = "; ".join(line.strip() for line in output.strip().splitlines()[-TELLING_LINES:])
        raise RigError(f"{doing}: {argv[0]} failed ({done.returncode}): {tail}")
    return output


def environment() -> dict[str, str]:
    """Return an environment for programs: this process's own, system directories on PATH, messages in English."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *SYSTEM_PATHS])
    return {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
