"""The virtual gateway for the tests of it: booted once, for all of them."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.hil.gateway.booted import Virtual

from packseal_hil.gateway import image


@pytest.fixture(scope="session")
def needs_virtual(bench: str) -> str:
    """Skip where the virtual gateway was not asked for."""
    if bench != "virtual":
        cached = "" if image.is_cached(image.cache_directory()) else ", which first builds its image"
        pytest.skip(f"this needs the kernel of the virtual gateway: run `make hil`{cached}")
    return bench


@pytest.fixture(scope="package")
def virtual(needs_virtual: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Virtual]:
    """The gateway, booted."""
    assert needs_virtual
    with asyncio.Runner() as runner:
        made = Virtual(runner)
        try:
            made.do(made.rig.open(tmp_path_factory.mktemp("gateway")))
            yield made
        finally:
            made.do(made.rig.close())


@pytest.fixture
def vcan(virtual: Virtual) -> Iterator[str]:
    """A kernel bus that lets CAN FD through."""
    virtual.sh("modprobe vcan && ip link add vcan0 type vcan && ip link set vcan0 mtu 72 up")
    yield "vcan0"
    virtual.sh("ip link del vcan0")


@pytest.fixture
def pair(virtual: Virtual) -> Iterator[tuple[str, str]]:
    """The two ends of a kernel cable (vxcan)."""
    virtual.sh("modprobe vxcan && ip link add vxa type vxcan peer name vxb && ip link set vxa up && ip link set vxb up")
    yield "vxa", "vxb"
    virtual.sh("ip link del vxa")


@pytest.fixture(autouse=True)
def tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """End what a test has started in the guest."""
    yield
    if "virtual" in request.fixturenames:
        virtual = request.getfixturevalue("virtual")
        if virtual.rig.machine.is_on:
            virtual.do(virtual.rig.device.end_all())
