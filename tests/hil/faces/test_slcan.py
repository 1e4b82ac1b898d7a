"""The serial CAN adapter, against the gateway's end of its UART."""

import asyncio
from pathlib import Path

import pytest
from tests.hil.faces.gateway_end import EFF, FRAMES, WAIT_S, GatewayEnd, until, wired

from packseal_hil.faces.pacing import bits
from packseal_hil.faces.slcan import SlcanAdapter
from packseal_hil.rig.protocols import BusFault, CanFrame, RigError


def test_frames_both_ways(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            heard: list[CanFrame] = []
            bus.listen(heard.append)
            await bus.send(FRAMES)
            await until(lambda: len(gateway.frames()) == 3)
            assert gateway.frames() == FRAMES
            assert gateway.text.startswith(b"\r\r\r")  # each command is acknowledged
            await gateway.say("t7E4803220101")
            await gateway.say("0000000")
            await gateway.say("0\rT18DAF1DB10A\r")
            await until(lambda: len(heard) == 2)
            assert heard == [CanFrame(0x7E4, bytes.fromhex("0322010100000000")), CanFrame(EFF | 0x18DAF1DB, b"\x0a")]
            assert (bus.sent, bus.heard, bus.lost, bus.wrong) == (3, 2, 0, 0)
            assert bus.link == {"kind": "socketcan", "channel": "can0"}

    asyncio.run(scenario())


def test_a_gateway_that_has_not_opened_it_hears_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path, opened=False) as (bus, gateway):
            await bus.send(FRAMES)
            assert bus.lost == 3
            await gateway.say("S4\rO\r")
            await bus.opened(WAIT_S)
            assert bus.bit_rate == 125_000
            await bus.send(FRAMES[:1])
            await gateway.say("C\r")
            await until(lambda: not bus.is_open)
            await bus.send(FRAMES)
            assert (bus.sent, bus.lost) == (1, 6)
            with pytest.raises(RigError, match="has not opened"):
                await bus.opened(0.05)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "line"),
    [(BusFault.WARNING, b"sw096000\r"), (BusFault.PASSIVE, b"sp128130\r"), (BusFault.OFF, b"sb000255\r")],
)
def test_states_of_the_controller(tmp_path: Path, fault: BusFault, line: bytes) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            await bus.fault(fault)
            await until(lambda: line in gateway.text)
            await bus.send(FRAMES)
            assert bus.sent == (0 if fault is BusFault.OFF else 3)
            before = len(gateway.text)
            await gateway.say("C\rO\r")  # the interface goes down and up while the cause is still there
            await until(lambda: line in gateway.text[before:])
            await bus.fault(BusFault.NONE)
            if fault is BusFault.OFF:
                assert b"sa" not in gateway.text  # only the interface itself can leave bus-off
                await bus.send(FRAMES)
                assert bus.sent == 0
                await gateway.say("C\rO\r")
                await bus.opened(WAIT_S)
            else:
                await until(lambda: b"sa000000\r" in gateway.text)
            await bus.send(FRAMES)
            assert bus.sent == (3 if fault is BusFault.OFF else 6)

    asyncio.run(scenario())


def test_errors_by_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            bus.error("a")
            bus.error("bcO")
            await until(lambda: gateway.text.endswith(b"e1a\re3bcO\r"))

    asyncio.run(scenario())


