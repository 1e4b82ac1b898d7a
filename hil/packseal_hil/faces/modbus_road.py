"""Road: simulated batteries on a Modbus line, as a gateway reads them."""

import asyncio
import contextlib
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Literal, Self

from packseal_hil.faces.modbus_line import ModbusLine
from packseal_hil.faces.modbus_units import Server, Unit
from packseal_hil.rig.protocols import Device, LineFault, LivingBattery, Network, Reaching, Speaker

FIRST = 1
"""The unit id of the battery itself; others have the next ones."""
BAUD = 9600
TICK_S = 0.1

Transport = Literal["tcp", "rtu", "rtu_over_tcp"]


class ModbusRoad:
    """One line from a gateway to Modbus devices of this machine. Like a Radio; its faults are those of the bytes.

    Args:
        transport: Modbus/TCP, a serial line, or its frames over TCP. A serial line is a pseudo-terminal of this
            machine: a gateway that is another one reads the frames over TCP instead.
        device: the gateway's machine.
        network: by which it reaches this one.
        seed: of the noise.
    """

    def __init__(self, transport: Transport, device: Device, network: Network, seed: int) -> None:
        self._transport = transport
        self._device = device
        self._network = network
        self.line = ModbusLine(rtu=transport != "tcp", seed=seed)

    async def on(self) -> Mapping[str, str | int]:
        """Lay the line; return the agent's [battery.link] table for the first unit. Raises RigError."""
        await self.line.open()
        link: dict[str, str | int] = {"kind": "modbus", "transport": self._transport, "unit": FIRST}
        if self._transport == "rtu":
            if not (await self._device.run(f"test -e {shlex.quote(str(self.line.device))}")).code:
                return link | {"device": str(self.line.device), "baud": BAUD}
            link["transport"] = "rtu_over_tcp"
        if isinstance(self._network, Reaching):
            await self._network.reach(self.line.port)
        return link | {"host": self._network.host, "port": self.line.port}

    def batteries(self, profile: str, batteries: Sequence[LivingBattery], double: LivingBattery) -> Speaker:
        """Return these batteries as the units 1, 2, 3 … of the line.

        Args:
            profile: of all of them.
            batteries: the first one is the scenario's.
            double: which says the same unit id as the first one does, while the line is in the state `clash`.

        Raises:
            RigError: the profile is of another road.
        """
        return ModbusBatteries(self.line, profile, batteries, double)

    async def fault(self, fault: LineFault) -> None:
        """Put the line into this state; raises RigError."""
        await self.line.set(fault)

    async def close(self) -> None:
        """Leave nothing."""
        await self.line.close()


class ModbusBatteries:
    """The devices on a line, in real time; runs within `async with`. A `Speaker`."""

    def __init__(
        self, line: ModbusLine, profile: str, batteries: Sequence[LivingBattery], double: LivingBattery
    ) -> None:
        self._line = line
        self._living = [*batteries, double]
        self._units = [Unit(FIRST + number, profile, battery) for number, battery in enumerate(batteries)]
        self._double = Unit(FIRST, profile, double)
        self._stack = AsyncExitStack()
        self._task: asyncio.Task[None] | None = None

    @property
    def mute(self) -> bool:
        """Whether it is switched off: it lives on, and does not answer."""
        return self._line.mute

    @mute.setter
    def mute(self, mute: bool) -> None:
        self._line.mute = mute

    @property
    def frames(self) -> int:
        """Answers that the devices have given."""
        return self._line.answers

    @property
    def requests(self) -> int:
        """How often the scenario's battery was asked."""
        return self._units[0].requests

    async def __aenter__(self) -> Self:
        servers = [Server(units, rtu=self._line.rtu) for units in (self._units, [self._double])]
        for server in servers:
            await self._stack.enter_async_context(server)
        self._line.ports = tuple(server.port for server in servers)
        self._task = asyncio.create_task(self._live())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._stack.aclose()

    async def _live(self) -> None:
        last_s = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            for battery in self._living:
                battery.advance(now_s - last_s)
            last_s = now_s
