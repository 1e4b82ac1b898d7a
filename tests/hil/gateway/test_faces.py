"""Simulated batteries and the gateway's own drivers, over its kernel's serial CAN driver and over its BlueZ."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Mapping
from math import sin
from typing import Any

import pytest
from tests.hil.gateway.booted import PROGRAMS, WAIT_S, Virtual

from packseal.core.quantities import Channel, Quantity
from packseal_hil.faces import WiredBattery
from packseal_hil.faces.bluetooth import NAME, VOLTAGE, Peripheral
from packseal_hil.faces.pacing import bits
from packseal_hil.gateway.contents import HOME
from packseal_hil.rig.protocols import BusFault, CanFrame, RigError
from packseal_hil.rig.virtual import BLUETOOTH, VirtualRig

BATTERY_LEVEL = "00002a19-0000-1000-8000-00805f9b34fb"
DUMP = "candump -e can0,0:0,#FFFFFFFF"  # with error frames of every class
SECONDS = 100_000


class Pack:
    """Moves enough to be told from a constant."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def advance(self, dt_s: float) -> None:
        self.time_s += dt_s

    def said(self) -> Mapping[Channel, float]:
        said = {
            Channel(Quantity.PACK_VOLTAGE_V): 350.0,
            Channel(Quantity.PACK_CURRENT_A): -40 + 10 * sin(self.time_s),
            Channel(Quantity.STATE_OF_CHARGE_PCT): 61.0,
        }
        return said | {Channel(Quantity.CELL_VOLTAGE_V, i): 3.6 + i / 1000 for i in range(96)}


class Watched:
    """What the agent's driver in the guest tells."""

    def __init__(self, rig: VirtualRig, output: str) -> None:
        self._rig = rig
        self._output = output

    async def lines(self) -> list[Any]:
        text = (await self._rig.machine.check(f"cat {self._output}")).splitlines()
        return [json.loads(line) for line in text if line.startswith(("{", '"'))]

    async def until(self, holds: Callable[[list[Any]], bool]) -> list[Any]:
        end_s = time.monotonic() + WAIT_S
        while True:
            lines = await self.lines()
            if holds(lines):
                return lines
            assert time.monotonic() < end_s, await self._rig.machine.check(f"tail -n 5 {self._output}")
            await asyncio.sleep(0.3)


def notices(lines: list[Any]) -> list[str]:
    return [line["notice"] for line in lines if "notice" in line]


def samples(lines: list[Any]) -> list[dict[str, float]]:
    return [line["sample"] for line in lines if "sample" in line]


@pytest.fixture
def rig(virtual: Virtual) -> VirtualRig:
    virtual.do(virtual.rig.bus.restore())
    virtual.sh("mkdir -p /run/bench")
    return virtual.rig


async def watch(virtual: Virtual, profile: str) -> Watched:
    rig, output = virtual.rig, "/run/bench/watching.out"
    program = (PROGRAMS / "watching.py").read_bytes()
    await rig.machine.put("/run/bench/watching.py", program)
    await rig.machine.run(f"rm -f {output}")
    await rig.device.start(f"{HOME}/bin/python -u /run/bench/watching.py {profile} can0 {SECONDS}", output)
    watched = Watched(rig, output)
    await watched.until(lambda lines: "open" in lines)
    return watched