def test_unplugged_the_gateway_sends_in_vain(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            heard: list[CanFrame] = []
            bus.listen(heard.append)
            await bus.fault(BusFault.UNPLUGGED)
            await bus.send(FRAMES)
            before = len(gateway.text)
            await gateway.say("t1230\rt1230\r")
            await until(lambda: gateway.text[before:].count(b"z\r") == 2)
            assert gateway.text[before:].count(b"e1a\rsp000128\r") == 1
            assert not heard
            assert bus.lost == 5
            await bus.fault(BusFault.NONE)
            await gateway.say("t1230\r")
            await until(lambda: len(heard) == 1)

    asyncio.run(scenario())


class Interface:
    """What the gateway does with its interface, in words."""

    def __init__(self, gateway: GatewayEnd) -> None:
        self.gateway = gateway
        self.done: list[str] = []

    async def restart(self) -> None:
        self.done.append("restart")
        await self.gateway.say("C\rO\r")

    async def remove(self) -> None:
        self.done.append("remove")
        await self.gateway.say("C\r")

    async def attach(self) -> None:
        self.done.append("attach")
        await self.gateway.say("C\rS6\rO\r")


def test_mending_takes_the_interface_along(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            with pytest.raises(RigError, match="does not know the gateway's interface"):
                await bus.fault(BusFault.GONE)
            interface = Interface(gateway)
            bus.interface = interface
            for fault in (BusFault.OFF, BusFault.NONE, BusFault.GONE, BusFault.NONE):
                await bus.fault(fault)
            await bus.opened(WAIT_S)
            await bus.send(FRAMES)
            await until(lambda: len(gateway.frames()) == 3)
            assert interface.done == ["restart", "remove", "attach"]

    asyncio.run(scenario())


def test_the_bus_has_its_bit_rate(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            await gateway.say("C\rS4\rO\r")
            await until(lambda: bus.bit_rate == 125_000 and bus.is_open)
            frames = [CanFrame(0x100, bytes(8))] * 400
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            await bus.send(frames)
            took_s = loop.time() - began_s
            least_s = sum(map(bits, frames)) / 125_000
            assert 0.97 * least_s <= took_s + 0.005 <= 4 * least_s
            await until(lambda: len(gateway.frames()) == 400)
            # It comes as on a wire, and not all at the end.
            half = [at for at, _ in gateway.at_s][len(gateway.at_s) // 2]
            assert half - began_s < took_s * 0.8

    asyncio.run(scenario())


def test_nodes_share_the_bus_by_their_ids(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            await gateway.say("C\rS0\rO\r")  # 10 kbit/s: 13 ms a frame, so that queues form
            await until(lambda: bus.bit_rate == 10_000 and bus.is_open)
            one, two = bus.node("one"), bus.node("two")
            await asyncio.gather(
                one.send([CanFrame(0x300, bytes(8))] * 5),
                two.send([CanFrame(0x100, bytes(8))] * 5),
            )
            await until(lambda: len(gateway.frames()) == 10)
            order = [f.address for f in gateway.frames()]
            assert sorted(order) == [0x100] * 5 + [0x300] * 5
            assert order[1:6].count(0x100) >= 4  # whoever came first has the wire once; then the lower id wins
            assert order[-4:] == [0x300] * 4

    asyncio.run(scenario())


def test_a_machine_that_does_not_read_loses_frames_and_holds_nobody_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            await gateway.say("S8\r")
            await until(lambda: bus.bit_rate == 1_000_000)
            gateway.reads.clear()
            await asyncio.sleep(0.05)
            await gateway.say("t1230\r")  # the read under way ends
            frames = [CanFrame(0x100, bytes(8))] * 10_000
            await asyncio.wait_for(bus.send(frames), 20)
            assert bus.lost > 0
            assert bus.sent + bus.lost == 10_000
            gateway.reads.set()
            await until(lambda: len(gateway.frames()) == bus.sent)

    asyncio.run(scenario())


def test_the_adapter_outlives_the_machine(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with wired(tmp_path) as (bus, gateway):
            await bus.fault(BusFault.PASSIVE)
            await gateway.die()
            await until(lambda: not bus.is_open)
            await bus.send(FRAMES)
            assert bus.lost == 3
            await gateway.listen()
            await gateway.connected()
            await gateway.say("C\rS6\rO\r")
            await bus.opened(WAIT_S)
            await until(lambda: gateway.text.count(b"sp128130\r") == 2)
            await bus.send(FRAMES)
            await until(lambda: len(gateway.frames()) == 3)

    asyncio.run(scenario())


def test_who_is_not_connected_or_sends_can_fd_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        lonely = SlcanAdapter(tmp_path / "nobody")
        with pytest.raises(RigError, match="not connected"):
            await lonely.send(FRAMES)
        with pytest.raises(RigError, match="nobody listens"):
            await lonely.connect(0.3)
        await lonely.close()
        async with wired(tmp_path) as (bus, _):
            with pytest.raises(RigError, match="classic CAN only"):
                await bus.send([CanFrame(1, bytes(12))])

    asyncio.run(scenario())
