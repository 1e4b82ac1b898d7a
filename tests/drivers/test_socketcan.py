"""The SocketCAN link on a socket that carries what a CAN_RAW socket does, and on a kernel bus where there is one.

A UDP pair on the loopback stands in: the kernel stamps, queues and counts its datagrams in the same way.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, aclosing
from itertools import pairwise

import pytest

from packseal.clock import SystemClock
from packseal.core.errors import LinkError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, LinkState, Notice, Sample
from packseal_drivers import profile
from packseal_drivers.can_driver import CanDriver
from packseal_drivers.decoding import compile_decoders
from packseal_drivers.links.socketcan import SocketCanLink

ERR = 0x2000_0000
V, A = Channel(Quantity.PACK_VOLTAGE_V), Channel(Quantity.PACK_CURRENT_A)
Said = list[Sample | Notice]


def can_frame(address: int, data: bytes) -> bytes:
    return struct.pack("=IB3x8s", address, len(data), data)


def canfd_frame(address: int, data: bytes) -> bytes:
    return struct.pack("=IBB2x64s", address, len(data), 0x04, data)


def electrical(volts: float, amperes: float) -> bytes:
    return struct.pack("<ii", round(volts * 10_000), round(amperes * 10_000))


class Wire:
    """The far end of a pair, and the links made on its near end."""

    def __init__(self, receive_bytes: int = 0) -> None:
        self.near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if receive_bytes:
            self.near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.near.bind(("127.0.0.1", 0))
        self.near.settimeout(0)
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.connect(self.near.getsockname())

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.far.send(datagram)

    def close(self) -> None:
        self.near.close()
        self.far.close()


Wires = Callable[[], Wire]


@pytest.fixture
def wires() -> Iterator[Wires]:
    """Makes wires, and closes them all."""
    with ExitStack() as stack:

        def make() -> Wire:
            wire = Wire()
            stack.callback(wire.close)
            return wire

        yield make


class WireLink(SocketCanLink):
    """The link on given wires, one after another; None stands for an interface that is not there."""

    def __init__(self, *wires: Wire | None) -> None:
        super().__init__("can0", [0x3F0, 0x3F1])
        self._wires = list(wires)

    def open(self) -> None:
        wire = self._wires.pop(0) if self._wires else None
        if wire is None:
            raise LinkError("CAN interface can0: No such device; is it there and up?")
        self.attach(wire.near)


def drained(*datagrams: bytes) -> list[tuple[int, bytes]]:
    wire = Wire()
    link = WireLink(wire)
    link.open()
    wire.send(*datagrams)
    try:
        return [(f.address, f.data) for f in link.drain(SystemClock().now())]
    finally:
        link.close()
        wire.close()


def test_classic_and_fd_frames_both_widths_of_id_and_error_frames() -> None:
    assert drained(
        can_frame(0x3F0, b"\x01\x02"),
        can_frame(0x9ABC_DEF0, bytes(range(8))),
        canfd_frame(0x3F1, bytes(range(64))),
        canfd_frame(0x3F1, b""),
        can_frame(ERR | 0x40, bytes(8)),
    ) == [
        (0x3F0, b"\x01\x02"),
        (0x9ABC_DEF0, bytes(range(8))),
        (0x3F1, bytes(range(64))),
        (0x3F1, b""),
        (ERR | 0x40, bytes(8)),
    ]


def test_what_is_no_frame_is_passed_over() -> None:
    assert drained(b"", b"short", bytes(71), can_frame(1, b"")) == [(1, b"")]


def test_a_length_beyond_its_frame_is_no_frame() -> None:
    assert drained(struct.pack("=IB3x8s", 5, 255, b"12345678"), can_frame(1, b"\x05")) == [(1, b"\x05")]


def test_frames_carry_the_kernels_time_on_the_monotonic_clock_in_order() -> None:
    wire = Wire()
    link = WireLink(wire)
    link.open()
    before = []
    for _ in range(3):
        before.append(time.monotonic_ns())
        wire.send(can_frame(0x3F0, bytes(8)))
        time.sleep(0.02)
    frames = link.drain(SystemClock().now())
    link.close()
    wire.close()
    for sent_ns, frame in zip(before, frames, strict=True):
        assert -1_000_000 <= frame.mono_ns - sent_ns < 15_000_000
    assert all(a.mono_ns < b.mono_ns for a, b in pairwise(frames))


def test_more_frames_than_one_system_call_takes() -> None:
    many = [can_frame(i % 0x800, struct.pack("<Q", i)) for i in range(200)]
    assert [struct.unpack("<Q", data)[0] for _, data in drained(*many)] == list(range(200))


def test_what_the_kernel_drops_is_counted_exactly() -> None:
    wire = Wire(receive_bytes=4096)
    link = WireLink(wire)
    link.open()
    wire.send(*[can_frame(0x3F0, bytes(8))] * 500)
    received = len(link.drain(SystemClock().now()))
    wire.send(can_frame(0x3F0, bytes(8)))  # the counter comes with the next frame
    received += len(link.drain(SystemClock().now()))
    link.close()
    wire.close()
    assert received < 501
    assert link.dropped == 501 - received


def heard(
    link: SocketCanLink, until: Callable[[Said, CanDriver], bool], silent_after_s: float = 5
) -> tuple[CanDriver, Said]:
    """Run a driver until enough was said."""
    file = profile.load("bmw/i3_replay")
    decoders = compile_decoders(file)
    driver = CanDriver(file.profile.name, link, decoders, 0, silent_after_s, SystemClock())

    async def run() -> Said:
        said: Said = []
        async with asyncio.timeout(20), aclosing(driver.batches()) as batches:
            async for batch in batches:
                said += batch
                if until(said, driver):
                    break
        return said

    return driver, asyncio.run(run())


def codes(said: Said) -> list[EventCode]:
    return [item.code for item in said if isinstance(item, Notice)]


def test_frames_become_samples_with_both_signs_and_the_socket_is_closed_after(wires: Wires) -> None:
    wire = wires()
    wire.send(can_frame(0x3F0, electrical(400, -12.5)), can_frame(0x111, bytes(8)))

    def until(said: Said, _: CanDriver) -> bool:
        if len(said) == 1:  # before it has heard the first one, the kernel may stamp both alike
            wire.send(can_frame(0x3F0, electrical(401, 7.25)))
        return len(said) > 1

    driver, said = heard(WireLink(wire), until)
    samples = [s for s in said if isinstance(s, Sample)]
    assert [s.values[A] for s in samples] == pytest.approx([-12.5, 7.25])
    assert driver.counts.unknown == 1
    assert driver.counts.state is LinkState.HEALTHY
    assert wire.near.fileno() == -1


def test_bus_off_and_its_end_by_error_frames(wires: Wires) -> None:
    wire = wires()
    good = can_frame(0x3F0, electrical(400, 1))
    wire.send(good, can_frame(ERR | 0x40, bytes(8)))
    driver, said = heard(WireLink(wire), answering(wire, EventCode.BUS_OFF, can_frame(ERR | 0x100, bytes(8)), good))
    assert codes(said) == [EventCode.BUS_OFF, EventCode.BUS_RECOVERED]
    assert driver.counts.error_frames == 2


def test_silence_and_its_end(wires: Wires) -> None:
    wire = wires()
    good = can_frame(0x3F0, electrical(400, 1))
    wire.send(good)
    _, said = heard(WireLink(wire), answering(wire, EventCode.BUS_SILENT, good), silent_after_s=0.1)
    assert codes(said) == [EventCode.BUS_SILENT, EventCode.BUS_RECOVERED]


def answering(wire: Wire, code: EventCode, *frames: bytes) -> Callable[[Said, CanDriver], bool]:
    """Send `frames` when `code` was told; enough when the bus has recovered."""
    answered = False

    def until(said: Said, _: CanDriver) -> bool:
        nonlocal answered
        if code in codes(said) and not answered:
            answered = True
            wire.send(*frames)
        return EventCode.BUS_RECOVERED in codes(said)

    return until


def test_an_interface_that_is_gone_is_opened_again_until_it_is_there(wires: Wires) -> None:
    first, second = wires(), wires()
    first.send(can_frame(0x3F0, electrical(400, 1)))
    second.send(can_frame(0x3F0, electrical(400, 2)))

    def until(said: Said, _: CanDriver) -> bool:
        if len(said) == 1:
            first.near.close()  # reading fails from now on, as it does when an adapter is pulled
        return EventCode.BUS_RECOVERED in codes(said) and len(said) >= 4

    driver, said = heard(WireLink(first, None, second), until)
    assert codes(said) == [EventCode.LINK_LOST, EventCode.BUS_RECOVERED]
    assert [s.values[A] for s in said if isinstance(s, Sample)] == pytest.approx([1, 2])
    assert driver.counts.state is LinkState.HEALTHY


def test_an_interface_that_is_not_there_is_told_in_one_sentence() -> None:
    link = SocketCanLink("nosuchcan0", [0x3F0])
    with pytest.raises(LinkError, match=r"no SocketCAN|CAN interface nosuchcan0: No such device"):
        link.open()


def kernel_bus() -> str:
    """Return why there is no kernel bus to test on; nothing when there is one."""
    try:
        probe = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    except OSError as error:
        return f"no SocketCAN in this kernel ({error.strerror}): modprobe can_raw vcan"
    with probe:
        try:
            probe.bind(("vcan0",))
        except OSError as error:
            return f"no vcan0 ({error.strerror}): ip link add vcan0 type vcan && ip link set vcan0 up"
    return ""


@pytest.mark.skipif(bool(kernel_bus()), reason=kernel_bus())
def test_on_a_kernel_bus_only_mapped_data_frames_and_error_frames_pass() -> None:
    link = SocketCanLink("vcan0", [0x3F0, 0x8000_0003])
    link.open()
    with socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW) as far:
        far.bind(("vcan0",))
        for address in (0x3F0, 0x3F1, 0x4000_03F0, 0x8000_03F0, 0x8000_0003, 0x003, ERR | 0x40):
            far.send(can_frame(address, b"\x01"))
    time.sleep(0.05)
    assert [f.address for f in link.drain(SystemClock().now())] == [0x3F0, 0x8000_0003, ERR | 0x40]
    link.close()
