"""A driver at Modbus peers that do wrong: they decline, fall silent, die, flood; and the contract of every driver."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from pymodbus.constants import ExcCodes
from tests.drivers.modbus_devices import HOST, Device, placed, tcp_server
from tests.drivers.modbus_listening import HEAD, SOC, VOLTS, Listening, opened, run, write
from tests.drivers.modbus_peer import UNIT, Peer, good, tcp

from packseal.clock import SystemClock
from packseal.core.quantities import Channel
from packseal.core.sample import EventCode, LinkState
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Modbus
from packseal_drivers.testing.contract import DriverContract, Rig


def test_exceptions_and_time_outs_are_counted_and_the_rest_is_delivered(tmp_path: Path) -> None:
    async def body() -> None:
        far = Device(holding=placed(100, [5312, 64, 1, 2, 3]))
        far.decline = lambda _, address, count: ExcCodes.ILLEGAL_ADDRESS if address + count > 102 else None
        tables = (
            '[modbus]\nmax_gap = 8\n[[register]]\nquantity = "pack_voltage_v"\naddress = 100\nfactor = 0.01\n'
            '[[register]]\nquantity = "state_of_charge_pct"\naddress = 101\n'
            '[[register]]\nquantity = "cycles"\naddress = 104\n'
        )
        async with tcp_server(far) as port:
            driver = opened(tmp_path, write(tmp_path, tables), host=HOST, port=port)
            async with Listening(driver) as heard:
                await heard.until(lambda: len(heard.samples) > 3)
        expected = pytest.approx({Channel(VOLTS): 53.12, Channel(SOC): 64.0})
        assert all(sample.values == expected for sample in heard.samples)
        assert driver.counts.declined == {2: driver.counts.negative}
        assert driver.counts.negative < len(heard.samples) + 3, "what is not there is asked for less and less"
        assert driver.counts.state is LinkState.HEALTHY
        assert not heard.codes()

    run(body)


def test_a_unit_behind_a_gateway_that_is_not_there_is_silent_not_lost(tmp_path: Path) -> None:
    async def body() -> None:
        peer = Peer(lambda r: [tcp(r, bytes((r[6], r[7] | 0x80, 0x0B)))])
        await peer.open()
        driver = opened(tmp_path, write(tmp_path), host=HOST, port=peer.port, unit=UNIT)
        async with Listening(driver) as heard:
            await heard.until(lambda: EventCode.BUS_SILENT in heard.codes())
        peer.close()
        assert heard.codes() == [EventCode.BUS_SILENT]
        assert driver.counts.declined[0x0B] == driver.counts.negative > 0
        assert peer.requests <= 6

    run(body)


def test_a_peer_that_dies_in_the_middle_of_a_block_is_a_lost_link(tmp_path: Path) -> None:
    async def body() -> None:
        peer = Peer(lambda r: [tcp(r, bytes((r[6], 3, 6)) + bytes(6))[:10]])
        await peer.open()
        driver = opened(tmp_path, write(tmp_path), host=HOST, port=peer.port, unit=UNIT, timeout_s=30.0)
        async with Listening(driver) as heard:
            await heard.until(lambda: peer.requests > 0)
            await asyncio.sleep(0.05)
            peer.close()
            await heard.until(lambda: bool(heard.notices), 5)  # long before the time-out
        assert heard.codes() == [EventCode.LINK_LOST]

    run(body)


def test_memory_stays_where_it_is_whatever_comes(tmp_path: Path) -> None:
    """A peer that floods: nothing of it is kept."""

    async def body() -> None:
        chance = random.Random(1)
        peer = Peer(lambda r: [tcp(r, good(3, unit=8)) for _ in range(40)] + [chance.randbytes(5000)])
        await peer.open()
        driver: Any = opened(tmp_path, write(tmp_path), host=HOST, port=peer.port, unit=UNIT, timeout_s=0.2)
        async with Listening(driver) as heard:
            await heard.until(lambda: driver.counts.requests > 3)
            client = driver._bus._client
            assert len(client.ctx.recv_buffer) <= 264
            assert len(driver._bus._heard.frames) <= 64
        peer.close()
        assert driver.counts.unexpected > 0
        assert not heard.samples

    run(body)


class PeerRig:
    """A driver at a peer that this rig serves."""

    driver: Any

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._chance = random.Random(1)
        self._nonsense = False
        self._peer = Peer(self._answer)

    def _answer(self, request: bytes) -> list[bytes]:
        if self._nonsense and self._chance.random() < 0.8:
            return [self._chance.choice([self._chance.randbytes(20), tcp(request, bytes((9, 3, 2, 0, 0)))])]
        count = int.from_bytes(request[10:12], "big")
        return [tcp(request, bytes((request[6], request[7], 2 * count)) + b"\x0c\xe4" * count)]

    async def open(self) -> "PeerRig":
        await self._peer.open()
        settings = Modbus(host=HOST, port=self._peer.port, timeout_s=0.2)
        file = write(self._directory, head=HEAD.replace("silent_after_s = 0.5", "silent_after_s = 60"))
        self.driver = open_driver(settings, file, directory=self._directory, cache=None, clock=SystemClock())
        return self

    async def speak(self) -> None:
        """It speaks when it is asked."""
        self._nonsense = False

    async def babble(self) -> None:
        self._nonsense = True
        await asyncio.sleep(0.05)

    async def cut(self) -> None:
        self._peer.close()

    async def mend(self) -> None:
        await self._peer.open(port=self._peer.port)

    async def close(self) -> None:
        self._peer.close()


class TestModbus(DriverContract):
    async def rig(self, directory: Path) -> Rig:
        return await PeerRig(directory).open()
