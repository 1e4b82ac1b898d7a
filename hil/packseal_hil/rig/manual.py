"""The person at the bench: asked on the terminal to do what no relay can, and waited for."""

import asyncio
import os
from pathlib import Path
from typing import Protocol

from packseal_hil.rig.protocols import RigError

TERMINAL = Path("/dev/tty")
"""The controlling terminal (tty(4)): pytest keeps standard input and output for itself."""

REFUSAL = "no"


class Hand(Protocol):
    """Whoever does what is asked."""

    async def do(self, request: str) -> None:
        """Return when it is done; raises RigError when it will not be."""


class Person:
    """Asks on a terminal."""

    def __init__(self, terminal: Path = TERMINAL) -> None:
        self._terminal = terminal

    async def do(self, request: str) -> None:
        """Show the request and wait for Enter; raises RigError after "no", or where there is no terminal."""
        answer = await asyncio.to_thread(self._ask, f"\n>>> {request}, then press Enter (or type {REFUSAL}): ")
        if answer.strip().lower() == REFUSAL:
            raise RigError(f"the person at the bench could not: {request}")

    def _ask(self, text: str) -> str:
        try:
            descriptor = os.open(self._terminal, os.O_RDWR | os.O_NOCTTY)
        except OSError as error:
            raise RigError(
                f"nobody can be asked here ({self._terminal}: {error.strerror}): run this bench from a terminal"
            ) from error
        with os.fdopen(descriptor, "r+b", buffering=0) as terminal:
            terminal.write(text.encode())
            answer = terminal.readline()
        if not answer:
            raise RigError(f"the terminal was closed before this was done: {text.strip()}")
        return answer.decode("utf-8", "replace")
