"""QEMU's own control line (QMP): commands to the machine, not to the guest.

https://www.qemu.org/docs/master/interop/qmp-spec.html
"""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from packseal_hil.rig.protocols import RigError

LINE_BYTES = 1 << 20
ANSWER_S = 60.0


class Qmp:
    """One connection; `events` collects what QEMU says unasked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()
        self.events: list[dict[str, Any]] = []

    @classmethod
    async def connect(cls, path: Path) -> "Qmp":
        """Connect and agree on the capabilities; raises RigError or OSError."""
        reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES)
        qmp = cls(reader, writer)
        try:
            await qmp._agree()
        except RigError:
            await qmp.close()
            raise
        return qmp

    async def _agree(self) -> None:
        greeting = await self._next()
        if "QMP" not in greeting:
            raise RigError(f"QEMU's control line greets with {greeting}")
        await self.execute("qmp_capabilities")

    async def execute(self, command: str, **arguments: object) -> object:
        """Have QEMU carry out a command and return its answer; raises RigError."""
        request = {"execute": command, "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}}
        async with self._lock:
            self._writer.write(json.dumps(request).encode() + b"\n")
            while True:
                answer = await self._next()
                if "error" in answer:
                    raise RigError(f"QEMU does not carry out {command}: {answer['error'].get('desc')}")
                if "return" in answer:
                    return answer["return"]
                self.events.append(answer)

    async def _next(self) -> dict[str, Any]:
        try:
            line = await asyncio.wait_for(self._reader.readline(), ANSWER_S)
        except TimeoutError as error:
            raise RigError(f"QEMU does not answer on its control line within {ANSWER_S:.0f} s") from error
        except OSError as error:
            raise RigError("QEMU has ended: its control line is broken") from error
        if not line:
            raise RigError("QEMU has ended: its control line is closed")
        said: dict[str, Any] = json.loads(line)
        return said

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
