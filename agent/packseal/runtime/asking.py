"""Asking: the other end of the status socket."""

import json
import socket
from pathlib import Path
from typing import Any

from packseal.core.errors import InputError

TIMEOUT_S = 5.0
CHUNK_BYTES = 1 << 16


def ask(path: Path) -> dict[str, Any]:
    """Return the answer of the agent behind the socket at `path`.

    Raises:
        InputError: no agent answers there.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            parts = []
            while part := connection.recv(CHUNK_BYTES):
                parts.append(part)
        answer: dict[str, Any] = json.loads(b"".join(parts))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"no running agent answers at {path} ({why}); start one with packseal run") from error
    return answer
