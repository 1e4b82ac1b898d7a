"""Buses that python-can knows: its virtual one, and multicast on real sockets that leave this machine never."""

import asyncio
import ipaddress
import secrets
import socket
import struct
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import can
import pytest

from packseal.clock import SystemClock
from packseal.core.errors import ConfigError, LinkError
from packseal.core.quantities import Channel, Quantity
from packseal.core.sample import EventCode, LinkState, Notice, Sample
from packseal_drivers import profile
from packseal_drivers.driver import Driver
from packseal_drivers.links.pythoncan import LISTEN_ONLY, PythonCanLink
from packseal_drivers.registry import open_driver
from packseal_drivers.settings import PythonCan

A = Channel(Quantity.PACK_CURRENT_A)
GROUP = "239.74.163.2"  # python-can's own, of administrative scope (RFC 2365)


def electrical(amperes: float) -> can.Message:
    data = struct.pack("<ii", 400 * 10_000, round(amperes * 10_000))
    return can.Message(arbitration_id=0x3F0, data=data, is_extended_id=False)


@pytest.fixture
def virtual() -> Iterator[tuple[PythonCan, can.BusABC]]:
    channel = secrets.token_hex(8)
    with can.Bus(interface="virtual", channel=channel) as far:
        yield PythonCan("virtual", channel), far


@pytest.fixture
def multicast() -> Iterator[tuple[PythonCan, can.BusABC]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    try:
        far = can.Bus(interface="udp_multicast", channel=GROUP, port=port, hop_limit=0)
    except (OSError, can.CanError) as error:
        pytest.skip(f"no multicast here ({error}): give the loopback or another interface a multicast route")
    with far:
        yield PythonCan("udp_multicast", GROUP, options={"port": port}), far


def driver_of(settings: PythonCan) -> Driver:
    file = profile.load("bmw/i3_replay")
    return open_driver(settings, file, directory=Path(), cache=None, clock=SystemClock())


def first_said(driver: Driver, far: can.BusABC, *messages: can.Message, count: int) -> list[Sample | Notice]:
    async def run() -> list[Sample | Notice]:
        said: list[Sample | Notice] = []
        async with asyncio.timeout(20), aclosing(driver.batches()) as batches:
            waiting = asyncio.ensure_future(anext(batches))
            await opened(driver)
            for message in messages:
                far.send(message)
                await asyncio.sleep(0.025)  # more than a tick: samples of a live bus lie at the times of its ticks
            said += await waiting
            while len(said) < count:
                said += await anext(batches)
        return said

    return asyncio.run(run())


async def opened(driver: Driver) -> None:
    while driver._link._bus is None:  # type: ignore[attr-defined]  # noqa: ASYNC110 - nothing tells that it listens
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("bus", ["virtual", "multicast"])
def test_frames_become_samples_with_both_signs(bus: str, request: pytest.FixtureRequest) -> None:
    settings, far = request.getfixturevalue(bus)
    driver = driver_of(settings)
    other = can.Message(arbitration_id=0x3F0, is_extended_id=True, data=bytes(8))
    remote = can.Message(arbitration_id=0x3F0, is_extended_id=False, is_remote_frame=True, dlc=8)
    said = first_said(driver, far, other, remote, electrical(-12.5), electrical(7.25), count=2)
    assert [s.values[A] for s in said if isinstance(s, Sample)] == pytest.approx([-12.5, 7.25])
    assert (driver.counts.frames, driver.counts.unknown) == (3, 1)
    assert driver.counts.state is LinkState.HEALTHY


def test_error_frames_pass_and_tell_of_bus_off(virtual: tuple[PythonCan, can.BusABC]) -> None:
    settings, far = virtual
    off = can.Message(arbitration_id=0x40, is_error_frame=True, is_extended_id=False, data=bytes(8))
    said = first_said(driver_of(settings), far, off, electrical(1), count=3)
    assert [n.code for n in said if isinstance(n, Notice)] == [EventCode.BUS_OFF, EventCode.BUS_RECOVERED]


def test_multicast_frames_never_leave_this_machine(multicast: tuple[PythonCan, can.BusABC]) -> None:
    link = PythonCanLink("udp_multicast", GROUP, dict(multicast[0].options))
    link.open()
    bus: Any = link._bus
    assert bus._multicast._socket.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 0
    link.close()


@pytest.mark.parametrize(
    ("channel", "options", "said"),
    [(GROUP, {"hop_limit": 1}, "hop_limit must be 0"), ("192.0.2.1", {}, "must be a multicast address")],
)
def test_multicast_that_would_leave_is_refused(channel: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        PythonCanLink("udp_multicast", channel, options)
    assert ipaddress.ip_address(GROUP).is_multicast


@pytest.mark.parametrize(
    ("interface", "channel"), [("nosuch", "x"), ("slcan", "/dev/nosuch"), ("pcan", "PCAN_USBBUS1")]
)
def test_an_adapter_that_is_not_there_is_told_in_one_line(interface: str, channel: str) -> None:
    link = PythonCanLink(interface, channel, {})
    with pytest.raises(LinkError, match=f"python-can cannot open {interface} {channel}: .") as caught:
        link.open()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("interface", sorted(LISTEN_ONLY))
def test_python_can_knows_each_interface_that_is_asked_to_listen_only(interface: str) -> None:
    assert interface in can.interfaces.VALID_INTERFACES


def test_an_adapter_that_is_gone_is_told_and_tried_again(virtual: tuple[PythonCan, can.BusABC]) -> None:
    settings, far = virtual
    driver = driver_of(settings)

    async def run() -> list[Sample | Notice]:
        said: list[Sample | Notice] = []
        async with asyncio.timeout(20), aclosing(driver.batches()) as batches:
            waiting = asyncio.ensure_future(anext(batches))
            await opened(driver)
            bus: Any = driver._link._bus  # type: ignore[attr-defined]  # as when someone pulls the plug
            bus.shutdown()
            said += await waiting
            again = asyncio.ensure_future(anext(batches))
            await opened(driver)
            far.send(electrical(3))
            said += await again
            while not any(isinstance(s, Sample) for s in said):
                said += await anext(batches)
        return said

    said = asyncio.run(run())
    assert {n.code for n in said if isinstance(n, Notice)} == {EventCode.LINK_LOST, EventCode.BUS_RECOVERED}
