"""This machine's rig: its network can be cut and mended, its disk filled, its bus silenced, and nothing is left."""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from packseal.core.errors import LinkError
from packseal_drivers.links.stream import StreamLink
from packseal_hil.rig import local_network
from packseal_hil.rig.local import LocalRig
from packseal_hil.rig.local_network import LoopbackNetwork, NamespaceNetwork
from packseal_hil.rig.protocols import BusFault, CanFrame, Need, Reaching, RigError

WAIT_S = 20.0
SILENT_S = 0.4
FRAME = CanFrame(0x300, b"12345678")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and mounts need root: run the tests as root")


@asynccontextmanager
async def opened(work: Path) -> AsyncIterator[LocalRig]:
    rig = LocalRig()
    try:
        await rig.open(work)
        yield rig
    finally:
        await rig.close()


def play(test: Callable[[], Coroutine[None, None, None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(timed())


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """Serve a line back on a loopback port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                writer.write(b"echo " + line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


ASK = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), {wait})
s.settimeout({wait})
s.sendall(b"a\\n")
print(s.recv(99))
"""


async def asked(rig: LocalRig, port: int, wait_s: float = WAIT_S) -> str:
    """Ask the echo from the gateway's own end of the network."""
    script = ASK.format(wait=wait_s)
    done = await rig.device.run(f"python3 -c '{script}' {rig.network.host} {port}")
    return done.output


def test_the_gateway_reaches_us_until_the_network_is_cut(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as rig, echo() as port:
            assert isinstance(rig.network, Reaching)
            await rig.network.reach(port)
            assert "echo a" in await asked(rig, port)
            await rig.network.down()
            assert "imed out" in await asked(rig, port, SILENT_S)
            await rig.network.up()
            assert "echo a" in await asked(rig, port)
            await rig.network.down()
            await rig.reset()
            await rig.network.reach(port)
            assert "echo a" in await asked(rig, port)

    play(scenario)


def test_without_root_a_forwarder_does_it_and_the_title_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    async def scenario() -> None:
        async with opened(tmp_path) as rig, echo() as port:
            assert type(rig.network) is LoopbackNetwork
            assert "a forwarder that can stop (network namespaces need root; a file system" in rig.title
            assert rig.has == {Need.NETWORK}
            assert isinstance(rig.network, Reaching)
            await rig.network.reach(port)
            assert "echo a" in await asked(rig, port)
            await rig.network.down()
            assert "imed out" in await asked(rig, port, SILENT_S)
            await rig.network.up()
            assert "echo a" in await asked(rig, port)
            with pytest.raises(RigError, match="needs root"):
                await rig.disk.fill()

    play(scenario)


@needs_root
def test_what_was_under_way_when_the_network_was_cut_arrives_when_it_is_mended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as rig, echo() as port:
            assert isinstance(rig.network, NamespaceNetwork)
            await rig.network.reach(port)
            await rig.network.down()
            asking = asyncio.create_task(asked(rig, port))
            await asyncio.sleep(SILENT_S)
            assert not asking.done()
            await rig.network.up()
            assert "echo a" in await asking

    play(scenario)


@needs_root
def test_two_of_one_process_do_not_touch_each_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as first, echo() as port:
            async with opened(tmp_path) as second:
                assert isinstance(first.network, NamespaceNetwork)
                assert isinstance(second.network, NamespaceNetwork)
            await first.network.reach(port)
            assert "echo a" in await asked(first, port)

    play(scenario)


@needs_root
def test_a_network_whose_namespace_was_taken_away_is_an_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as rig, echo() as port:
            assert isinstance(rig.network, NamespaceNetwork)
            await rig.network.close()
            with pytest.raises(RigError, match=r"network namespace packseal-.*-op: No such file"):
                await rig.network.reach(port)

    play(scenario)


def left(directory: str, gateway: str) -> set[str]:
    """Return what there is of the rig with this directory and this namespace of its gateway; others may be open."""
    there = {
        "mount": directory in Path("/proc/mounts").read_text(),
        "directory": Path(directory).exists(),
        "namespaces": any(local_network.NAMESPACES.glob(f"{gateway.removesuffix('gw')}*")),
    }
    return {name for name, is_there in there.items() if is_there}


@needs_root
def test_nothing_is_left_when_it_is_closed(tmp_path: Path) -> None:
    mark = "600.0625"

    async def scenario() -> None:
        async with opened(tmp_path) as rig:
            await rig.device.start(f"exec sleep {mark}", str(tmp_path / "log"))
            assert isinstance(rig.network, NamespaceNetwork)
            own = rig.device.directory, rig.network.prefix[-1]
            assert left(*own) == {"mount", "directory", "namespaces"}
        assert left(*own) == set()

    play(scenario)
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert f"sleep {mark}" not in found.stdout


@needs_root
def test_a_full_disk_takes_no_byte_and_a_freed_one_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as rig:
            assert Need.DISK in rig.has
            path = f"{rig.device.directory}/f"
            await rig.disk.fill()
            with pytest.raises(RigError, match="No space left"):
                await rig.device.put(path, b"x")
            await rig.disk.free()
            await rig.device.put(path, b"x")
            assert await rig.device.get(path) == b"x"
            assert (await rig.device.run(f"stat -c %a {path}")).output == "600\n"
            await rig.disk.fill()
            await rig.reset()
            await rig.device.put(path, b"y")

    play(scenario)


async def heard(link: StreamLink) -> CanFrame:
    async with asyncio.timeout(WAIT_S):
        frame = (await link.read())[0].frame
    return CanFrame(frame.address, frame.data)


def test_every_listener_hears_the_bus_until_it_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as rig:
            path = Path(rig.bus.link["path"])
            links = [StreamLink(path), StreamLink(path)]
            for link in links:
                await link.open()
            await asyncio.sleep(0.1)
            await rig.bus.fault(BusFault.UNPLUGGED)
            await rig.bus.send([CanFrame(0x301, b"lost")])
            await rig.bus.fault(BusFault.NONE)
            await rig.bus.send([FRAME])
            assert [await heard(link) for link in links] == [FRAME, FRAME]
            await rig.bus.fault(BusFault.GONE)
            with pytest.raises(LinkError):
                await heard(links[0])
            with pytest.raises(LinkError, match="no replay listens"):
                await StreamLink(path).open()
            await rig.bus.fault(BusFault.NONE)
            links[0].close()
            await links[0].open()
            await asyncio.sleep(0.1)
            await rig.bus.send([FRAME])
            assert await heard(links[0]) == FRAME
            for link in links:
                link.close()
            await asyncio.sleep(0.1)

    play(scenario)


def test_what_this_machine_has_not_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as rig:
            assert not rig.has & {Need.CAN, Need.BUS_FAULTS, Need.POWER, Need.CLOCK, Need.READ_ONLY}
            refused = (
                rig.bus.fault(BusFault.OFF),
                rig.power.cut(),
                rig.power.on(),
                rig.clock.set(0),
                rig.disk.freeze(),
            )
            for attempt in refused:
                with pytest.raises(RigError, match="virtual gateway"):
                    await attempt

    play(scenario)


def test_commands_say_how_they_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as rig:
            done = await rig.device.run("echo out; echo err >&2; exit 3")
            assert (done.code, done.output) == (3, "out\nerr\n")
            with pytest.raises(RigError, match="took longer than"):
                await rig.device.run("sleep 30", timeout_s=0.1)
            with pytest.raises(RigError, match="cannot read"):
                await rig.device.get(f"{rig.device.directory}/none")

    play(scenario)
