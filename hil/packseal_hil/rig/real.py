"""RealRig: a gateway, a CAN adapter and a supply that stand on a bench, as a bench.toml describes them."""

import asyncio
import contextlib
import shlex
from pathlib import Path

import msgspec

from packseal_hil.rig import settings
from packseal_hil.rig.acts import ACT_S, Acts, check
from packseal_hil.rig.adapter import AdapterBus
from packseal_hil.rig.forwarder import LOOPBACK, Forwarder, bound
from packseal_hil.rig.manual import Hand, Person
from packseal_hil.rig.no_radio import NoRadio
from packseal_hil.rig.protocols import Bus, BusFault, Clock, Device, Disk, Need, Network, Power, Radio, RigError
from packseal_hil.rig.settings import Bench, NetworkTable, PowerTable
from packseal_hil.rig.shape import CLEAR, Shape
from packseal_hil.rig.ssh import SshDevice

AGAIN_S = 1.0


class RealPower:
    """A `Power`: a relay, or a person."""

    def __init__(self, table: PowerTable | None, acts: Acts, device: Device) -> None:
        self._table = table
        self._acts = acts
        self._device = device

    async def cut(self) -> None:
        """Take the power away."""
        await self._acts.do("cut the power", None if self._table is None else self._table.cut)

    async def on(self) -> None:
        """Give it back and wait until the gateway answers; raises RigError when it does not."""
        await self._acts.do("give the power back", None if self._table is None else self._table.on)
        boot_s = self._table.boot_s if self._table else 0.0
        loop = asyncio.get_running_loop()
        end_s = loop.time() + boot_s
        while True:
            try:
                await self._device.run("true", timeout_s=ACT_S)
            except RigError as error:
                if loop.time() > end_s:
                    raise RigError(f"the gateway has not come back within {boot_s:g} s: {error}") from error
                await asyncio.sleep(AGAIN_S)
            else:
                return


class RealNetwork:
    """A `Network`: whatever lies between. Broker and sink are opened at `host` while a scenario runs."""

    def __init__(self, table: NetworkTable, acts: Acts) -> None:
        self._table = table
        self._acts = acts
        self._forwarders: list[Forwarder] = []
        self.host = table.host

    async def reach(self, port: int) -> None:
        """Open this port at `host`; raises RigError."""
        if self.host == LOOPBACK:
            return
        forwarder = Forwarder(bound(self.host, port), port)
        await forwarder.open()
        self._forwarders.append(forwarder)

    async def up(self) -> None:
        """Connect it."""
        if self._table.up is not None:
            await self._acts.do("connect the network", self._table.up)

    async def down(self) -> None:
        """Cut it."""
        await self._acts.do("cut the network", self._table.down)

    async def shape(self, shape: Shape) -> None:
        """Lose and delay packets, and whatever else the act names."""
        if shape != CLEAR or self._table.shape is not None:
            await self._acts.do("shape the network", self._table.shape, **msgspec.structs.asdict(shape))

    async def reset(self) -> None:
        """Mend it and open nothing any more."""
        for forwarder in self._forwarders:
            await forwarder.close()
        self._forwarders.clear()
        await self.shape(CLEAR)
        await self.up()


class RealClock:
    """A `Clock`: commands."""

    def __init__(self, bench: Bench, acts: Acts) -> None:
        self._table = bench.clock
        self._acts = acts

    async def set(self, wall_s: float) -> None:
        """Set it."""
        await self._acts.do("set the clock", None if self._table is None else self._table.set, wall_s=wall_s)

    async def synchronise(self) -> None:
        """Set it right."""
        await self._acts.do("synchronise the clock", None if self._table is None else self._table.synchronise)


class RealDisk:
    """A `Disk`: commands."""

    def __init__(self, bench: Bench, acts: Acts) -> None:
        self._table = bench.disk
        self._acts = acts

    async def fill(self) -> None:
        """Leave no byte free."""
        await self._acts.do("fill the disk", self._table.fill)

    async def free(self) -> None:
        """Undo `fill`."""
        await self._acts.do("free the disk", self._table.free)

    async def freeze(self) -> None:
        """Make it read-only."""
        await self._acts.do("make the disk read-only", self._table.freeze)

    async def thaw(self) -> None:
        """Undo `freeze`."""
        await self._acts.do("make the disk writable", self._table.thaw)


class RealRig:
    """A `Rig` as the bench.toml at `path` has it; raises RigError when the file is wrong."""

    def __init__(self, path: Path, hand: Hand | None = None) -> None:
        self._bench = bench = settings.load(path)
        self._device = SshDevice(bench.device, path.absolute().parent)
        acts = Acts(self._device, hand or Person())
        self._bus = AdapterBus(bench.bus, acts)
        self._network = RealNetwork(bench.network, acts)
        self.device: Device = self._device
        self.power: Power = RealPower(bench.power, acts, self._device)
        self.bus: Bus = self._bus
        self.radio: Radio = NoRadio("a bench.toml knows no radio yet: use the virtual gateway")
        self.network: Network = self._network
        self.clock: Clock = RealClock(bench, acts)
        self.disk: Disk = RealDisk(bench, acts)

    @property
    def has(self) -> frozenset[Need]:
        """What its bench.toml describes."""
        return self._bench.needs_met

    @property
    def title(self) -> str:
        """As its bench.toml says."""
        return self._bench.title

    async def open(self, work: Path) -> None:  # noqa: ARG002 - of the protocol
        """Reach the gateway and open the adapter; raises RigError. Nothing goes to `work`."""
        done = await self.device.run(f"mkdir -p -m 700 {shlex.quote(self.device.directory)}")
        check("make the device's directory", done.code, done.output)
        done = await self.device.run(f"{self.device.packseal} --version")
        check("find packseal on the gateway", done.code, done.output)
        await self._bus.open()

    async def reset(self) -> None:
        """Mend everything, end the agents of the bench and empty its directory."""
        bench = self._bench
        if bench.disk.freeze is not None:
            await self.disk.thaw()
        if bench.disk.fill is not None:
            await self.disk.free()
        await self._network.reset()
        await self.bus.fault(BusFault.NONE)
        there = shlex.quote(self.device.directory)
        await self._device.end_all()
        done = await self.device.run(f"find {there} -mindepth 1 -delete")
        check("empty the device's directory", done.code, done.output)
        if bench.clock is not None:
            await self.clock.synchronise()

    async def close(self) -> None:
        """Let go of everything, and leave nothing in the device's directory or beside it."""
        await self._network.reset()
        with contextlib.suppress(RigError):  # it may be off, or may never have answered
            await self._device.end_all()
            there = shlex.quote(self.device.directory)
            await self.device.run(f"rm -rf {there} {there}.*")
        await self._bus.close()
        await self._device.close()