def test_the_agents_driver_reads_a_battery_through_bus_off_and_recovery(
    virtual: Virtual, rig: VirtualRig, measure: Callable[[str, float], None]
) -> None:
    async def scenario() -> None:
        watched = await watch(virtual, "packseal/reference96")
        async with WiredBattery("packseal/reference96", Pack(), rig.bus):
            lines = await watched.until(lambda lines: len(samples(lines)) > 2)
            sample = samples(lines)[-1]
            assert sample["pack_voltage_v[0]"] == pytest.approx(350, abs=0.2)
            assert -51 < sample["pack_current_a[0]"] < -29
            assert sample["cell_voltage_v[95]"] == pytest.approx(3.695, abs=0.002)
            for fault, code in (
                (BusFault.WARNING, "BUS_ERROR_WARNING"),
                (BusFault.PASSIVE, "BUS_ERROR_PASSIVE"),
                (BusFault.OFF, "BUS_OFF"),
            ):
                await rig.bus.fault(fault)
                await watched.until(lambda lines, code=code: code in notices(lines))  # type: ignore[misc]  # bound now
            began_s, before = time.monotonic(), len(samples(await watched.lines()))
            await rig.bus.fault(BusFault.NONE)
            lines = await watched.until(lambda lines: len(samples(lines)) > before + 1)
            measure("bus_off_recovery_s", time.monotonic() - began_s)
            assert "BUS_RECOVERED" in notices(lines)
            await rig.bus.fault(BusFault.UNPLUGGED)
            await watched.until(lambda lines: "BUS_SILENT" in notices(lines))

    virtual.do(scenario())


def test_the_agents_driver_asks_and_is_answered(virtual: Virtual, rig: VirtualRig) -> None:
    async def scenario() -> None:
        watched = await watch(virtual, "hyundai/kona_uds")
        async with WiredBattery("hyundai/kona_uds", Pack(), rig.bus) as battery:
            lines = await watched.until(lambda lines: any("cell_voltage_v[95]" in s for s in samples(lines)))
        said = {name: value for sample in samples(lines) for name, value in sample.items()}
        assert said["cell_voltage_v[31]"] == pytest.approx(3.631, abs=0.011)
        assert said["pack_voltage_v[0]"] == pytest.approx(350, abs=0.1)
        assert -51 < said["pack_current_a[0]"] < -29
        assert b"\x22\x01\x01" in battery.uds.asked

    virtual.do(scenario())


def test_error_frames_come_as_a_controller_makes_them(virtual: Virtual, rig: VirtualRig) -> None:
    async def scenario() -> None:
        await dump(rig, DUMP, "/run/bench/errors.out")
        await rig.bus.fault(BusFault.WARNING)
        rig.bus.error("a")
        await rig.bus.fault(BusFault.PASSIVE)
        await rig.bus.fault(BusFault.OFF)
        end_s = time.monotonic() + WAIT_S
        while "20000040" not in (said := await rig.machine.check("cat /run/bench/errors.out")):
            assert time.monotonic() < end_s, said
            await asyncio.sleep(0.3)
        kinds = re.findall(r" (2[0-9A-F]{7}) ", said)
        # Controller problems with counters (CAN_ERR_CRTL | CAN_ERR_CNT), bus error, bus-off; linux/can/error.h.
        assert kinds == ["20000204", "200000A8", "20000204", "20000040"], said
        state = await rig.machine.check("ip -details -statistics link show can0")
        assert "BUS-OFF" in state
        assert "NO-CARRIER" in state
        await rig.bus.fault(BusFault.NONE)
        assert "ERROR-ACTIVE" in await rig.machine.check("ip -details link show can0")

    virtual.do(scenario())


async def dump(rig: VirtualRig, command: str, log: str) -> None:
    """Start a candump that takes every frame; returns once the kernel hands it frames (net/can/proc.c)."""
    await rig.device.start(command, log)
    end_s = time.monotonic() + WAIT_S
    while (await rig.machine.run("grep -q '^ *can0 .* raw' /proc/net/can/rcvlist_all")).code:
        assert time.monotonic() < end_s, await rig.machine.check(f"cat {log} /proc/net/can/rcvlist_all")
        await asyncio.sleep(0.2)


async def counted(rig: VirtualRig, path: str, expected: Callable[[], int]) -> int:
    """Return how many lines a log in the guest has, once it has as many as expected, or once time is over."""
    end_s, got = time.monotonic() + WAIT_S, 0
    while got < expected() and time.monotonic() < end_s:
        await asyncio.sleep(0.5)
        got = int(await rig.machine.check(f"wc -l < {path}"))
    return got


async def span_s(rig: VirtualRig, path: str) -> float:
    """Return the seconds between a log's first and last frame, by the guest's clock."""
    ends = await rig.machine.check(f"sed -n '1p;$p' {path}")
    first, last = (float(stamp) for stamp in re.findall(r"\(([\d.]+)\)", ends))
    return last - first


