"""The guard of Modbus: reads pass, every other road is refused and counted, and nothing of it reaches the wire."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.drivers.modbus_attempts import ATTEMPTS, PAGE, TABLE, UNIT, Attempt, reason_of, table
from tests.drivers.modbus_devices import HOST

from packseal.core.sample import LinkCounts
from packseal_drivers.guard import MAX_REASONS, RefusedRequest
from packseal_drivers.modbus.bus import ModbusBus
from packseal_drivers.modbus.guard import ModbusGuard
from packseal_drivers.settings import Modbus

READS = {1, 2, 3, 4}


class Wire:
    """The far end of a connection, which notes every byte and says nothing."""

    def __init__(self) -> None:
        self.heard = b""
        self._served: list[asyncio.Task[Any]] = []

    async def open(self, *, rtu: bool = False) -> ModbusBus:
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        port = self._server.sockets[0].getsockname()[1]
        bus = ModbusBus(Modbus(transport="rtu_over_tcp" if rtu else "tcp", host=HOST, port=port, unit=UNIT), Path())
        bus.join()
        return bus

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1000):
                self.heard += data
        writer.close()

    def close(self) -> None:
        self._server.close()


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu"])
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[a.what for a in ATTEMPTS])
def test_an_attempt_is_refused_and_counted_and_nothing_is_sent(attempt: Attempt, *, rtu: bool) -> None:
    async def body() -> None:
        far = Wire()
        bus = await far.open(rtu=rtu)
        counts = LinkCounts()
        guard = ModbusGuard((UNIT,), serial=rtu, counts=counts)
        await reason_of(attempt, guard, bus)
        assert counts.refused + bus.refused == 1
        outcome = await bus.ask(guard, guard.permit_read(UNIT, 3, 16, 2), 0.05)  # and reading goes on
        assert outcome.fault == "unanswered"
        sent = bytes.fromhex("07 03 0010 0002")
        assert far.heard[:-2] == sent if rtu else far.heard[6:] == sent, "something else arrived"
        bus.leave()
        far.close()

    asyncio.run(body())


def test_the_page_tells_of_every_attempt() -> None:
    found = TABLE.search(PAGE.read_text())
    assert found is not None
    made = f"{found.group(1)}{asyncio.run(table())}{found.group(2)}"
    assert found.group(0) == made, "python -m tests.drivers.modbus_attempts writes the table of docs/read-only.md anew"


@given(unit=st.integers(-1, 300), pdu=st.binary(max_size=12), serial=st.booleans())
def test_no_request_with_another_function_is_ever_permitted(unit: int, pdu: bytes, *, serial: bool) -> None:
    guard = ModbusGuard(range(-1, 300), serial=serial, counts=LinkCounts())
    try:
        permitted = guard.permit(unit, pdu)
    except RefusedRequest:
        return
    assert (permitted.unit, permitted.pdu) == (unit, pdu)
    assert (1 if serial else 0) <= unit <= (247 if serial else 255)
    assert (pdu[0] in READS and len(pdu) == 5) or (pdu[:2] == b"\x2b\x0e" and len(pdu) == 4)


@given(frame=st.binary(max_size=300), rtu=st.booleans())
def test_no_frame_but_the_permitted_request_is_let_out(frame: bytes, *, rtu: bool) -> None:
    guard = ModbusGuard((UNIT,), serial=False, counts=LinkCounts())
    permitted = guard.permit_read(UNIT, 3, 16, 2)
    right = b"\x07\x03\x00\x10\x00\x02"
    try:
        guard.check_frame(permitted, frame, rtu=rtu)
    except RefusedRequest:
        return
    assert right in frame


def test_a_flood_of_reasons_is_bounded() -> None:
    counts = LinkCounts()
    guard = ModbusGuard((UNIT,), serial=False, counts=counts)
    for function in set(range(256)) - READS:
        with pytest.raises(RefusedRequest, match="not sent, because packseal only reads"):
            guard.permit(UNIT, bytes((function,)))
    assert counts.refused == 252 == guard.refused.total()
    assert len(guard.refused) <= MAX_REASONS + 1


def test_on_a_serial_line_nobody_is_asked_who_stands_for_all() -> None:
    guard = ModbusGuard((0, 248), serial=True, counts=LinkCounts())
    for unit, reason in ((0, "a broadcast to every unit"), (248, "no unit's address")):
        with pytest.raises(RefusedRequest, match=reason):
            guard.permit_read(unit, 3, 0, 1)
    assert ModbusGuard((0,), serial=False, counts=LinkCounts()).permit_read(0, 3, 0, 1).unit == 0
