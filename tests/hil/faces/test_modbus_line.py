"""The line between a gateway and Modbus devices: each fault is what it says, and the line is whole again afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymodbus.framer.rtu import FramerRTU
from tests.hil.faces.packs import SlowPack

from packseal_hil.faces.modbus_line import ModbusLine
from packseal_hil.faces.modbus_road import ModbusBatteries
from packseal_hil.faces.modbus_units import LOOPBACK
from packseal_hil.rig.protocols import LineFault

PROFILE = "pace/rs485"
SOC_AT = 2
QUIET_S = 1.0
"""After that nobody answers any more: four times as long as a loaded machine needs."""
OURS, THEIRS, SECOND = 50, 20, 80


def framed(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def asked(unit: int) -> bytes:
    return framed(bytes((unit, 3, 0, SOC_AT, 0, 1)))


def answer(unit: int, soc_pct: int) -> bytes:
    return framed(bytes((unit, 3, 2, 0, soc_pct)))


class Near:
    """The gateway's end."""

    def __init__(self, line: ModbusLine) -> None:
        self.line = line

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(LOOPBACK, self.line.port)

    async def ask(self, unit: int = 1, quiet_s: float = QUIET_S) -> bytes:
        """Return all that comes within a while."""
        self._writer.write(asked(unit))
        heard = b""
        try:
            async with asyncio.timeout(quiet_s):
                while more := await self._reader.read(100):
                    heard += more
        except (TimeoutError, ConnectionError):
            pass
        return heard

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def laid() -> AsyncIterator[Near]:
    line = ModbusLine(rtu=True, seed=1)
    await line.open()
    packs = [SlowPack(16), SlowPack(16, SECOND - OURS)]
    near = Near(line)
    try:
        async with ModbusBatteries(line, PROFILE, packs, SlowPack(16, THEIRS - OURS)):
            await near.connect()
            yield near
            near.close()
    finally:
        await line.close()
    assert not line.device.exists()


async def clash(near: Near) -> None:
    assert {await near.ask() for _ in range(4)} <= {
        answer(1, OURS) + answer(1, THEIRS),
        answer(1, THEIRS) + answer(1, OURS),
    }


async def stranger(near: Near) -> None:
    assert await near.ask() == answer(2, OURS)


async def dead_unit(near: Near) -> None:
    assert await near.ask(2) == b""
    assert await near.ask(1) == answer(1, OURS)


async def noise(near: Near) -> None:
    for _ in range(400):
        if await near.ask(quiet_s=0.05) != answer(1, OURS) and near.line.spoiled:
            break
    else:
        raise AssertionError("400 answers without noise")
    await asyncio.sleep(QUIET_S)  # what still comes is of that time


async def dies(near: Near) -> None:
    heard = await near.ask()
    assert heard
    assert answer(1, OURS).startswith(heard)
    assert heard != answer(1, OURS)
    with pytest.raises(ConnectionError):
        await near.connect()


FAULTS: dict[LineFault, Callable[[Near], Coroutine[Any, Any, None]]] = {
    LineFault.CLASH: clash,
    LineFault.STRANGER: stranger,
    LineFault.DEAD_UNIT: dead_unit,
    LineFault.NOISE: noise,
    LineFault.DIES: dies,
}


@pytest.mark.parametrize("fault", list(LineFault)[1:], ids=str)
def test_a_fault_is_what_it_says_and_can_be_mended(fault: LineFault) -> None:
    async def body() -> None:
        async with laid() as near:
            assert await near.ask(1) == answer(1, OURS)
            assert await near.ask(2) == answer(2, SECOND)
            await near.line.set(fault)
            await FAULTS[fault](near)
            await near.line.set(LineFault.NONE)
            near.close()
            await near.connect()
            assert await near.ask(1) == answer(1, OURS)
            assert await near.ask(2) == answer(2, SECOND)

    asyncio.run(asyncio.wait_for(body(), 60))
