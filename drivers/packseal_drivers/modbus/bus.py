"""Bus: one Modbus connection, shared by all the batteries behind it. One request at a time, in the order of asking.

Whoever waits for the bus waits in a queue, so every battery gets its turn after at most one request of each other one;
one that does not answer costs the others its time-out, and how often it may do so is its driver's back-off.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from packseal.core.errors import LinkError
from packseal_drivers.guard import RefusedRequest
from packseal_drivers.modbus.allowlist import ENCAPSULATED
from packseal_drivers.modbus.guard import ModbusGuard, PermittedRead
from packseal_drivers.settings import Modbus

if TYPE_CHECKING:
    from pymodbus.client.base import ModbusBaseClient
    from pymodbus.pdu import ModbusPDU

CONNECT_S = 5.0
RETRY_MIN_S, RETRY_MAX_S = 0.25, 5.0
"""A connection that cannot be made within CONNECT_S is tried again soon, then less and less often."""
DEAF_AFTER = 4
"""So many requests in a row without a single byte: a TCP connection may be half open, so it is made anew."""
CHARACTERS_QUIET, FASTEST_QUIET_S = 3.5, 0.00175
"""MODBUS over Serial Line V1.02 §2.5.1.1: between two frames; above 19200 bit/s a fixed time."""
BITS_PER_CHARACTER = 11  # start, 8 of data, parity or a second stop, stop: V1.02 §2.5.1
EXCEPTION_FLAG = 0x80  # of a function code: MODBUS Application Protocol V1.1b3 §7
SECOND_S = 0.01
"""How long a second answer is waited for: two devices with one unit id begin to answer at about the same time."""
Fault = Literal["unanswered", "cut", "unexpected", "short", "doubled"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one request: registers or bits, a device's identification, an exception's code, or a fault.

    `foreign` counts whole frames besides: of another unit, of another function, or too late. The fault `doubled` is a
    second answer, to this question or to the unit's one before: neither can be believed.
    """

    words: tuple[int, ...] | None = None
    objects: Mapping[int, bytes] = field(default_factory=dict)
    code: int | None = None
    fault: Fault | None = None
    foreign: int = 0


