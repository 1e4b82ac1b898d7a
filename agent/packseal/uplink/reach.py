"""Reach: find the moment at which a silent network carries packets again, sooner than TCP's own back-off would.

While packets vanish, the kernel repeats an unanswered SYN after 1, 3, 7, 15, 31 s (RFC 6298 §2), so a single attempt
can sleep through half a minute of a working link. Fresh attempts at a steady pace cannot. All addresses of a host are
tried side by side: one family that leads nowhere costs nothing (RFC 8305 is gentler on servers that are many).
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from packseal.core.errors import UplinkError
from packseal.uplink.names import Address, Names

MAX_PROVEN = 2
CONGESTION = b"bbr"
"""How fast to send (tcp(7), TCP_CONGESTION): by what arrives. Others slow down with every packet that is lost.

With 30 % lost in each direction and 50 ms of round trip CUBIC carries 1.3 kB/s and BBR 59 kB/s. In Linux since 4.9
(https://queue.acm.org/detail.cfm?id=3022184).
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """How attempts follow each other."""

    every_s: float = 0.75
    attempt_s: float = 10.0  # a slow network may take this long to answer one attempt
    give_up_s: float = 10.0  # then `connect` says so; the caller simply calls it again
    resolve_s: float = 5.0
    learn_s: float = 0.1
    unacknowledged_s: float = 2.5  # a connection whose data nobody acknowledges for so long is closed by the kernel
    portal_s: float = 5.0  # between two tries while another answers: soon enough for whoever has just signed in


class Reach:
    """Connects to one host and port, again and again.

    It remembers the addresses that worked: name servers are just as silent while the link is down, and one that lies
    (a captive portal's) does not make it forget them.

    Args:
        host, port: where to.
        pace: how attempts follow each other.
        interface: the network interface to use, such as wwan0; None leaves it to the routing table.
        keepalive_s: idle seconds after which the kernel asks the other side whether it is still there; None never.
    """

    def __init__(
        self,
        host: str,
        port: int,
        pace: Pace | None = None,
        *,
        interface: str | None = None,
        keepalive_s: int | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._pace = pace or Pace()
        self._interface = interface
        self._keepalive_s = keepalive_s
        self._names = Names(host, port)
        self._told: Sequence[Address] = ()
        self._proven: list[Address] = []
        self._doubted: set[Address] = set()

    @property
    def socket_options(self) -> list[tuple[int, int, int]]:
        """What every connection to this host should have set."""
        options = [
            (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            # The kernel also moves its last retransmission up to this time (tcp(7), TCP_USER_TIMEOUT).
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._pace.unacknowledged_s * 1000)),
        ]
        if self._keepalive_s is not None:
            options += [
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
                (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self._keepalive_s),
                # TCP_USER_TIMEOUT replaces the count of probes (tcp(7)): the first one that stays unanswered is enough.
                (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, self._keepalive_s // 4)),
            ]
        return options

    def proven(self, place: object) -> None:
        """Note that the address `place` (as of getpeername) has shown that it is the host that was meant."""
        address = self._address(place)
        if address is not None:
            self._doubted.discard(address)
            self._proven = [address, *(a for a in self._proven if a != address)][:MAX_PROVEN]

    def doubt(self, place: object) -> None:
        """Note that someone else answers at the address `place`: others are tried before it."""
        address = self._address(place)
        if address is not None:
            self._doubted.add(address)
            self._proven = [a for a in self._proven if a != address]

    async def connect(self) -> socket.socket:
        """Return a connected, non-blocking socket, the caller's to close.

        Raises:
            UplinkError: the name is unknown, every address refuses, or nobody answered within `give_up_s`.
        """
        async with contextlib.AsyncExitStack() as stack:
            asking = asyncio.create_task(self._ask(), name="resolve")
            stack.push_async_callback(_drop, [asking])
            if not self._known():
                await asking
            attempts: list[asyncio.Task[socket.socket]] = []
            stack.push_async_callback(_drop, attempts)
            try:
                connected = await self._first(attempts, asking)
            finally:
                # After a success too, or a host that moved would be known by its old address for ever.
                await asyncio.wait([asking], timeout=self._pace.learn_s)
            for name, option, value in self.socket_options:
                connected.setsockopt(name, option, value)
            with contextlib.suppress(OSError):  # not every kernel has it, and not every service may choose it
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
            return connected

    def _known(self) -> list[Address]:
        """Return the addresses to try: what the name servers say, then what has worked; doubtful ones only alone."""
        known = [*self._told, *(a for a in self._proven if a not in self._told)]
        good = [a for a in known if a not in self._doubted]
        if not good:
            self._doubted.clear()
        return good or known

    def _address(self, place: object) -> Address | None:
        return next((a for a in (*self._told, *self._proven) if a[1] == place), None)

    async def _ask(self) -> None:
        self._told = await self._names.ask(self._pace.resolve_s)

    async def _first(self, attempts: list[asyncio.Task[socket.socket]], asking: asyncio.Task[None]) -> socket.socket:
        """Start attempts at the pace, add them to `attempts`, and return what the first to succeed made."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._pace.give_up_s
        while loop.time() < give_up:
            tried = self._known()
            wave = [asyncio.create_task(self._attempt(a), name="reach") for a in tried]
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
            if self._refused(wave):
                # The host may have moved: a name server that is there gets a moment to say so.
                await asyncio.wait([asking], timeout=self._pace.learn_s)
                if set(self._known()) <= set(tried):
                    raise self._refusal(wave)
        raise UplinkError(f"{self._host} port {self._port} does not answer{self._through()}")

    def _refused(self, wave: Sequence[asyncio.Task[socket.socket]]) -> bool:
        errors = [a.exception() for a in wave if a.done()]
        return len(errors) == len(wave) and not any(isinstance(e, TimeoutError) for e in errors)

    def _refusal(self, wave: Sequence[asyncio.Task[socket.socket]]) -> UplinkError:
        errors = [a.exception() for a in wave]
        # A family without a route says nothing of the host where another family's address did answer.
        told = [e for e in errors if isinstance(e, OSError) and e.errno not in (errno.ENETUNREACH, errno.EADDRNOTAVAIL)]
        error = (told or errors)[0]
        if isinstance(error, UplinkError):
            return error
        # asyncio puts the address in the place of the system's words.
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        return UplinkError(f"{self._host} port {self._port}: {why}{self._through()}")

    def _through(self) -> str:
        return "" if self._interface is None else f" through {self._interface}"

    async def _attempt(self, address: Address) -> socket.socket:
        family, place = address
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._bind(made)
            async with asyncio.timeout(self._pace.attempt_s):
                await asyncio.get_running_loop().sock_connect(made, place)
        except (OSError, TimeoutError, UplinkError, asyncio.CancelledError):
            made.close()
            raise
        return made

    def _bind(self, made: socket.socket) -> None:
        """Bind to the interface, which needs CAP_NET_RAW on a Linux before 5.7 (its commit c427bfec18f2)."""
        if self._interface is None:
            return
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode() + b"\0")
        except PermissionError as error:
            raise UplinkError(
                f"interface {self._interface} may not be chosen: needs Linux 5.7 or the capability CAP_NET_RAW"
            ) from error
        except OSError as error:
            raise UplinkError(f"interface {self._interface} is not there: {error.strerror}") from error


async def _drop(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, socket.socket):  # it came second
            result.close()
