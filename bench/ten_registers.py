"""Modbus units behind pymodbus' own server, their registers filled from the profile that reads them."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from packseal_drivers import profile

HOST = "127.0.0.1"
UNIT_BYTE = 6
"""MODBUS Messaging on TCP/IP V1.0b §3.1.3: where the unit stands in front of a request; of a serial frame, first."""
HOLDING = 3
TYPICAL = {
    "pack_voltage_v": 52.8,
    "pack_current_a": -12.5,
    "state_of_charge_pct": 64,
    "state_of_health_pct": 97,
    "remaining_charge_ah": 180,
    "full_charge_capacity_ah": 280,
    "cycles": 41,
    "cell_voltage_v": 3.3,
    "cell_voltage_max_v": 3.32,
    "cell_voltage_min_v": 3.29,
    "temperature_c": 22,
    "temperature_max_c": 24,
    "temperature_min_c": 21,
}


class Unit:
    """One unit. Every register moves by a digit or none at each read.

    Args:
        name: of the profile, with [[register]] tables of one register each.
        number: the unit's.
    """

    def __init__(self, name: str, number: int) -> None:
        self.profile, self.number = name, number
        self.delay_s = 0.0
        """Before it answers."""
        self.is_dead = False
        self._chance = random.Random(number)
        self._words: dict[str, dict[int, int]] = {"holding": {}, "input": {}}
        for line in profile.load(name).profile.register:
            raw = round((TYPICAL[line.quantity] - line.offset) / line.factor)
            for place in range(line.count):
                self._words[line.table][line.address + place * line.stride] = raw & 0xFFFF

    def simulated(self) -> SimDevice:
        """Return it as pymodbus has it."""
        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        tables = (_run(self._words["holding"]), _run(self._words["input"]))
        return SimDevice(id=self.number, simdata=(bits, list(bits), *tables), action=self._action)

    async def _action(
        self, function: int, start: int, address: int, count: int, registers: list[int], _values: object
    ) -> ExcCodes | None:
        await asyncio.sleep(self.delay_s)
        words = self._words["holding" if function == HOLDING else "input"]
        for place in range(address, address + count):
            registers[place - start] = (words.get(place, 0) + self._chance.choice((0, 0, 1))) & 0xFFFF
        return None


def _run(words: dict[int, int]) -> list[SimData]:
    first, last = min(words, default=0), max(words, default=0)
    values = [words.get(address, 0) for address in range(first, last + 1)]
    return [SimData(first, values=values, datatype=DataType.REGISTERS)]


@asynccontextmanager
async def served(units: Sequence[Unit], *, rtu: bool) -> AsyncIterator[int]:
    """Serve the units behind one connection; gives its port. Nobody answers for a dead one."""
    alive = {unit.number: unit for unit in units}

    def packet(sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus calls it so
        unit = alive.get(data[0 if rtu else UNIT_BYTE])
        return b"" if sending and (unit is None or unit.is_dead) else data

    server: Any = ModbusTcpServer(
        [unit.simulated() for unit in units],
        framer=FramerType.RTU if rtu else FramerType.SOCKET,
        address=(HOST, 0),
        trace_packet=packet,
    )
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()
