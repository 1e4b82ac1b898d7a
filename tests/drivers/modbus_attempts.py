"""Every road by which something other than a read might leave over Modbus, and the table of them in docs/read-only.md.

`python -m tests.drivers.modbus_attempts` writes the table anew.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from pymodbus.pdu.register_message import WriteSingleRegisterRequest

from packseal.core.sample import LinkCounts
from packseal_drivers.guard import RefusedRequest
from packseal_drivers.modbus.bus import ModbusBus
from packseal_drivers.modbus.guard import ModbusGuard, PermittedRead

PAGE = Path(__file__).parents[2] / "docs" / "read-only.md"
TABLE = re.compile(r"(<!-- made: modbus attempts -->\n).*?(<!-- end -->)", re.DOTALL)
UNIT = 7

Way = Callable[[ModbusGuard, ModbusBus], Awaitable[object]]


class Attempt(NamedTuple):
    """One road: what is tried, in words, and the trying."""

    what: str
    way: Way


def pdu(what: str, payload: str, unit: int = UNIT) -> Attempt:
    data = bytes.fromhex(payload)

    async def way(guard: ModbusGuard, bus: ModbusBus) -> object:
        return await bus.ask(guard, guard.permit(unit, data), 1.0)

    return Attempt(f"{what}: `{data.hex(' ').upper()}` to unit {unit}", way)


def by_pymodbus(what: str, call: Callable[[Any], Awaitable[object]]) -> Attempt:
    """Whoever has got hold of the connected client calls its own method."""

    async def way(_: ModbusGuard, bus: ModbusBus) -> object:
        await bus.connect()
        return await call(bus._client)

    return Attempt(f"pymodbus' own {what} on the connected client", way)


async def _tuple(guard: ModbusGuard, bus: ModbusBus) -> object:
    request: Any = (UNIT, bytes.fromhex("06000A0001"), None)
    return await bus.ask(guard, request, 1.0)


async def _by_hand(guard: ModbusGuard, bus: ModbusBus) -> object:
    return await bus.ask(guard, PermittedRead(UNIT, bytes.fromhex("06000A0001"), None), 1.0)


async def _borrowed_seal(guard: ModbusGuard, bus: ModbusBus) -> object:
    seal = guard.permit_read(UNIT, 3, 0, 1).seal
    return await bus.ask(guard, PermittedRead(UNIT, bytes.fromhex("06000A0001"), seal), 1.0)


async def _other_guard(guard: ModbusGuard, bus: ModbusBus) -> object:
    other = ModbusGuard((UNIT,), serial=False, counts=LinkCounts())
    return await bus.ask(guard, other.permit_read(UNIT, 3, 0, 1), 1.0)


async def _subclass(guard: ModbusGuard, bus: ModbusBus) -> object:
    class Better(PermittedRead):
        pass

    permitted = guard.permit_read(UNIT, 3, 0, 1)
    return await bus.ask(guard, Better(permitted.unit, permitted.pdu, permitted.seal), 1.0)


async def _changed(guard: ModbusGuard, bus: ModbusBus) -> object:
    permitted = guard.permit_read(UNIT, 3, 0, 1)
    object.__setattr__(permitted, "pdu", bytes.fromhex("06000A0001"))
    return await bus.ask(guard, permitted, 1.0)


async def _bytearray(guard: ModbusGuard, bus: ModbusBus) -> object:
    permitted = guard.permit_read(UNIT, 3, 0, 1)
    object.__setattr__(permitted, "pdu", bytearray(permitted.pdu))  # could change between the check and the sending
    return await bus.ask(guard, permitted, 1.0)


async def _redirected(guard: ModbusGuard, bus: ModbusBus) -> object:
    permitted = guard.permit_read(UNIT, 3, 0, 1)
    object.__setattr__(permitted, "unit", 0)
    return await bus.ask(guard, permitted, 1.0)


async def _another_request_while_one_is_permitted(guard: ModbusGuard, bus: ModbusBus) -> object:
    await bus.connect()
    bus._asked = guard, guard.permit_read(UNIT, 3, 0, 1)
    client: Any = bus._client
    try:
        return await client.execute(False, WriteSingleRegisterRequest(address=10, registers=[1], dev_id=UNIT))  # noqa: FBT003 - pymodbus' own
    finally:
        bus._asked = None


ATTEMPTS = (
    pdu("write single coil", "05 00 0A FF 00"),
    pdu("write single register", "06 00 0A 00 01"),
    pdu("write multiple coils", "0F 00 0A 00 01 01 01"),
    pdu("write multiple registers", "10 00 0A 00 01 02 00 01"),
    pdu("mask write register", "16 00 0A FF FF 00 01"),
    pdu("read/write multiple registers", "17 00 00 00 01 00 0A 00 01 02 00 01"),
    pdu("read exception status", "07"),
    pdu("diagnostics, restart communications", "08 00 01 00 00"),
    pdu("diagnostics, listen only mode", "08 00 04 00 00"),
    pdu("get comm event counter", "0B"),
    pdu("get comm event log", "0C"),
    pdu("report server id", "11"),
    pdu("read file record", "14 07 06 00 04 00 01 00 02"),
    pdu("write file record", "15 09 06 00 04 00 07 00 01 00 01"),
    pdu("read FIFO queue", "18 04 DE"),
    pdu("encapsulated CANopen", "2B 0D 00"),
    pdu("device identification of unknown form", "2B 0E 05 00"),
    pdu("something behind a device identification", "2B 0E 01 00 06"),
    pdu("a vendor's function", "41 00 00"),
    pdu("a vendor's function (UMAS)", "5A 00 02"),
    pdu("an exception in place of a request", "83 02"),
    pdu("an empty request", ""),
    pdu("a write behind a read", "03 00 00 00 01 06 00 0A 00 01"),
    pdu("half a read", "03 00 00 00"),
    pdu("a read of no register", "03 00 00 00 00"),
    pdu("a read of too many registers", "03 00 00 00 7E"),
    pdu("a read of too many bits", "01 00 00 07 D1"),
    pdu("a read beyond the last address", "03 FF FF 00 02"),
    pdu("a read of another unit", "03 00 00 00 01", 8),
    Attempt("a request that no guard has seen, given to the connection", _tuple),
    Attempt("a permission made by hand", _by_hand),
    Attempt("a permission of another guard", _other_guard),
    Attempt("a permission made by hand with the seal of a true one", _borrowed_seal),
    Attempt("a subclass of a permission", _subclass),
    Attempt("the request of a permission changed", _changed),
    Attempt("the request of a permission made changeable", _bytearray),
    Attempt("the unit of a permission changed", _redirected),
    by_pymodbus("write_coil", lambda client: client.write_coil(10, value=True, device_id=UNIT)),
    by_pymodbus("write_register", lambda client: client.write_register(10, 1, device_id=UNIT)),
    by_pymodbus("write_coils", lambda client: client.write_coils(10, [True], device_id=UNIT)),
    by_pymodbus("write_registers", lambda client: client.write_registers(10, [1], device_id=UNIT)),
    by_pymodbus("mask_write_register", lambda client: client.mask_write_register(address=10, device_id=UNIT)),
    by_pymodbus(
        "readwrite_registers", lambda client: client.readwrite_registers(read_count=1, values=[1], device_id=UNIT)
    ),
    by_pymodbus(
        "read_holding_registers, of which no guard knows", lambda c: c.read_holding_registers(0, device_id=UNIT)
    ),
    Attempt("pymodbus' write while a read is permitted", _another_request_while_one_is_permitted),
)


async def reason_of(attempt: Attempt, guard: ModbusGuard, bus: ModbusBus) -> str:
    """Return why it is refused; raises AssertionError where it is not."""
    try:
        await attempt.way(guard, bus)
    except RefusedRequest as error:
        return str(error).partition(": ")[2]
    raise AssertionError(f"{attempt.what} was not refused")


async def table() -> str:
    from tests.drivers.modbus_devices import HOST, Device, placed, tcp_server  # noqa: PLC0415

    from packseal_drivers.settings import Modbus  # noqa: PLC0415

    async with tcp_server(Device(UNIT, holding=placed(0, [0] * 20))) as port:
        bus = ModbusBus(Modbus(host=HOST, port=port, unit=UNIT), Path())
        bus.join()
        guard = ModbusGuard((UNIT,), serial=False, counts=LinkCounts())
        rows = [f"| {a.what} | {await reason_of(a, guard, bus)} |\n" for a in ATTEMPTS]
        bus.leave()
    return f"| attempt | reason |\n| --- | --- |\n{''.join(rows)}"


if __name__ == "__main__":
    made = asyncio.run(table())
    PAGE.write_text(TABLE.sub(lambda m: m.group(1) + made + m.group(2), PAGE.read_text()))
