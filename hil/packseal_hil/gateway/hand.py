"""The bench's end of the hand: commands and files for the guest. The protocol is told in guest/hand.py."""

import asyncio
import base64
import contextlib
import itertools
import json
from typing import Any

from packseal_hil.rig.protocols import Done, RigError

LINE_BYTES = 256 << 20  # the largest file that goes through, and a third more for base64
GRACE_S = 60.0  # beyond a command's own time, for a machine under load


class Hand:
    """One line to a guest. Several commands may be under way at once."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._is_there = asyncio.Event()
        self._listener = asyncio.create_task(self._listen())

    async def greet(self, timeout_s: float) -> None:
        """Wait until the guest's end is there; raises RigError when it is not in time, or the line is closed."""
        there = asyncio.create_task(self._is_there.wait())
        done, _ = await asyncio.wait({there, self._listener}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if there not in done:
            there.cancel()
            raise RigError(
                "the guest ended while it booted" if done else f"the guest did not boot in {timeout_s:.0f} s"
            )

    async def run(self, command: str, *, timeout_s: float = 60) -> Done:
        """Run a shell command to its end; raises RigError when it takes longer or the guest does not answer."""
        said = await self._ask(timeout_s + GRACE_S, do="run", command=command, timeout_s=timeout_s)
        return Done(said["code"], base64.b64decode(said["output"]).decode(errors="replace"))

    async def start(self, command: str, log: str) -> int:
        """Start a shell command that goes on by itself, its output appended to `log`; return its process id."""
        pid: int = (await self._ask(GRACE_S, do="start", command=command, log=log))["pid"]
        return pid

    async def put(self, path: str, content: bytes, *, mode: int = 0o600) -> None:
        """Write a file; raises RigError."""
        await self._ask(GRACE_S, do="put", path=path, content=base64.b64encode(content).decode(), mode=mode)

    async def get(self, path: str) -> bytes:
        """Read a file; raises RigError."""
        return base64.b64decode((await self._ask(GRACE_S, do="get", path=path))["content"])

    async def _ask(self, within_s: float, **request: object) -> dict[str, Any]:
        if self._listener.done():
            raise RigError("the guest is not running")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(json.dumps({"id": number, **request}).encode() + b"\n")
            await self._writer.drain()
            said: dict[str, Any] = await asyncio.wait_for(answer, within_s)
        except TimeoutError as error:
            raise RigError(f"the guest does not answer after {within_s:.0f} s: {_brief(request)}") from error
        except OSError as error:
            raise RigError("the guest has ended") from error
        finally:
            del self._waiting[number]
        if "error" in said:
            raise RigError(f"{_brief(request)}: {said['error']}")
        return said

    async def _listen(self) -> None:
        """Hand out the answers, until the line closes; then whoever still waits is told so."""
        with contextlib.suppress(OSError):
            while line := await self._reader.readline():
                self._take(line)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(RigError("the guest ended while it was asked"))

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            return  # a line that was cut when the guest's end was started again
        if "hand" in said:
            self._is_there.set()
        answer = self._waiting.get(said.get("id"))
        if answer is not None and not answer.done():
            answer.set_result(said)

    async def close(self) -> None:
        """Hang up."""
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


def _brief(request: dict[str, object]) -> str:
    what = str(request.get("command", request.get("path", "")))
    return f"{request['do']} {what if len(what) < 100 else what[:100] + '…'}"  # noqa: PLR2004 - fits a line
