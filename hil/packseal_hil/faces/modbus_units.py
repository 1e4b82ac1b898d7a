"""Units: Modbus devices that hold what simulated batteries say, answered for by pymodbus' own server."""

import asyncio
from typing import Any, Self

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from packseal_hil.faces.modbus_registers import HOLDING, INPUT, RegisterFace, Words
from packseal_hil.rig.protocols import LivingBattery

LOOPBACK = "127.0.0.1"
NOTHING = 0
"""What stands in a register between those that the device has."""


class Unit:
    """One device: its number, its registers and who fills them.

    Args:
        number: unit id.
        profile: VENDOR/MODEL, or a path that ends in .toml, of one that is read over Modbus.
        battery: which says what the registers hold.

    Raises:
        RigError: the profile is of another road.
        ConfigError: there is no such profile.
    """

    def __init__(self, number: int, profile: str, battery: LivingBattery) -> None:
        self.number = number
        self.requests = 0
        self._battery = battery
        self._face = RegisterFace(profile, battery.said())
        self._own = {at for cell in self._face.cells for at in _addresses(cell.at, cell.line.words)}
        held = self._own | set(self._face.fixed) | set(self._face.exponents)
        self._spans = {f: [a for g, a in held if g == f] or [NOTHING] for f in (HOLDING, INPUT)}

    @property
    def words(self) -> Words:
        """What the registers hold now."""
        return self._face.words(self._battery.said())

    def simulated(self) -> SimDevice:
        """Return it as a device of pymodbus' server, whose registers are filled anew whenever they are read."""
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        holding, inputs = ([_block(self._spans[function])] for function in (HOLDING, INPUT))
        return SimDevice(id=self.number, simdata=(bits, list(bits), holding, inputs), action=self._read)

    async def _read(
        self, function: int, start: int, address: int, count: int, registers: list[int], values: Any
    ) -> ExcCodes | None:
        """Fill what is asked for; decline what is written, and what the device does not have."""
        self.requests += 1
        if values is not None or function not in (HOLDING, INPUT):
            return ExcCodes.ILLEGAL_FUNCTION
        words = self.words
        for at in range(address, address + count):
            if (function, at) in self._own and (function, at) not in words:
                return ExcCodes.ILLEGAL_ADDRESS
            registers[at - start] = words.get((function, at), NOTHING)
        return None


class Server:
    """Units behind one port of this machine's loopback; runs within `async with`.

    Args:
        units: with numbers of their own.
        rtu: whether frames are those of a serial line.
    """

    def __init__(self, units: list[Unit], *, rtu: bool) -> None:
        self._numbers = {unit.number for unit in units}
        self._at = 0 if rtu else 6  # of the unit id in a frame: behind the MBAP header's transaction, protocol, length
        self._server: Any = ModbusTcpServer(  # pymodbus types only a part of it
            [unit.simulated() for unit in units],
            framer=FramerType.RTU if rtu else FramerType.SOCKET,
            address=(LOOPBACK, 0),
            trace_packet=self._packet,
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.transport.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        await self._server.serve_forever(background=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.shutdown()
        await asyncio.sleep(0)

    def _packet(self, sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        """Keep back what the server says in the name of a unit that is not there: on a line nobody answers."""
        return b"" if sending and data[self._at] not in self._numbers else data


def _block(addresses: list[int]) -> SimData:
    first = min(addresses)
    return SimData(first, values=[NOTHING] * (max(addresses) - first + 1), datatype=DataType.REGISTERS)


def _addresses(at: tuple[int, int], words: int) -> list[tuple[int, int]]:
    return [(at[0], at[1] + number) for number in range(words)]
