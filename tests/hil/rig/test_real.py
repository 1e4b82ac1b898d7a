"""A bench of real things, as far as one stands here: a gateway behind a real sshd, a relay that is a command."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.hil.rig import ssh_server
from tests.hil.rig.ssh_server import SshServer

from packseal_hil.rig.protocols import BusFault, CanFrame, Need, RigError
from packseal_hil.rig.real import RealRig
from packseal_hil.scenario import runner, schema

BENCH = """
title = "a machine behind sshd"
{device}
directory = "{folder}/there/device"
packseal = "{python} -m packseal"
[network]
host = "127.0.0.1"
down = {{ ask = "Pull the network cable" }}
up = {{ ask = "Plug the network cable in" }}
[power]
cut = {{ command = "touch {folder}/cut" }}
on = {{ to = "127.0.0.1:{relay}", send = "on" }}
boot_s = 20
[clock]
set = {{ device = "echo {{wall_s}} > {folder}/clock" }}
synchronise = {{ device = "echo right > {folder}/clock" }}
[bus]
interface = "virtual"
channel = "{channel}"
link = {{ kind = "socketcan", channel = "can7" }}
[bus.fault]
off = {{ command = "false" }}
none = {{ command = "true" }}
"""
HOUR = """
title = "An hour over ssh"
why = "w"
run = "commit"
[agent]
window_s = 60
[battery]
chemistry = "lfp"
cells = 15
step_s = 10
[bus]
profile = "pylontech/can"
[compressed]
hours = 1
[expect]
samples = [350, 360]
field.capacity_discharged = { relative = 0.05, absolute = 0.5 }
"""

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(bool(ssh_server.why_not()), reason=f"no ssh server is installed: {ssh_server.why_not()}"),
]


class Person:
    """Does what is asked, and remembers it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def do(self, request: str) -> None:
        self.asked.append(request)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    made = SshServer(tmp_path_factory.mktemp("ssh"))
    made.start()
    yield made
    made.stop()


@asynccontextmanager
async def opened(
    server: SshServer, folder: Path, relay: int = 1, person: Person | None = None
) -> AsyncIterator[RealRig]:
    file = server.folder / "bench.toml"
    file.write_text(
        BENCH.format(device=server.table, folder=folder, python=sys.executable, relay=relay, channel=folder.name)
    )
    rig = RealRig(file, person or Person())
    try:
        await rig.open(folder)
        yield rig
    finally:
        await rig.close()


