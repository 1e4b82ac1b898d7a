"""Modbus peers that do wrong: exceptions, other units or functions, short, broken and merged answers, any bytes."""

import asyncio
import random
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymodbus.constants import ExcCodes
from pymodbus.framer.rtu import FramerRTU
from tests.drivers.modbus_devices import HOST, Device, placed, tcp_server
from tests.drivers.test_modbus_roads import HEAD, SOC, VOLTS, Listening, opened, run, write
from tests.drivers.test_sunspec import bank

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, LinkCounts, LinkState
from packseal_drivers.modbus.bus import ModbusBus, Outcome
from packseal_drivers.modbus.guard import ModbusGuard
from packseal_drivers.profile import load
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import Modbus
from packseal_drivers.testing.contract import DriverContract, Rig

UNIT = 7
Answer = Callable[[bytes], list[bytes]]
"""From a whole request, with its header or checksum, to what is written, piece by piece."""


def rtu(body: bytes) -> bytes:
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


def tcp(request: bytes, body: bytes, *, transaction: int | None = None) -> bytes:
    number = int.from_bytes(request[:2], "big") if transaction is None else transaction
    return struct.pack(">HHH", number, 0, len(body)) + body


def good(count: int, unit: int = UNIT, function: int = 3) -> bytes:
    return bytes((unit, function, 2 * count)) + bytes(range(2 * count))


