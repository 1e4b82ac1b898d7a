"""Feed: what is on a live bus: the battery, perhaps a second one with the same ids, perhaps a node that babbles."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

import msgspec

from packseal.core.quantities import Channel
from packseal_hil.battery import SimulatedBattery, open_battery
from packseal_hil.faces.modbus_road import ModbusRoad
from packseal_hil.faces.wired import SecondDevice, WiredBattery
from packseal_hil.rig.protocols import CanFrame, Rig, Speaker
from packseal_hil.scenario.schema import Scenario
from packseal_hil.scenario.told import Told
from packseal_hil.story import Trace

BABBLE_TICK_S = 0.02
BABBLE_ID = 0x7FF
"""Of no profile of ours, and the least urgent: the battery's frames still get through."""

TRACE_EVERY_S = 0.5
TWIN_APART_PCT = 30.0
HALF_PCT = 50.0
SIGNALS = {"pack_current_a": ("Pack current", "A"), "pack_voltage_v": ("Pack voltage", "V"), "soc_pct": ("SoC", "%")}


class Signals:
    """What the battery truly did, as traces for the report."""

    def __init__(self, *, hours: bool = False) -> None:
        self._hours = hours
        self._at: list[float] = []
        self._values: dict[str, list[float]] = {name: [] for name in SIGNALS}

    def take(self, at: float, battery: SimulatedBattery) -> None:
        """Add a point."""
        said = battery.signals()
        self._at.append(at)
        for name, values in self._values.items():
            values.append(said[name])

    def traces(self) -> list[Trace]:
        """Return them."""
        return [Trace(t, unit, list(self._at), self._values[n], self._hours) for n, (t, unit) in SIGNALS.items()]


class Paused:
    """A battery that stands still until it `goes`: it is there and says so, unchanged."""

    def __init__(self, battery: SimulatedBattery, told: Told | None = None) -> None:
        self.battery = battery
        self.goes = False
        self._told = told

    def advance(self, dt_s: float) -> None:
        """Let time pass, or not."""
        if self.goes:
            self.battery.advance(dt_s)

    def said(self) -> Mapping[Channel, float]:
        """Return what its BMS says now."""
        values = self.battery.said()
        if self._told is not None:
            self._told.take(values)
        return values


class Feed:
    """Puts a scenario's battery on its road, standing still until `go`; raises RigError where it has no such road.

    Args:
        scenario: whose battery and bus.
        rig: whose bus or radio it is on.
        seed: of everything that is drawn by lot.
        began_s: this machine's monotonic time at which the story began.
        modbus: the line, where that is the road.
    """

    def __init__(
        self, scenario: Scenario, rig: Rig, seed: int, began_s: float, modbus: ModbusRoad | None = None
    ) -> None:
        self.told = Told(scenario.expect.value, scenario.expect.said_within_s)
        self._paused = Paused(open_battery(scenario.battery, seed), self.told)
        self._bus = rig.bus
        self._began_s = began_s
        self._speakers: list[Speaker] = []
        if scenario.agent.road == "ble":
            self._speakers.append(rig.radio.battery(scenario.profile, self._paused))
        elif modbus is not None:
            others = [Paused(_twin(scenario, seed + number)) for number in range(scenario.line.units)]
            double = others.pop()
            self._speakers.append(modbus.batteries(scenario.profile, [self._paused, *others], double))
        else:
            self._speakers.append(WiredBattery(scenario.profile, self._paused, rig.bus))
        if scenario.bus.twin:
            self._speakers.append(SecondDevice(scenario.profile, Paused(_twin(scenario, seed)), rig.bus))
        self.signals = Signals()
        self.babble_per_s = 0
        self._babbled = 0

    @property
    def battery(self) -> SimulatedBattery:
        """The scenario's battery."""
        return self._paused.battery

    @property
    def sent(self) -> int:
        """What was said on the road: frames on a bus, notifications and values on the air, answers on a line."""
        return self._babbled + sum(speaker.frames for speaker in self._speakers)

    @property
    def requests(self) -> int:
        """How many requests the battery has heard."""
        return self._speakers[0].requests

    def go(self) -> None:
        """Let the battery's time pass from now on."""
        self._paused.goes = True

    def stop(self) -> None:
        """Let the battery stand still again, and say nothing more."""
        self._paused.goes = False
        for speaker in self._speakers:
            speaker.mute = True

    async def run(self) -> None:
        """Broadcast for ever; cancel it to end."""
        async with AsyncExitStack() as stack:
            for speaker in self._speakers:
                await stack.enter_async_context(speaker)
            traced_s = 0.0
            while True:
                before_s = time.monotonic()
                if before_s - traced_s >= TRACE_EVERY_S:
                    self.signals.take(before_s - self._began_s, self.battery)
                    traced_s = before_s
                await asyncio.sleep(BABBLE_TICK_S)
                await self._babble(time.monotonic() - before_s)

    async def _babble(self, seconds: float) -> None:
        count = round(self.babble_per_s * seconds)
        self._babbled += count
        if count:
            await self._bus.send([CanFrame(BABBLE_ID, secrets.token_bytes(8)) for _ in range(count)])


def _twin(scenario: Scenario, seed: int) -> SimulatedBattery:
    start_pct = open_battery(scenario.battery, seed).signals()["soc_pct"]
    other_pct = start_pct + (TWIN_APART_PCT if start_pct < HALF_PCT else -TWIN_APART_PCT)
    return open_battery(msgspec.structs.replace(scenario.battery, start_soc_pct=other_pct), seed + 1)