def play(test: Callable[[], Coroutine[None, None, None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(150):
            await test()

    asyncio.run(timed())


def test_a_scenario_runs_on_a_machine_behind_ssh(server: SshServer, tmp_path: Path) -> None:
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("mosquitto is not installed: apt install mosquitto")
    (tmp_path / "hour.toml").write_text(HOUR)

    async def scenario() -> None:
        async with opened(server, tmp_path) as rig:
            assert {Need.CAN, Need.POWER, Need.CLOCK, Need.NETWORK} == rig.has
            story = await runner.run("hour", schema.load(tmp_path / "hour.toml"), rig, tmp_path / "work")
        assert not story.error
        assert [v for v in story.verdicts if not v.held] == []
        assert story.rig == "a machine behind sshd"
        assert story.points[-1].receipted == story.points[-1].sealed > 100

    play(scenario)
    assert list((tmp_path / "there").iterdir()) == []


def test_commands_files_and_processes_over_ssh(server: SshServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(server, tmp_path) as rig:
            device = rig.device
            done = await device.run("echo it\\'s; echo err >&2; exit 3")
            assert (done.code, done.output) == (3, "it's\nerr\n")
            path = f"{device.directory}/a file"
            await device.put(path, bytes(range(256)) * 1000)
            assert await device.get(path) == bytes(range(256)) * 1000
            assert (await device.run(f"stat -c %a '{path}'")).output == "600\n"
            with pytest.raises(RigError, match=r"cannot read .*none.*No such file"):
                await device.get(f"{device.directory}/none")
            with pytest.raises(RigError, match=r"cannot write .*nowhere"):
                await device.put(f"{device.directory}/nowhere/f", b"")
            with pytest.raises(RigError, match=r"took longer than 0\.5 s"):
                await device.run("sleep 20", timeout_s=0.5)
            pid = await device.start("echo begun; exec sleep 600", f"{device.directory}/log")
            assert (await device.run(f"ps -o args= -p {pid}")).output == "sleep 600\n"
            assert await device.get(f"{device.directory}/log") == b"begun\n"
            await rig.reset()
            assert (await device.run(f"ps -o stat= -p {pid} | grep -v Z")).output == ""
            assert (await device.run(f"ls -A {device.directory}")).output == ""

    play(scenario)


def test_power_goes_by_a_command_and_comes_back_by_a_socket(server: SshServer, tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def switched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        writer.close()
        await asyncio.sleep(1)
        server.start()  # in this thread: the kernel ends a process with the thread that started it (prctl(2))

    async def scenario() -> None:
        relay = await asyncio.start_server(switched, "127.0.0.1", 0)
        async with relay, opened(server, tmp_path, relay.sockets[0].getsockname()[1]) as rig:
            await rig.power.cut()
            assert (tmp_path / "cut").exists()
            await asyncio.to_thread(server.stop)
            with pytest.raises(RigError, match="does not answer over ssh"):
                await rig.device.run("true")
            await rig.power.on()
            assert (await rig.device.run("echo back")).output == "back\n"
        assert heard == [b"on\n"]

    play(scenario)


def test_each_fault_does_what_the_file_says(server: SshServer, tmp_path: Path) -> None:
    person = Person()

    async def scenario() -> None:
        async with opened(server, tmp_path, person=person) as rig:
            await rig.network.down()
            assert person.asked == ["Pull the network cable"]
            await rig.clock.set(12.5)
            assert (await rig.device.run(f"cat {tmp_path}/clock")).output == "12.500\n"
            await rig.reset()
            assert person.asked[-1] == "Plug the network cable in"
            assert (await rig.device.run(f"cat {tmp_path}/clock")).output == "right\n"
            with pytest.raises(RigError, match="could not bring the bus to `off`: exit code 1"):
                await rig.bus.fault(BusFault.OFF)
            with pytest.raises(RigError, match=r"bench\.toml does not say how to bring the bus to `gone`"):
                await rig.bus.fault(BusFault.GONE)
            with pytest.raises(RigError, match="does not say how to fill the disk"):
                await rig.disk.fill()
            with pytest.raises(RigError, match=r"cannot send to 127\.0\.0\.1:1"):
                await rig.power.on()

    play(scenario)


def test_the_adapter_sends_and_hears_both_kinds_of_frames(server: SshServer, tmp_path: Path) -> None:
    import can  # noqa: PLC0415

    frames = [CanFrame(0x300, b"12345678"), CanFrame(0x98DA_F110, b"\x02\x3e")]

    async def scenario() -> None:
        heard: list[CanFrame] = []
        async with opened(server, tmp_path) as rig:
            assert rig.bus.link == {"kind": "socketcan", "channel": "can7"}
            rig.bus.listen(heard.append)
            with can.Bus(interface="virtual", channel=tmp_path.name) as other:
                await rig.bus.send(frames)
                got = [await asyncio.to_thread(other.recv, 5) for _ in frames]
                assert [(m.arbitration_id, m.is_extended_id, bytes(m.data)) for m in got if m] == [
                    (0x300, False, b"12345678"),
                    (0x18DA_F110, True, b"\x02\x3e"),
                ]
                for message in got:
                    assert message is not None
                    other.send(message)
                async with asyncio.timeout(10):
                    while len(heard) < len(frames):  # noqa: ASYNC110 - the adapter tells nobody else
                        await asyncio.sleep(0.01)
        assert heard == frames

    play(scenario)


def test_a_machine_that_is_not_there_is_told(server: SshServer, tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "bench.toml"
        table = server.table.replace(f"port = {server.port}", "port = 1")
        file.write_text(f'title = "t"\n{table}[network]\nhost = "127.0.0.1"\n')
        rig = RealRig(file)
        with pytest.raises(RigError, match=r"does not answer over ssh: .*refused"):
            await rig.open(tmp_path)
        await rig.close()

    play(scenario)
