"""An uplink without a network: a function call, with the faults of a network on demand."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from packseal.core.errors import UplinkError


@dataclass(slots=True)
class Faults:
    """What goes wrong. The counts are of exchanges still to be spoilt, and count down."""

    refuse: bool = False  # connecting fails
    silent: bool = False  # requests vanish without a word until it is cleared
    lose_requests: int = 0
    lose_replies: int = 0
    duplicate_requests: int = 0
    delay_s: float = 0.0  # before each reply


class MemoryUplink:
    """Hands each request to `handler` and its answer back.

    Args:
        handler: the sink.
        faults: may be changed at any time.
        reply_timeout_s: how long a lost request or reply is waited for.
    """

    ordered = True
    notes = ()
    max_request_bytes = None

    def __init__(
        self, handler: Callable[[bytes], bytes], faults: Faults | None = None, reply_timeout_s: float = 0.05
    ) -> None:
        self._handler = handler
        self._reply_timeout_s = reply_timeout_s
        self.faults = faults or Faults()
        self.connections = 0

    async def __aenter__(self) -> Self:
        """Count the connection; raises UplinkError while `faults.refuse` is set."""
        if self.faults.refuse:
            raise UplinkError("the sink refuses the connection")
        self.connections += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held open."""

    async def exchange(self, request: bytes) -> bytes:
        """Call the handler, spoilt by the faults that are set."""
        faults = self.faults
        if faults.silent:
            await asyncio.Event().wait()
        if faults.lose_requests > 0:
            faults.lose_requests -= 1
            await self._time_out()
        reply = self._handler(request)
        if faults.duplicate_requests > 0:
            faults.duplicate_requests -= 1
            reply = self._handler(request)
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        if faults.lose_replies > 0:
            faults.lose_replies -= 1
            await self._time_out()
        return reply

    async def _time_out(self) -> None:
        await asyncio.sleep(self._reply_timeout_s)
        raise UplinkError("the sink did not answer in time")