class ModbusBus:
    """One connection. `generation` counts how often it was opened."""

    def __init__(self, settings: Modbus, directory: Path) -> None:
        self.settings = settings
        self._directory = directory
        self._users = 0
        self._turn = asyncio.Lock()
        self._client: ModbusBaseClient | None = None
        self._asked: tuple[ModbusGuard, PermittedRead] | None = None
        self._free_s = 0.0
        self._retry_s = 0.0
        self._pause_s = RETRY_MIN_S
        self._why = ""
        self._deaf = 0
        self._answered: int | None = None
        self._followed: set[int] = set()
        self.generation = 0
        self.refused = 0

    def join(self) -> None:
        """Note one more user; the last one that leaves closes the connection."""
        if not self._users:
            self._turn = asyncio.Lock()  # of this event loop
            self._retry_s, self._pause_s = 0.0, RETRY_MIN_S
        self._users += 1

    def leave(self) -> None:
        """Note one user less."""
        self._users -= 1
        if not self._users:
            self._close()

    async def connect(self) -> int:
        """Open the connection where it is not; return its generation.

        Raises:
            LinkError: it cannot be opened, or could not a moment ago.
        """
        async with self._turn:
            await self._connected()
            return self.generation

    async def ask(
        self, guard: ModbusGuard, permitted: PermittedRead, timeout_s: float, pause_s: float = 0.0
    ) -> Outcome:
        """Send a request when its turn has come, and wait for its answer.

        Args:
            guard: which has permitted it.
            permitted: the request.
            timeout_s: how long the answer is waited for, from the sending on.
            pause_s: how long the bus is left alone after it.

        Raises:
            RefusedRequest: the guard has not permitted it.
            LinkError: the connection is gone.
        """
        unit, pdu = guard.check(permitted)
        async with self._turn:
            client = await self._connected()
            await asyncio.sleep(max(0.0, self._free_s - time.monotonic()))
            doubled = self.followed(unit)
            self._asked = guard, permitted
            self._heard.begin()
            try:
                outcome = await self._exchange(client, unit, pdu, timeout_s)
                outcome = await self._alone(client, unit, outcome, doubled=doubled)
            finally:
                self._asked = None
                self._free_s = time.monotonic() + max(pause_s, self._quiet_s)
            self._watch(outcome)
            return outcome

    async def _alone(self, client: "ModbusBaseClient", unit: int, outcome: Outcome, *, doubled: bool) -> Outcome:
        """Wait for a second answer on a serial line; where there was one, no answer is to be believed."""
        self._answered = None
        if not self.settings.is_rtu or outcome.words is None:
            return outcome
        await asyncio.sleep(max(SECOND_S, self._quiet_s))
        if doubled or self._hears_second(client, unit):
            return Outcome(fault="doubled", foreign=outcome.foreign)
        self._answered = unit
        return outcome

    def followed(self, unit: int) -> bool:
        """Whether the unit's newest answer was followed by another one since; each one is told once."""
        if self._client is not None and self._answered is not None and self._hears_second(self._client, self._answered):
            self._followed.add(self._answered)
            self._answered = None
        found = unit in self._followed
        self._followed.discard(unit)
        return found

    def _hears_second(self, client: "ModbusBaseClient", unit: int) -> bool:
        """Whether the unit's answer to the last question is followed by another one, whole or begun."""
        return sum(u == unit for u, _ in self._heard.frames) > 1 or client.ctx.recv_buffer[:1] == bytes((unit,))

    async def _exchange(self, client: "ModbusBaseClient", unit: int, pdu: bytes, timeout_s: float) -> Outcome:
        from pymodbus.exceptions import ModbusException  # noqa: PLC0415 - only where there is such a battery

        try:
            async with asyncio.timeout(timeout_s):
                response: ModbusPDU = await client.execute(no_response_expected=False, request=_request(unit, pdu))
        except TimeoutError:
            response_or_none = None
        except ModbusException:  # of pymodbus itself, such as a connection that is gone
            response_or_none = None
        else:
            response_or_none = response
        if not client.connected:
            self._close()
            raise LinkError(f"{self.settings.where} has closed the connection")
        if response_or_none is None:
            return self._fault(client)
        return _outcome(response_or_none, unit, pdu, len(self._heard.frames) - 1)

    def _fault(self, client: "ModbusBaseClient") -> Outcome:
        foreign = len(self._heard.frames)
        if self._heard.broken or client.ctx.recv_buffer:
            return Outcome(fault="cut", foreign=foreign)
        return Outcome(fault="unanswered", foreign=foreign)

    def _watch(self, outcome: Outcome) -> None:
        """Make a connection anew on which nothing at all is heard any more."""
        self._deaf = self._deaf + 1 if outcome.fault == "unanswered" and not outcome.foreign else 0
        if self._deaf >= DEAF_AFTER and self.settings.transport != "rtu":
            self._close()

    async def _connected(self) -> "ModbusBaseClient":
        if self._client is not None and self._client.connected:
            return self._client
        self._close()
        if time.monotonic() < self._retry_s:
            raise LinkError(self._why)
        from packseal_drivers.modbus import wire  # noqa: PLC0415 - pymodbus, only where there is such a battery

        self._heard = wire.Heard()
        try:
            client = wire.make(self.settings, self._directory, CONNECT_S, self._heard, (self._packet, self._connection))
            await wire.connect(client, self.settings.where)
        except LinkError as error:
            self._why = str(error)
            self._retry_s = time.monotonic() + self._pause_s
            self._pause_s = min(RETRY_MAX_S, 2 * self._pause_s)
            raise
        self._client, self._deaf, self._pause_s = client, 0, RETRY_MIN_S
        self.generation += 1
        return client

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _packet(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        """Let nothing out but what is permitted; pymodbus calls it with every packet, just before it is written."""
        if sending:
            if self._asked is None:
                self.refused += 1
                raise RefusedRequest("not sent, because packseal only reads: a request that no guard has seen")
            guard, permitted = self._asked
            guard.check_frame(permitted, data, rtu=self.settings.is_rtu)
        return data

    def _connection(self, connected: bool) -> None:  # noqa: FBT001 - pymodbus calls it so
        """End the waiting for an answer that cannot come any more."""
        from pymodbus.exceptions import ConnectionException  # noqa: PLC0415 - as above

        if not connected and self._asked is not None and self._client is not None:
            future = self._client.ctx.response_future
            if not future.done():
                future.set_exception(ConnectionException("closed by the other side"))

    @property
    def _quiet_s(self) -> float:
        if not self.settings.is_rtu:
            return 0.0
        return max(FASTEST_QUIET_S, CHARACTERS_QUIET * BITS_PER_CHARACTER / self.settings.baud)


def _request(unit: int, pdu: bytes) -> "ModbusPDU":
    """Return pymodbus' form of a request; its bytes are compared with `pdu` before they leave."""
    from pymodbus.pdu import bit_message, mei_message, register_message  # noqa: PLC0415 - as above

    if pdu[0] == ENCAPSULATED:
        return mei_message.ReadDeviceInformationRequest(read_code=pdu[2], object_id=pdu[3], dev_id=unit)
    form = (
        bit_message.ReadCoilsRequest,
        bit_message.ReadDiscreteInputsRequest,
        register_message.ReadHoldingRegistersRequest,
        register_message.ReadInputRegistersRequest,
    )[pdu[0] - 1]
    return form(address=int.from_bytes(pdu[1:3], "big"), count=int.from_bytes(pdu[3:5], "big"), dev_id=unit)


def _outcome(response: "ModbusPDU", unit: int, pdu: bytes, foreign: int) -> Outcome:
    function = pdu[0]
    if response.dev_id != unit or response.function_code & ~EXCEPTION_FLAG != function:
        return Outcome(fault="unexpected", foreign=max(0, foreign) + 1)
    if response.function_code & EXCEPTION_FLAG:
        return Outcome(code=response.exception_code, foreign=max(0, foreign))
    if function == ENCAPSULATED:
        return Outcome(objects=_objects(response), foreign=max(0, foreign))
    count = int.from_bytes(pdu[3:5], "big")
    words: Any = response.registers if function > 2 else response.bits  # noqa: PLR2004 - functions of bits
    if len(words) < count or (function > 2 and len(words) != count):  # noqa: PLR2004 - likewise
        return Outcome(fault="short", foreign=max(0, foreign))
    return Outcome(words=tuple(int(word) for word in words[:count]), foreign=max(0, foreign))


def _objects(response: "ModbusPDU") -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for number, content in getattr(response, "information", {}).items():
        parts = content if isinstance(content, list) else [content]
        found[int(number)] = b" ".join(p if isinstance(p, bytes) else str(p).encode() for p in parts)
    return found