def test_frames_of_a_busy_bus_arrive_whole_and_in_order(virtual: Virtual, rig: VirtualRig) -> None:
    async def scenario() -> None:
        log = "/run/bench/busy.out"
        await dump(rig, "candump -L -r 4000000 can0", log)
        frames = [CanFrame(0x100 + i % 64, i.to_bytes(8, "big")) for i in range(1000)]
        lost = rig.bus.lost
        for i in range(0, len(frames), 4):  # 200 a second, as of a battery
            await rig.bus.send(frames[i : i + 4])
            await asyncio.sleep(0.02)
        assert rig.bus.lost == lost
        assert await counted(rig, log, lambda: 1000) == 1000
        numbers = re.findall(r"#([0-9A-F]{16})", await rig.machine.check(f"cat {log}"))
        assert [int(n, 16) for n in numbers] == list(range(1000))

    virtual.do(scenario())


def test_what_a_full_bus_is_too_fast_for_is_counted(
    virtual: Virtual, rig: VirtualRig, measure: Callable[[str, float], None]
) -> None:
    async def scenario() -> None:
        log = "/run/bench/full.out"
        await dump(rig, "candump -L -r 4000000 can0", log)
        frames = [CanFrame(0x100 + i % 64, i.to_bytes(8, "big")) for i in range(4000)]
        sent, lost, began_s = rig.bus.sent, rig.bus.lost, time.monotonic()
        await rig.bus.send(frames)
        assert time.monotonic() - began_s >= 0.95 * sum(map(bits, frames)) / rig.bus.bit_rate
        sent, lost = rig.bus.sent - sent, rig.bus.lost - lost
        assert sent + lost == 4000
        got = await counted(rig, log, lambda: sent)
        assert got == sent
        measure("slcan_frames_per_s", got / await span_s(rig, log))

    virtual.do(scenario())


def test_bleak_reads_and_is_notified_through_bluez(
    virtual: Virtual, rig: VirtualRig, measure: Callable[[str, float], None]
) -> None:
    async def scenario() -> dict[str, Any]:
        machine = rig.machine
        await machine.check("modprobe -a hci_uart ccm cmac ecb algif_skcipher algif_hash")
        await machine.check("mkdir -p /run/dbus; pidof dbus-daemon || dbus-daemon --system --fork --nopidfile")
        await rig.device.start("/usr/libexec/bluetooth/bluetoothd -n -E", "/run/bench/bluetoothd.out")
        volts = [351.0]
        async with Peripheral(machine.socket(BLUETOOTH), lambda: 61.0, lambda: volts[0]) as battery:
            await rig.device.start("btattach -B /dev/ttyS2 -P h4 -S 3000000 -N", "/run/bench/btattach.out")
            end_s = time.monotonic() + WAIT_S
            while (await machine.run("bluetoothctl --timeout 3 power on | grep -q succeeded")).code:
                assert time.monotonic() < end_s, await machine.check("cat /run/bench/b*.out; dmesg | tail")
                await asyncio.sleep(0.5)
            await machine.put("/run/bench/reads.py", (PROGRAMS / "reads_battery.py").read_bytes())
            words = f"{HOME}/bin/python /run/bench/reads.py {NAME} {BATTERY_LEVEL} {VOLTAGE}"
            done = await rig.device.run(words, timeout_s=2 * WAIT_S)
            assert done.code == 0, done.output
            assert battery.connections == 1
        try:
            await machine.run("pkill btattach; pkill bluetoothd; pkill dbus-daemon")
        except RigError:
            pytest.fail("the guest does not answer after Bluetooth has ended")
        said: dict[str, Any] = json.loads(done.output.splitlines()[-1])
        return said

    said = virtual.do(scenario())
    assert said["values"] == ["3d", (351 * 64).to_bytes(2, "little").hex()]
    assert len(said["notified"]) >= 5
    assert set(said["notified"]) == {"3d"}
    for name in ("found_s", "connected_s", "reads_per_s"):
        measure(f"bluetooth_{name}", said[name])
