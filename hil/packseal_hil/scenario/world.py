"""World: everything of one scenario that runs, and what its steps do to it."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from packseal.core.quantities import Channel
from packseal_hil.battery import SimulatedBattery, open_battery
from packseal_hil.faces import CanFace, recordings
from packseal_hil.faces.modbus_road import ModbusRoad
from packseal_hil.rig.protocols import BusFault, LineFault, RadioFault, Reaching, Rig, RigError
from packseal_hil.rig.shape import Shape
from packseal_hil.scenario.bands import Bands
from packseal_hil.scenario.feed import Feed, Signals
from packseal_hil.scenario.gateway import GATEWAY, RECORDING, STOP_S, Gateway, Wiring
from packseal_hil.scenario.outage import Outage
from packseal_hil.scenario.schema import ClockStep, Scenario, Step, When
from packseal_hil.scenario.services import CERTIFICATE, Operator, Server
from packseal_hil.scenario.watch import Watch

SEED = 4
TRACE_POINTS = 600
PARTED = When(samples=3)
"""Of the second agent: then it has sealed windows of its own, so that the two histories have parted."""


class World:
    """One scenario on one rig. All methods raise RigError."""

    def __init__(self, scenario: Scenario, rig: Rig, work: Path) -> None:
        self.scenario = scenario
        self.rig = rig
        self.work = work
        self.began_s = asyncio.get_running_loop().time()
        self._is_secure = scenario.agent.uplink == "https"
        self.operator = Operator(work, rig.network.host if self._is_secure else None)
        self.gateway = Gateway(rig.device, f"{rig.device.directory}/agent")
        self.second: Gateway | None = None
        self.watch = Watch(self.gateway, self.operator, self.began_s)
        self.bands = Bands()
        self.partitions = 0
        self.feed: Feed | None = None
        self.modbus: ModbusRoad | None = None
        if scenario.agent.road == "modbus":
            self.modbus = ModbusRoad(scenario.line.transport, rig.device, rig.network, SEED)
        self.signals = Signals(hours=True)
        self.battery: SimulatedBattery
        self.gateway_pem = b""
        self.outage = None if scenario.backlog is None else Outage(scenario.backlog, work / "outage")

    @property
    def now_s(self) -> float:
        """Seconds since the scenario began."""
        return asyncio.get_running_loop().time() - self.began_s

    @property
    def _port(self) -> int:
        """What the gateway has to reach."""
        return (self.operator.sink if self._is_secure else self.operator.broker).port

    async def prepare(self) -> None:
        """Start the operator's side, put the battery on the bus or into a recording, and set the agent up."""
        async with asyncio.TaskGroup() as group:  # side by side: each waits for programs that start
            group.create_task(self.operator.start(), name="operator")
            group.create_task(self._set_up(), name="agent")

    async def _set_up(self) -> None:
        if isinstance(self.rig.network, Reaching):
            await self.rig.network.reach(self._port)
        link = dict(await self._link())
        if self.scenario.compressed is not None:
            link = {"kind": "recording", "path": RECORDING}
            self.battery = open_battery(self.scenario.battery, SEED)
        else:
            self.feed = Feed(self.scenario, self.rig, SEED, self.began_s, self.modbus)
            self.battery = self.feed.battery
        wiring = Wiring(
            host=self.rig.network.host,
            port=self._port,
            sink_pem=self.operator.places["sink.pub"].read_bytes(),
            profile=self.scenario.profile,
            link=link,
            declared=self.battery.declared(),
            certificate=self.operator.places[CERTIFICATE].read_bytes() if self._is_secure else None,
            kept_days=None if self.outage is None else self.outage.kept_days,
            units=self.scenario.line.units,
        )
        self.gateway_pem = await self.gateway.prepare(self.scenario.agent, wiring)
        self.operator.enrol(self.gateway_pem, GATEWAY)
        if self.outage is not None:
            await self.outage.fill(self.gateway, self.battery.declared())
        if self.scenario.compressed is not None:
            recording = await asyncio.to_thread(self._record)
            await self.rig.device.put(f"{self.gateway.directory}/{RECORDING}", recording)

    async def _link(self) -> Mapping[str, str | int]:
        """Return the agent's [battery.link] table of the scenario's road."""
        if self.modbus is not None:
            return await self.modbus.on()
        return await self.rig.radio.on() if self.scenario.agent.road == "ble" else self.rig.bus.link

    async def do(self, step: Step) -> None:
        """Do one step, whatever its time."""
        if not step.action:
            return
        from_s = self.now_s
        await getattr(self, f"_do_{step.action}")(step)
        self.bands.take(step, from_s, self.now_s)

    async def start_agent(self) -> None:
        """Start the agent."""
        self.watch.restarted()
        await self.gateway.start()

    async def partition(self) -> None:
        """Take the network away again and again; cancel it to end, which leaves the network connected."""
        parts, network = self.scenario.partitions, self.rig.network
        if parts is None:
            return
        try:
            while True:
                await asyncio.sleep(parts.every_s - parts.for_s)
                from_s = self.now_s
                await network.down()
                await asyncio.sleep(parts.for_s)
                await network.up()
                self.bands.add("network: partition", from_s, self.now_s)
                self.partitions += 1
        finally:
            await network.up()

    async def end(self) -> None:
        """End everything that is this scenario's own; the rig is reset by its owner."""
        for gateway in (self.gateway, self.second):
            if gateway is not None:
                with contextlib.suppress(RigError):  # it may be off; what went wrong before is what must be told
                    await gateway.leave()
        if self.modbus is not None:
            await self.modbus.close()
        await self.operator.stop()

    def _record(self) -> bytes:
        compressed = self.scenario.compressed
        if compressed is None:
            return b""
        path = self.work / RECORDING
        seconds = compressed.hours * 3600
        tracing = Tracing(self.battery, self.signals, seconds / TRACE_POINTS)
        recordings.write_candump(path, tracing, CanFace(self.scenario.profile), seconds, compressed.period_s)
        return path.read_bytes()

    async def _do_bus(self, step: Step) -> None:
        if step.bus is not None:
            await self.rig.bus.fault(step.bus)
            if step.bus is BusFault.NONE:
                self.watch.mended()

    async def _do_babble(self, step: Step) -> None:
        if self.feed is None or step.babble is None:
            raise RigError("there is no live bus to babble on in a compressed scenario")
        self.feed.babble_per_s = step.babble

    async def _do_radio(self, step: Step) -> None:
        if step.radio is not None:
            await self.rig.radio.fault(step.radio)
            if step.radio is RadioFault.NONE:
                self.watch.mended()

    async def _do_line(self, step: Step) -> None:
        if step.line is not None and self.modbus is not None:
            await self.modbus.fault(step.line)
            if step.line is LineFault.NONE:
                self.watch.mended()

    async def _do_network(self, step: Step) -> None:
        if isinstance(step.network, Shape):
            await self.rig.network.shape(step.network)
        elif step.network == "down":
            await self.rig.network.down()
        else:
            await self.rig.network.up()

    async def _do_clock(self, step: Step) -> None:
        if isinstance(step.clock, ClockStep):
            by_s = step.clock.by_s
            await self.rig.clock.set(step.clock.to_s or 0 if by_s is None else time.time() + by_s)
        else:
            await self.rig.clock.synchronise()

    async def _do_disk(self, step: Step) -> None:
        await getattr(self.rig.disk, str(step.disk))()

    async def _do_power(self, step: Step) -> None:
        if step.power == "cut":
            await self.rig.power.cut()
            for gateway in (self.gateway, self.second):
                if gateway is not None:
                    gateway.lost_power()
        else:
            await self.rig.power.on()

    async def _do_broker(self, step: Step) -> None:
        await _serve(self.operator.broker, str(step.broker))

    async def _do_sink(self, step: Step) -> None:
        await _serve(self.operator.sink, str(step.sink))

    async def _do_agent(self, step: Step) -> None:
        match step.agent:
            case "start":
                await self.start_agent()
            case "stop":
                await self.gateway.ask_to_stop()
                await self.gateway.ended(self.scenario.agent.drain_s + STOP_S)
            case "kill":
                await self.gateway.kill()

    async def _do_second(self, step: Step) -> None:
        if step.second == "copy":
            self.second = Gateway(self.rig.device, f"{self.rig.device.directory}/second")
            await self.second.copy_from(self.gateway)
        elif self.second is None:
            raise RigError('there is no second agent: second = "copy" comes first')
        elif step.second == "kill":
            await self.second.kill()
        else:
            await self.second.start()
            watch = Watch(self.second, self.operator, self.began_s)
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(watch.run(), name="watch of the second")
                await watch.until(PARTED)
                looking.cancel()


class Tracing:
    """A battery that notes its signals while it is recorded."""

    def __init__(self, battery: SimulatedBattery, signals: Signals, every_s: float) -> None:
        self._battery = battery
        self._signals = signals
        self._every_s = every_s
        self._due_s = 0.0

    def said(self) -> Mapping[Channel, float]:
        """Return what its BMS says now."""
        return self._battery.said()

    def advance(self, dt_s: float) -> None:
        """Let time pass."""
        self._battery.advance(dt_s)
        if self._battery.time_s >= self._due_s:
            self._signals.take(self._battery.time_s / 3600, self._battery)
            self._due_s = self._battery.time_s + self._every_s


async def _serve(server: Server, what: str) -> None:
    if what in ("stop", "restart"):
        await server.stop()
    if what in ("start", "restart"):
        await server.start()
