"""From the disk that a cut left to the files that the next start would find, without mounting and without root.

e2fsck replays ext4's journal, as a mount does (e2fsck(8), -E journal_only); what it then finds is compared with what a
mount mends by itself; debugfs(8) takes the files out.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packseal_hil.rig.protocols import RigError

TOOLS_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"  # Debian keeps e2fsprogs in /usr/sbin
TIMEOUT_S = 120.0

# Exit codes of e2fsck(8), which are bits.
MENDED = 1
LEFT = 4
FAILED = 8


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found. `directory` holds the files, or nothing where the disk did not have them yet.

    `damage` is what a mount would not have mended, as e2fsck says it; empty where the file system is well.
    """

    directory: Path
    damage: str


def missing() -> str:
    """Return what cannot be recovered here and why, or nothing when all programs are there."""
    absent = [name for name in ("e2fsck", "debugfs") if shutil.which(name, path=TOOLS_PATH) is None]
    return f"{' and '.join(absent)} cannot be found: install e2fsprogs" if absent else ""


def recover(image: Path, into: Path, directory: str = "/") -> Recovered:
    """Mend the ext4 file system in `image` and copy one of its directories out.

    Args:
        image: the disk; changed by the recovery.
        into: a directory to copy to; what was in it is removed.
        directory: which one, by its absolute path in that file system.

    Raises:
        RigError: a program is missing or fails by itself.
    """
    if absent := missing():
        raise RigError(absent)
    _run("e2fsck", "-y", "-E", "journal_only", str(image))
    damage = _mend(image)
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    _run("debugfs", "-R", f'rdump "{directory}" "{into}"', str(image))
    # rdump of /a/b makes INTO/b, and of / the files themselves.
    return Recovered(into / Path(directory).name, damage)


def _mend(image: Path) -> str:
    """Bring the file system in order; return what a mount would have stumbled over."""
    code, text = _run("e2fsck", "-f", "-p", str(image))
    # Preening mends what a mount does too: orphans, and counts that it takes from the groups (e2fsck(8), -p).
    if code < LEFT:
        return ""
    _run("e2fsck", "-f", "-y", str(image))
    return _one_line(text)


def tool(name: str) -> str:
    """Return the path of a program of e2fsprogs; raises RigError."""
    if (program := shutil.which(name, path=TOOLS_PATH)) is None:
        raise RigError(f"{name} cannot be found: install e2fsprogs")
    return program


def _run(*command: str) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - the programs of e2fsprogs, on our own images
            [tool(command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RigError(f"{command[0]} failed: {error}") from error
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode >= FAILED:
        raise RigError(f"{command[0]} ended with code {done.returncode}: {_one_line(text)}")
    return done.returncode, text


def _one_line(text: str) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines() if line.strip())
