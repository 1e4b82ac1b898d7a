"""Cache: compiled decoders on disk, named by what they were made from. They are executed, so only our own are believed.

Compiled, as Python's own .pyc files are, because compiling leaves 2 MB of an agent's memory behind.
"""

import contextlib
import hashlib
import marshal
import os
import stat
import sys
from pathlib import Path
from types import CodeType

from packseal_drivers.decoding.codes import GENERATOR
from packseal_drivers.profile import ProfileFile

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MAX_BYTES = 8 << 20
"""No more is read: what is larger is none of ours."""


def key(file: ProfileFile) -> str:
    """Return the SHA-256 in hex of everything that the compiled decoders depend on, this Python among it."""
    python = f"{sys.implementation.name} {sys.hexversion:x}"
    digest = hashlib.sha256(f"packseal decoders {GENERATOR} {python}".encode())
    for part in (file.text, file.dbc):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def read(directory: Path, name: str) -> CodeType | None:
    """Return the cached code; None where there is none, it is damaged, or someone else could have written it."""
    try:
        if not _is_ours(directory):
            return None
        descriptor = os.open(_path(directory, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, so that what is checked is what is read
            found = os.fstat(file.fileno())
            ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & OTHERS
            raw = file.read(MAX_BYTES) if ours else b""
    except OSError:
        return None
    seal, _, body = raw.partition(b"\n")
    if seal != _seal(body):
        return None
    code = marshal.loads(body)  # noqa: S302 - the seal is right and the file ours alone
    return code if isinstance(code, CodeType) else None


def write(directory: Path, name: str, code: CodeType) -> bool:
    """Keep the code; False where it cannot be: the next start then makes it again."""
    body = marshal.dumps(code)
    draft = directory / f".{name}.{os.getpid()}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(directory):
            return False
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - as above
            file.write(_seal(body) + b"\n" + body)
        draft.replace(_path(directory, name))
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        return False
    return True


def _path(directory: Path, name: str) -> Path:
    return directory / f"{name}.decoders"


def _seal(body: bytes) -> bytes:
    """Return the first line of the file: a checksum against damage; against people there are owner and mode."""
    return b"# packseal decoders, sha256 " + hashlib.sha256(body).hexdigest().encode()


def _is_ours(directory: Path) -> bool:
    found = directory.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & OTHERS_MAY_WRITE
