"""Polling on real buses: control units made of can-isotp and udsoncan answer on python-can's virtual and multicast."""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import can
import pytest
from tests.drivers.asked_bus import CELL_CHANNELS, A, V, Wire, driver_of, electrical, heard, values
from tests.drivers.ecus import (
    ANSWER,
    CELL_BYTES,
    CELLS,
    CHARGE,
    CURRENT,
    OTHER_ANSWER,
    OTHER_TO,
    SIGNAL,
    TEMPERATURE,
    TO,
    SimulatedEcu,
    write,
)

from packseal.clock import SystemClock
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import LinkCounts, LinkState, Sample
from packseal_drivers.guard import Guard
from packseal_drivers.links.pythoncan import LISTEN_ONLY, PythonCanLink
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import PythonCan, SocketCan

GROUP = "239.74.163.2"


@pytest.fixture
def multicast() -> Iterator[Wire]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    wire = Wire(PythonCan("udp_multicast", GROUP, options={"port": port}))
    try:
        wire.join()
    except (OSError, can.CanError) as error:
        pytest.skip(f"no multicast here ({error}): give the loopback or another interface a multicast route")
    yield wire
    wire.close()


@pytest.mark.parametrize("bus", ["virtual", "multicast"])
def test_answers_of_several_frames_and_broadcast_signals_side_by_side(
    bus: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    wire: Wire = request.getfixturevalue(bus)
    driver = driver_of(wire, write(tmp_path, SIGNAL, CELLS, CURRENT, TEMPERATURE, CHARGE))
    far = wire.join()
    answers = {b"\x01\x02": CELL_BYTES, b"\x01\x01": struct.pack(">h", -125), b"\x5b": b"\xff"}
    other = SimulatedEcu(wire.join(), {b"\x91\xc8": b"\x3d"}, OTHER_TO, OTHER_ANSWER)
    wanted = (V, A, CELL_CHANNELS[63], Channel(Quantity.TEMPERATURE_C), Channel(Quantity.STATE_OF_CHARGE_PCT))
    with SimulatedEcu(wire.join(), answers, functional=0x7DF) as ecu, other:
        said = heard(driver, lambda s: all(values(s, c) for c in wanted), lambda: far.send(electrical(398.5)))
    assert values(said, A)[0] == pytest.approx(12.5)
    assert values(said, V)[0] == pytest.approx(398.5)
    cells = next(s for s in said if isinstance(s, Sample) and CELL_CHANNELS[0] in s.values)
    assert [cells.values[c] for c in CELL_CHANNELS] == pytest.approx([b * 0.02 for b in CELL_BYTES])
    assert values(said, wanted[3])[0] == pytest.approx(21)
    assert values(said, wanted[4])[0] == pytest.approx(100)
    assert driver.counts.state is LinkState.HEALTHY
    assert driver.counts.answers >= 4
    assert (driver.counts.refused, driver.counts.negative, driver.counts.cut, driver.counts.unexpected) == (0, 0, 0, 0)
    assert set(ecu.asked) <= {bytes.fromhex(a) for a in ("220102", "220101", "015b")}


def test_a_transfer_between_other_traffic(virtual: Wire, tmp_path: Path) -> None:
    driver, far = driver_of(virtual, write(tmp_path, CELLS)), virtual.join()

    def noise() -> None:
        for address in range(0x100, 0x180):
            far.send(can.Message(arbitration_id=address, data=bytes(8), is_extended_id=False))

    with SimulatedEcu(virtual.join(), {b"\x01\x02": CELL_BYTES}):
        said = heard(driver, lambda s: len(values(s, CELL_CHANNELS[5])) >= 3, noise)
    assert set(values(said, CELL_CHANNELS[5])) == {CELL_BYTES[5] * 0.02}
    assert driver.counts.unknown >= 128


def test_patience_is_had_with_who_asks_for_it(virtual: Wire, tmp_path: Path) -> None:
    driver = driver_of(virtual, write(tmp_path, CURRENT))
    with SimulatedEcu(virtual.join(), {b"\x01\x01": b"\x00\x0a"}, pending=6):
        said = heard(driver, lambda s: values(s, A))
    assert values(said, A) == pytest.approx([-1.0])
    assert (driver.counts.unanswered, driver.counts.answers, driver.counts.negative) == (0, 1, 0)


def test_declined_requests_are_counted_by_code_and_asked_more_seldom(virtual: Wire, tmp_path: Path) -> None:
    driver = driver_of(virtual, write(tmp_path, CURRENT, CELLS))
    with SimulatedEcu(virtual.join(), {b"\x01\x01": b"\x00\x0a", b"\x01\x02": 0x33}) as ecu:
        heard(driver, lambda s: len(values(s, A)) >= 12)
    assert driver.counts.declined[0x33] == driver.counts.negative >= 2
    assert ecu.asked.count(b"\x22\x01\x02") * 2 < ecu.asked.count(b"\x22\x01\x01")


def test_the_rate_on_one_bus_is_bounded(virtual: Wire, tmp_path: Path) -> None:
    table = CURRENT.replace("pack_current_a", "cell_voltage_v")
    tables = [
        table.replace("01 01", f"01 {i:02X}").replace('"current"', f'"c{i}"').replace("at = 3", f"at = 3\nindex = {i}")
        for i in range(20)
    ]
    driver = driver_of(virtual, write(tmp_path, *tables))
    clock = SystemClock()
    began_ns = clock.now().mono_ns
    with SimulatedEcu(virtual.join(), {bytes((1, i)): b"\x00\x01" for i in range(20)}):
        said = heard(driver, lambda s: all(values(s, Channel(Quantity.CELL_VOLTAGE_V, i)) for i in range(20)))
    seconds = (clock.now().mono_ns - began_ns) / 1e9
    assert driver.counts.requests <= 20 * seconds + 1
    assert said


def test_answers_in_frames_of_can_fd(virtual: Wire, tmp_path: Path) -> None:
    driver = driver_of(virtual, write(tmp_path, CELLS))
    with SimulatedEcu(virtual.join(), {b"\x01\x02": CELL_BYTES}, tx_data_length=32):
        said = heard(driver, lambda s: values(s, CELL_CHANNELS[63]))
    assert values(said, CELL_CHANNELS[63]) == pytest.approx([CELL_BYTES[63] * 0.02])


class Kernel(can.BusABC):
    """The far end of a socket pair that stands in for a kernel interface, as a bus for a control unit."""

    def __init__(self, far: socket.socket) -> None:
        super().__init__(channel="can0")
        self.far = far

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        self.far.settimeout(timeout)
        try:
            address, length, data = struct.unpack("=IB3x8s", self.far.recv(16))
        except (TimeoutError, BlockingIOError, ConnectionRefusedError):
            return None, False
        wide = address >> 31 == 1
        return can.Message(arbitration_id=address & 0x1FFF_FFFF, is_extended_id=wide, data=data[:length]), False

    def send(self, msg: can.Message, timeout: float | None = None) -> None:  # noqa: ARG002 - python-can's signature
        address = msg.arbitration_id | (0x8000_0000 if msg.is_extended_id else 0)
        with suppress(ConnectionRefusedError):  # the driver has closed its end
            self.far.send(struct.pack("=IB3x8s", address, len(msg.data), bytes(msg.data)))

    def shutdown(self) -> None:
        super().shutdown()
        self.far.close()


@pytest.mark.parametrize(("to", "answer"), [(TO, ANSWER), (OTHER_TO, OTHER_ANSWER)])
def test_a_kernel_interface_is_asked_in_the_same_way(to: int, answer: int, tmp_path: Path) -> None:
    asked = CELLS.replace("0x7E4", hex(to)).replace("0x7EC", hex(answer))
    file = write(tmp_path, SIGNAL, asked)
    driver: Any = open_driver(SocketCan("can0"), file, directory=Path(), cache=None, clock=SystemClock())
    near, far = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    near.bind(("127.0.0.1", 0))
    far.bind(("127.0.0.1", 0))
    near.connect(far.getsockname())
    far.connect(near.getsockname())
    near.settimeout(0)
    driver._link.open = lambda: driver._link.attach(near)
    bus = Kernel(far)
    with SimulatedEcu(bus, {b"\x01\x02": CELL_BYTES}, to, answer):
        said = heard(driver, lambda s: values(s, CELL_CHANNELS[63]), lambda: bus.send(electrical(398.5)))
    assert values(said, CELL_CHANNELS[63]) == pytest.approx([CELL_BYTES[63] * 0.02])
    flag = 0x8000_0000 if answer > 0x7FF else 0
    mask = 0xC000_0000 | (0x1FFF_FFFF if flag else 0x7FF)
    assert struct.pack("=II", answer | flag, mask) in driver._link._filters()
    assert values(said, V)[0] == pytest.approx(398.5)


def test_an_adapter_is_asked_to_listen_only_unless_something_is_asked() -> None:
    for interface, options in LISTEN_ONLY.items():
        assert PythonCanLink(interface, 0, {})._options == options
        assert PythonCanLink(interface, 0, {}, Guard([], LinkCounts()))._options == {}
