"""Every reply to a Modbus request is taken or counted: exceptions, other units, broken and merged ones, any bytes."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.drivers.modbus_devices import HOST
from tests.drivers.modbus_listening import run
from tests.drivers.modbus_peer import UNIT, Answer, Peer, good, rtu, tcp

from packseal.core.sample import LinkCounts
from packseal_drivers.modbus.bus import ModbusBus, Outcome
from packseal_drivers.modbus.guard import ModbusGuard
from packseal_drivers.settings import Modbus


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
