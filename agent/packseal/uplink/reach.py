"""Reach: find the moment at which a silent network carries packets again, sooner than TCP's own back-off would.

While packets vanish, the kernel repeats an unanswered SYN after 1, 3, 7, 15, 31 s (RFC 6298 §2), so a single attempt
can sleep through half a minute of a working link. Fresh attempts at a steady pace cannot.
"""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from packseal.core.errors import UplinkError

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
MAX_ADDRESSES = 4  # of one name, tried side by side


@dataclass(frozen=True, slots=True)
class Pace:
    """How attempts follow each other."""

    every_s: float = 0.75
    attempt_s: float = 10.0  # a slow network may take this long to answer one attempt
    give_up_s: float = 10.0  # then `connect` says so; the caller simply calls it again
    resolve_s: float = 5.0
    learn_s: float = 0.1
    unacknowledged_s: float = 2.5  # a connection whose data nobody acknowledges for so long is closed by the kernel


class Reach:
    """Connects to one host and port, again and again.

    It remembers the addresses that worked: name servers are just as silent while the link is down.
    """

    def __init__(self, host: str, port: int, pace: Pace | None = None) -> None:
        self._host = host
        self._port = port
        self._pace = pace or Pace()
        self._known: Sequence[Address] = ()

    @property
    def socket_options(self) -> list[tuple[int, int, int]]:
        """What every connection to this host should have set."""
        return [
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            # The kernel also moves its last retransmission up to this time (tcp(7), TCP_USER_TIMEOUT).
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._pace.unacknowledged_s * 1000)),
        ]

    async def connect(self) -> socket.socket:
        """Return a connected, non-blocking socket, the caller's to close.

        Raises:
            UplinkError: the name is unknown, every address refuses, or nobody answered within `give_up_s`.
        """
        async with contextlib.AsyncExitStack() as stack:
            resolving = asyncio.create_task(self._resolve(), name="resolve")
            stack.push_async_callback(_drop, [resolving])
            if not self._known:
                self._known = await resolving
            attempts: list[asyncio.Task[socket.socket]] = []
            stack.push_async_callback(_drop, attempts)
            try:
                connected = await self._first(attempts)
            finally:
                await self._learn(resolving)
            for name, option, value in self.socket_options:
                connected.setsockopt(name, option, value)
            return connected

    async def _first(self, attempts: list[asyncio.Task[socket.socket]]) -> socket.socket:
        """Start attempts at the pace, add them to `attempts`, and return what the first to succeed made."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._pace.give_up_s
        while loop.time() < give_up:
            wave = [asyncio.create_task(self._attempt(a), name="reach") for a in self._known]
            attempts += wave
            next_wave = min(give_up, loop.time() + self._pace.every_s)
            while (left := next_wave - loop.time()) > 0:
                pending = [a for a in attempts if not a.done()]
                if all(a.done() for a in wave):
                    break
                await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                for attempt in attempts:
                    if attempt.done() and attempt.exception() is None:
                        attempts.remove(attempt)
                        return attempt.result()
            self._raise_if_refused(wave)
        raise UplinkError(f"{self._host} port {self._port} does not answer")

    def _raise_if_refused(self, wave: Sequence[asyncio.Task[socket.socket]]) -> None:
        errors = [a.exception() for a in wave if a.done()]
        if len(errors) == len(wave) and isinstance(errors[0], OSError) and not isinstance(errors[0], TimeoutError):
            raise UplinkError(f"{self._host} port {self._port}: {errors[0].strerror}") from errors[0]

    async def _attempt(self, address: Address) -> socket.socket:
        family, place = address
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            async with asyncio.timeout(self._pace.attempt_s):
                await asyncio.get_running_loop().sock_connect(made, place)
        except (OSError, TimeoutError, asyncio.CancelledError):
            made.close()
            raise
        return made

    async def _learn(self, resolving: asyncio.Task[Sequence[Address]]) -> None:
        # After a refusal the host may have moved: a name server that is there gets a moment to say so.
        await asyncio.wait([resolving], timeout=self._pace.learn_s)
        if resolving.done() and resolving.exception() is None:
            self._known = resolving.result()

    async def _resolve(self) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._pace.resolve_s):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise UplinkError(f"no name server answers for {self._host}") from error
        except OSError as error:
            raise UplinkError(f"the name {self._host} cannot be resolved: {error.strerror}") from error
        return [(socket.AddressFamily(family), place) for family, _, _, _, place in found[:MAX_ADDRESSES]]


async def _drop(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, socket.socket):  # it came second
            result.close()