class Peer:
    """A TCP server that answers each request with whatever it is told to."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, *, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, HOST, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError):
            while request := await reader.read(300):
                self.requests += 1
                for piece in self.answer(request):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
        writer.close()

    def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()


async def asked(answer: Answer, *, is_rtu: bool = False, count: int = 2, times: int = 1) -> list[Outcome]:
    """Ask the peer; give what came of it."""
    peer = Peer(answer)
    await peer.open()
    transport = "rtu_over_tcp" if is_rtu else "tcp"
    bus = ModbusBus(Modbus(transport=transport, host=HOST, port=peer.port, unit=UNIT), Path())  # type: ignore[arg-type]
    bus.join()
    guard = ModbusGuard((UNIT,), serial=is_rtu, counts=LinkCounts())
    try:
        return [await bus.ask(guard, guard.permit_read(UNIT, 3, 16, count), 0.15) for _ in range(times)]
    finally:
        bus.leave()
        peer.close()


WRONG: dict[str, tuple[Answer, Outcome]] = {
    "right": (lambda r: [tcp(r, good(2))], Outcome(words=(1, 0x0203))),
    "right, byte by byte": (lambda r: [bytes((b,)) for b in tcp(r, good(2))], Outcome(words=(1, 0x0203))),
    "exception 2": (lambda r: [tcp(r, bytes((UNIT, 0x83, 2)))], Outcome(code=2)),
    "exception 11": (lambda r: [tcp(r, bytes((UNIT, 0x83, 0x0B)))], Outcome(code=0x0B)),
    "exception of another function": (
        lambda r: [tcp(r, bytes((UNIT, 0x84, 2)))], Outcome(fault="unexpected", foreign=1)),
    "nothing": (lambda _: [], Outcome(fault="unanswered")),
    "another unit": (lambda r: [tcp(r, good(2, unit=8))], Outcome(fault="unanswered", foreign=1)),
    "another unit, then the right one": (
        lambda r: [tcp(r, good(2, unit=8)), tcp(r, good(2))], Outcome(words=(1, 0x0203), foreign=1)),
    "another function": (lambda r: [tcp(r, good(2, function=4))], Outcome(fault="unexpected", foreign=1)),
    "an earlier transaction": (
        lambda r: [tcp(r, good(2), transaction=0x7777)], Outcome(fault="unanswered", foreign=1)),
    "too few registers": (lambda r: [tcp(r, good(1))], Outcome(fault="short")),
    "too many registers": (lambda r: [tcp(r, good(3))], Outcome(fault="short")),
    "half an answer": (lambda r: [tcp(r, good(2))[:9]], Outcome(fault="cut")),
    "a byte count that lies": (lambda r: [tcp(r, bytes((UNIT, 3, 40, 0, 1)))], Outcome(fault="cut", foreign=1)),
    "a function that nobody knows": (lambda r: [tcp(r, bytes((UNIT, 0x55, 1)))], Outcome(fault="cut", foreign=1)),
    "another protocol": (lambda r: [r[:2] + b"\x00\x09" + tcp(r, good(2))[4:]], Outcome(fault="cut")),
    "the answer twice in one packet": (lambda r: [2 * tcp(r, good(2))], Outcome(words=(1, 0x0203))),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_over_tcp_is_taken_or_counted(name: str) -> None:
    answer, expected = WRONG[name]
    assert asyncio.run(asked(answer)) == [expected]


WRONG_RTU: dict[str, tuple[Answer, Outcome]] = {
    "right": (lambda _: [rtu(good(2))], Outcome(words=(1, 0x0203))),
    "right, in two pieces": (lambda _: [rtu(good(2))[:4], rtu(good(2))[4:]], Outcome(words=(1, 0x0203))),
    "noise before it": (lambda _: [b"\x00\xff", rtu(good(2))], Outcome(fault="cut")),
    "a broken checksum": (lambda _: [rtu(good(2))[:-1] + b"\x00"], Outcome(fault="cut")),
    "half an answer": (lambda _: [rtu(good(2))[:5]], Outcome(fault="cut")),
    "another unit": (lambda _: [rtu(good(2, unit=8))], Outcome(fault="unanswered", foreign=1)),
    "another function": (lambda _: [rtu(good(2, function=4))], Outcome(fault="unexpected", foreign=1)),
    "exception 6": (lambda _: [rtu(bytes((UNIT, 0x83, 6)))], Outcome(code=6)),
    "too few registers": (lambda _: [rtu(good(1))], Outcome(fault="short")),
    "nothing": (lambda _: [], Outcome(fault="unanswered")),
}


@pytest.mark.parametrize("name", WRONG_RTU)
def test_an_answer_over_rtu_is_taken_or_counted(name: str) -> None:
    answer, expected = WRONG_RTU[name]
    assert asyncio.run(asked(answer, is_rtu=True)) == [expected]


def test_after_nonsense_the_next_answer_is_taken() -> None:
    replies = [b"\x01\x02\x03", b"", bytes(300)]

    def answer(request: bytes) -> list[bytes]:
        return [replies.pop(0)] if replies else [tcp(request, good(2))]

    outcomes = asyncio.run(asked(answer, times=4))
    assert [o.words for o in outcomes] == [None, None, None, (1, 0x0203)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    is_rtu=st.booleans(),
    pieces=st.lists(
        st.one_of(st.binary(min_size=1, max_size=300), st.builds(good, st.integers(0, 120), st.sampled_from([7, 8]))),
        max_size=4,
    ),
    wrap=st.booleans(),
)
def test_whatever_a_peer_says_it_is_an_outcome_in_time(*, is_rtu: bool, pieces: list[bytes], wrap: bool) -> None:
    def answer(request: bytes) -> list[bytes]:
        if not wrap:
            return pieces
        return [rtu(piece) if is_rtu else tcp(request, piece) for piece in pieces]

    (outcome,) = asyncio.run(asyncio.wait_for(asked(answer, is_rtu=is_rtu), 10))
    told = (outcome.words is not None, outcome.code is not None, outcome.fault is not None)
    assert sum(told) == 1
    assert outcome.words is None or len(outcome.words) == 2


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


def test_a_connection_on_which_nothing_is_heard_is_made_anew(tmp_path: Path) -> None:
    async def body() -> None:
        peer = Peer(lambda _: [])
        await peer.open()
        bus = ModbusBus(Modbus(host=HOST, port=peer.port, unit=UNIT), tmp_path)
        bus.join()
        guard = ModbusGuard((UNIT,), serial=False, counts=LinkCounts())
        for _ in range(5):
            await bus.ask(guard, guard.permit_read(UNIT, 3, 0, 1), 0.02)
        assert bus.generation == 2
        bus.leave()
        peer.close()

    run(body)


def test_sunspec_over_the_wire(tmp_path: Path) -> None:
    async def body() -> None:
        far = Device(holding=bank())
        async with tcp_server(far) as port:
            file = load("sunspec/bank")
            driver = open_driver(
                Modbus(host=HOST, port=port),
                file, directory=tmp_path, cache=None, clock=SystemClock(), period_s=0.1,
            )  # fmt: skip
            async with Listening(driver) as heard:
                await heard.until(lambda: len(heard.samples) > 4)
        assert heard.samples[0].values[Channel(Quantity.PACK_CURRENT_A)] == pytest.approx(12.3)
        assert heard.samples[0].values[Channel(Quantity.CELL_VOLTAGE_V, 4)] == pytest.approx(3.321)
        polled = [read for read in set(far.asked) if far.asked.count(read) > 1]
        assert len(polled) == 4, "all the models of this bank come with four requests"
        assert max(count for _, _, count in far.asked) <= 120

    run(body)


def test_sunspec_that_lies_is_counted_and_what_it_has_is_delivered(tmp_path: Path) -> None:
    async def body() -> None:
        words = bank()
        at = next(a for a in sorted(words) if words[a] == 803) + 2
        words[at] = 900  # strings, of which it has room for two
        del words[max(words)], words[max(words)]  # and the chain has no end mark
        async with tcp_server(Device(holding=words)) as port:
            driver: Any = open_driver(
                Modbus(host=HOST, port=port),
                load("sunspec/bank"), directory=tmp_path, cache=None, clock=SystemClock(), period_s=0.1,
            )  # fmt: skip
            async with Listening(driver) as heard:
                await heard.until(lambda: bool(heard.samples))
        assert "the chain of models breaks off" in driver.trouble
        assert driver.counts.cut == 2
        assert Channel(Quantity.TEMPERATURE_C, 1) in heard.samples[0].values
        assert Channel(Quantity.TEMPERATURE_C, 2) not in heard.samples[0].values

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
